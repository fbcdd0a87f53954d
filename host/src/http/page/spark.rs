//! The last durations of probes become a small line, with a dot at its end. Its meaning in words stands beside it.

use std::{collections::VecDeque, fmt::Write as _};

use maud::{Markup, html};

use super::words;

const WIDTH: f64 = 96.0;
const HEIGHT: f64 = 24.0;
const EDGE: f64 = 3.0;

/// Nothing, where there are not two of them.
pub(super) fn line(durations: &VecDeque<f64>) -> Markup {
    let (Some(last), true) = (durations.back(), durations.len() > 1) else { return html! {} };
    let (low, high) = range(durations);
    let title =
        format!("the last {} checks took {} to {}", durations.len(), words::millis(low), words::millis(high));
    html! {
        svg.spark viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(title) {
            title { (title) }
            polyline points=(points(durations)) {}
            circle cx=(tenth(WIDTH - EDGE)) cy=(tenth(height(*last, high))) r="2" {}
        }
    }
}

fn points(durations: &VecDeque<f64>) -> String {
    let (_, high) = range(durations);
    let step = (WIDTH - 2.0 * EDGE) / (durations.len() - 1) as f64;
    durations.iter().enumerate().fold(String::new(), |mut points, (place, duration)| {
        // Writing to a string cannot fail.
        let _ = write!(points, "{} {} ", tenth(EDGE + step * place as f64), tenth(height(*duration, high)));
        points
    })
}

fn range(durations: &VecDeque<f64>) -> (f64, f64) {
    durations.iter().fold((f64::MAX, 0.0), |(low, high), duration| (low.min(*duration), high.max(*duration)))
}

/// From nothing at the bottom to the longest at the top.
fn height(duration: f64, high: f64) -> f64 {
    let share = if high > 0.0 { duration / high } else { 0.0 };
    HEIGHT - EDGE - share * (HEIGHT - 2.0 * EDGE)
}

fn tenth(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_from_the_oldest_to_the_newest() {
        assert_eq!(points(&[0.0, 5.0, 10.0].into()), "3 21 48 12 93 3 ");
        assert_eq!(points(&[0.0, 0.0].into()), "3 21 93 21 ");
        assert_eq!(line(&[7.0].into()).into_string(), "");
        let line = line(&[7.0, 1500.0].into()).into_string();
        assert!(line.contains("the last 2 checks took 7.0 ms to 1.50 s"), "{line}");
    }
}
