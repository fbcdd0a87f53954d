//! Transitions are remembered, the last hundred a plugin, and too many of them in a short time are flapping.

use std::{collections::VecDeque, sync::Arc};

use jiff::{SignedDuration, Timestamp};

use super::{model::Transition, time::shifted};

const KEPT: usize = 100;
const FLAPPING_ABOVE: usize = 5;
const FLAPPING_WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// The transitions of one plugin. Snapshots share the list; only a transition copies it.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    transitions: Arc<Vec<Transition>>,
    /// When the last ones of this run were, by a clock that is never stepped.
    recent: VecDeque<Timestamp>,
    total: u64,
    stopped_at: Option<Timestamp>,
    recalled: bool,
}

impl History {
    pub(super) fn push(&mut self, transition: Transition, now: Timestamp) {
        if self.recent.len() > FLAPPING_ABOVE {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        let transitions = Arc::make_mut(&mut self.transitions);
        if transitions.len() == KEPT {
            transitions.remove(0);
        }
        transitions.push(transition);
        self.total += 1;
    }

    /// Puts what earlier runs of the host saw, oldest first, before what this one saw. Only the first time counts.
    pub(super) fn recall(&mut self, mut earlier: Vec<Transition>) {
        if std::mem::replace(&mut self.recalled, true) {
            return;
        }
        let room = KEPT - self.transitions.len();
        let mut all = earlier.split_off(earlier.len().saturating_sub(room));
        all.extend(self.transitions.iter().cloned());
        self.transitions = Arc::new(all);
    }

    /// The machine's clock was stepped by so much: transitions of this run keep their age. Those of earlier runs were
    /// recorded by clocks of unknown accuracy.
    pub(super) fn step(&mut self, step: SignedDuration) {
        let transitions = Arc::make_mut(&mut self.transitions);
        let earlier = transitions.len().saturating_sub(usize::try_from(self.total).unwrap_or(KEPT));
        for transition in &mut transitions[earlier..] {
            transition.at = shifted(transition.at, step);
        }
    }

    /// Whether it is known what earlier runs saw.
    pub(super) fn is_recalled(&self) -> bool {
        self.recalled
    }

    /// The plugin was stopped on purpose: what was before, and the stop itself, tell nothing of how steady it is.
    pub(super) fn stopped(&mut self, now: Timestamp) {
        self.stopped_at = Some(now);
    }

    /// The last transitions, oldest first.
    pub(super) fn shared(&self) -> Arc<Vec<Transition>> {
        self.transitions.clone()
    }

    /// How many there were, also of those that are forgotten.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// More than five transitions in ten minutes that nobody asked for. Those of earlier runs count no more.
    pub(super) fn is_flapping(&self, now: Timestamp) -> bool {
        let counts =
            |at: &&Timestamp| now.duration_since(**at) < FLAPPING_WITHIN && Some(**at) > self.stopped_at;
        self.recent.iter().filter(counts).count() > FLAPPING_ABOVE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Status;

    fn history(seconds: impl IntoIterator<Item = i64>) -> History {
        let mut history = History::default();
        for second in seconds {
            let at = Timestamp::from_second(second).unwrap();
            let (from, to) = (Status::Connected, Status::Error);
            history.push(Transition { at, recorded_at: at, from, to, code: None, message: None }, at);
        }
        history
    }

    #[test]
    fn the_oldest_is_forgotten_after_a_hundred() {
        let history = history(0..250);
        assert_eq!(history.shared().len(), 100);
        assert_eq!(history.shared()[0].at.as_second(), 150);
        assert_eq!(history.total(), 250);
    }

    #[test]
    fn six_transitions_in_ten_minutes_are_flapping() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert!(!history([0, 1, 2, 3, 4]).is_flapping(at(4)));
        assert!(history([0, 1, 2, 3, 4, 5]).is_flapping(at(599)));
        assert!(!history([0, 1, 2, 3, 4, 5]).is_flapping(at(600)));
    }

    #[test]
    fn what_was_before_is_recalled_once_and_makes_nobody_flap() {
        let earlier = || history(0..100).shared().to_vec();
        let mut history = history(100..103);
        assert!(!history.is_recalled());
        history.recall(earlier());
        history.recall(earlier());
        let seconds: Vec<_> = history.shared().iter().map(|one| one.at.as_second()).collect();
        assert_eq!(seconds, (3..103).collect::<Vec<_>>());
        assert!(history.is_recalled() && !history.is_flapping(Timestamp::from_second(103).unwrap()));
        assert_eq!(history.total(), 3);
    }

    #[test]
    fn what_this_run_saw_keeps_its_age_when_the_clock_is_stepped() {
        let mut history = history([100, 101]);
        history.recall(self::history([7]).shared().to_vec());
        history.step(SignedDuration::from_secs(3600));
        let seconds = |at: fn(&Transition) -> Timestamp| {
            history.shared().iter().map(|one| at(one).as_second()).collect::<Vec<_>>()
        };
        assert_eq!(seconds(|one| one.at), [7, 3700, 3701]);
        assert_eq!(seconds(|one| one.recorded_at), [7, 100, 101], "as they stand in the database");
    }

    #[test]
    fn who_is_stopped_on_purpose_does_not_flap() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut history = history([0, 1, 2, 3, 4, 5]);
        history.stopped(at(5));
        assert!(!history.is_flapping(at(6)));
    }
}
