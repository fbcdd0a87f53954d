//! What a scraper says it reads becomes the format that it gets (RFC 9110, 12.5.1): OpenMetrics only for who names it.

use axum::http::{HeaderMap, header};

/// What metrics can be written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// The Prometheus text format 0.0.4.
    Text,
    OpenMetrics,
}

impl Format {
    /// The one that is preferred; text where both are as welcome as each other by a wildcard only.
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let ranges: Vec<Range> = values.flat_map(|value| value.split(',')).map(Range::of).collect();
        let weight = |fits: fn(&Range) -> bool| {
            ranges.iter().filter(|range| fits(range)).map(|range| range.weight).reduce(f64::max)
        };
        let open = weight(Range::is_open_metrics).unwrap_or(0.0);
        let text = weight(Range::is_text).or(weight(Range::is_wild)).unwrap_or(0.0);
        if open > 0.0 && open >= text { Self::OpenMetrics } else { Self::Text }
    }
}

/// One of the things that are accepted.
struct Range {
    kind: String,
    version: Option<String>,
    weight: f64,
}

impl Range {
    fn of(text: &str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let mut range =
            Self { kind: parts.next().unwrap_or_default().to_ascii_lowercase(), version: None, weight: 1.0 };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => range.weight = value.trim().parse().unwrap_or(0.0),
                "version" => range.version = Some(value.trim().trim_matches('"').to_owned()),
                _ => {}
            }
        }
        range
    }

    /// Of the versions, the one that is written here.
    fn is_open_metrics(&self) -> bool {
        self.kind == "application/openmetrics-text"
            && self.version.as_deref().is_none_or(|version| version == "1.0.0")
    }

    fn is_text(&self) -> bool {
        self.kind == "text/plain"
    }

    fn is_wild(&self) -> bool {
        matches!(self.kind.as_str(), "*/*" | "text/*")
    }
}

#[cfg(test)]
mod tests {
    use super::{Format::*, *};

    #[track_caller]
    fn check(accept: &[&'static str], expected: Format) {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, value.parse().unwrap());
        }
        assert_eq!(Format::accepted(&headers), expected, "{accept:?}");
    }

    #[test]
    fn openmetrics_is_for_who_asks_for_it() {
        check(&[], Text);
        check(&["*/*"], Text);
        check(&["text/html,application/xhtml+xml,*/*;q=0.8"], Text);
        check(&["application/openmetrics-text"], OpenMetrics);
        check(&["Application/OpenMetrics-Text; charset=utf-8; Version=\"1.0.0\""], OpenMetrics);
        check(&["text/plain", "application/openmetrics-text"], OpenMetrics);
        // Prometheus 2.42.
        check(
            &[
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            ],
            OpenMetrics,
        );
    }

    #[test]
    fn what_is_preferred_wins() {
        check(&["application/openmetrics-text;q=0.3, text/plain;q=0.4"], Text);
        check(&["application/openmetrics-text;q=0.3, text/plain;q=0.2"], OpenMetrics);
        check(&["application/openmetrics-text;q=0"], Text);
        check(&["application/openmetrics-text;version=0.0.1"], Text);
        check(&["application/openmetrics-text;version=2.0.0, */*"], Text);
        check(&["application/openmetrics-text;q=much"], Text);
    }
}
