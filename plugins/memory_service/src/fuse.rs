//! Two rankings of the same memories and their age -> one ranking. A place counts, not how far apart two places are: by
//! meaning and by words, distances cannot be compared. Pure.

use std::collections::HashMap;

use crate::store::Found;

/// The larger, the less the first places stand out (reciprocal rank fusion). 60, the usual choice, is for lists that hold
/// little of one another: of a person with a few dozen memories both rankings hold nearly all, and what shares `she` or `in`
/// with the question came before what answers it (19 of 40 questions; with 10 and the weight of words, 37).
const SMOOTHING: f64 = 10.0;
/// The words of a question count as much as its meaning as long as they find at most so many memories. The more they find,
/// the less they count: with twice as many, half as much.
const TELLING: f64 = 2.0;
/// They never count less than this part of it, which they reach with seven memories.
const LEAST_OF_WORDS: f64 = 0.3;
/// So much of a memory's weight is gone when it is very old.
const AGING: f64 = 0.3;

/// What a memory's age counts.
#[derive(Debug, Clone, Copy)]
pub struct Recency {
    pub now_ms: i64,
    /// After so many milliseconds half of it is gone.
    pub half_life_ms: f64,
}

impl Recency {
    fn weight(self, at_ms: i64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a millisecond more or less is no matter")]
        let age = self.now_ms.saturating_sub(at_ms).max(0) as f64;
        1.0 - AGING + AGING * (-age / self.half_life_ms).exp2()
    }
}

/// The best of both, by meaning and by words, with a score from 0 to 1: a new memory that is first in both has 1 where the
/// words find at most two, and 0.65 where they find seven or more.
pub fn fuse(rankings: [Vec<Found>; 2], recency: Recency, limit: usize) -> Vec<(f64, Found)> {
    let mut scores: HashMap<String, (f64, Found)> = HashMap::new();
    #[expect(clippy::cast_precision_loss, reason = "places are few")]
    let of_words = (TELLING / rankings[1].len().max(1) as f64).clamp(LEAST_OF_WORDS, 1.0);
    for (ranking, weight) in rankings.into_iter().zip([1.0, of_words]) {
        for (place, found) in ranking.into_iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "places are few")]
            let score = weight * (SMOOTHING + 1.0) / (SMOOTHING + 1.0 + place as f64) / 2.0;
            scores.entry(found.id.clone()).or_insert((0.0, found)).0 += score;
        }
    }
    let weighed = scores.into_values().map(|(score, found)| (score * recency.weight(found.at_ms), found));
    let mut fused: Vec<(f64, Found)> = weighed.collect();
    fused.sort_by(|(one, left), (other, right)| {
        let newest_first = right.at_ms.cmp(&left.at_ms);
        other.total_cmp(one).then(newest_first).then_with(|| left.id.cmp(&right.id))
    });
    fused.truncate(limit);
    fused
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3_600_000;

    fn found(id: &str, at_ms: i64) -> Found {
        Found {
            id: id.to_owned(),
            kind: "fact".to_owned(),
            body: String::new(),
            speaker: None,
            medium: None,
            caller: String::new(),
            tags: Vec::new(),
            at_ms,
        }
    }

    #[track_caller]
    fn check(near: &[(&str, i64)], worded: &[(&str, i64)], expected: &str) {
        let ranking = |places: &[(&str, i64)]| places.iter().map(|(id, day)| found(id, day * DAY)).collect();
        let recency = Recency { now_ms: 1000 * DAY, half_life_ms: 60.0 * DAY as f64 };
        let fused = fuse([ranking(near), ranking(worded)], recency, 10);
        let shown: Vec<_> = fused.iter().map(|(score, found)| format!("{} {score:.2}", found.id)).collect();
        assert_eq!(shown.join(", "), expected);
    }

    #[test]
    fn what_both_found_comes_first() {
        check(&[("a", 1000), ("b", 1000)], &[("b", 1000), ("c", 1000)], "b 0.96, a 0.50, c 0.46");
    }

    #[test]
    fn of_two_alike_the_newer_comes_first() {
        check(&[("old", 0), ("new", 1000)], &[("new", 1000), ("old", 0)], "new 0.96, old 0.67");
        check(&[("old", 940), ("new", 1000)], &[], "new 0.46, old 0.42");
    }

    #[test]
    fn age_does_not_beat_what_fits_much_better() {
        check(&[("old", 0), ("new", 1000)], &[("old", 0)], "old 0.70, new 0.46");
    }

    #[test]
    fn words_that_many_memories_hold_count_little() {
        let new =
            |ids: &str| -> Vec<Found> { ids.chars().map(|id| found(&id.to_string(), 1000 * DAY)).collect() };
        let recency = Recency { now_ms: 1000 * DAY, half_life_ms: 60.0 * DAY as f64 };
        let best = |worded: &str| fuse([new("abcdef"), new(worded)], recency, 1).remove(0).1.id;
        assert_eq!(best("f"), "f");
        assert_eq!(best("fghijklm"), "a", "a word that all hold does not make up for five places");
    }

    #[test]
    fn words_count_by_how_many_memories_they_find() {
        let score = |count: usize| {
            let worded: Vec<Found> = (0..count).map(|id| found(&id.to_string(), 1000 * DAY)).collect();
            let recency = Recency { now_ms: 1000 * DAY, half_life_ms: 60.0 * DAY as f64 };
            format!("{:.2}", fuse([vec![found("0", 1000 * DAY)], worded], recency, 1)[0].0)
        };
        assert_eq!(
            [1, 2, 3, 4, 6, 7, 100].map(score),
            ["1.00", "1.00", "0.83", "0.75", "0.67", "0.65", "0.65"]
        );
    }

    #[test]
    fn a_very_old_memory_counts_seven_tenths_of_a_new_one() {
        check(&[("new", 1000), ("old", -9_000)], &[("old", -9_000), ("new", 1000)], "new 0.96, old 0.67");
        check(&[("old", -9_000)], &[("old", -9_000)], "old 0.70");
    }

    #[test]
    fn one_ranking_is_enough() {
        check(&[], &[("a", 1000)], "a 0.50");
        check(&[], &[], "");
    }
}
