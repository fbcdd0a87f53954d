//! Each failure in use is told to the log: once when it begins and once when it ends. One that comes and goes quickly
//! is told at most once a minute, and one that stays is always told.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use tokio::time::Instant;

use crate::status::{Failing, Snapshot};

/// A failure that returns sooner is told only if it stays.
const QUIET: Duration = Duration::from_secs(60);

/// A plugin, and the operation and the key of what fails.
type What = (String, Option<String>, Option<String>);

/// The failures told to the log.
#[derive(Default)]
pub(super) struct Told {
    known: HashMap<What, Known>,
}

struct Known {
    /// When its beginning was told last.
    at: Instant,
    /// Its end was not told since.
    open: bool,
}

/// A record of the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Begins { plugin: String, words: String },
    Ends { plugin: String, words: String },
}

impl Line {
    pub(super) fn log(&self) {
        match self {
            Self::Begins { plugin, words } => tracing::warn!(plugin, "{words}"),
            Self::Ends { plugin, words } => tracing::info!(plugin, "{words}"),
        }
    }
}

impl Told {
    /// The lines to tell now; to be asked about once a second.
    pub(super) fn look(&mut self, snapshot: &Snapshot, now: Instant) -> Vec<Line> {
        let of = |plugin: &str, one: &Failing| (plugin.to_owned(), one.operation.clone(), one.key.clone());
        let plugins = snapshot.plugins.iter();
        let failing = plugins.flat_map(|plugin| plugin.failing.iter().map(|one| (plugin.name.as_str(), one)));
        let failing: BTreeMap<What, &Failing> = failing.map(|(plugin, one)| (of(plugin, one), one)).collect();

        let ended = self.known.iter_mut().filter(|(what, known)| known.open && !failing.contains_key(*what));
        let mut lines: Vec<_> = ended
            .map(|(what, known)| {
                known.open = false;
                Line::Ends {
                    plugin: what.0.clone(),
                    words: format!("`{}` no longer fails in use", name(what)),
                }
            })
            .collect();
        self.known.retain(|_, known| known.open || now.duration_since(known.at) < QUIET);
        for (what, one) in failing {
            if self.known.contains_key(&what) {
                continue;
            }
            let words = format!(
                "`{}` fails in use ({}): {}; fix: {}",
                name(&what),
                one.code,
                one.message,
                one.fix.label
            );
            lines.push(Line::Begins { plugin: what.0.clone(), words });
            self.known.insert(what, Known { at: now, open: true });
        }
        lines
    }
}

/// The operation, or the plugin's own name for it.
fn name((_, operation, key): &What) -> &str {
    operation.as_deref().or(key.as_deref()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use plugin_api::error::{FixHint, ReasonCode};

    use super::*;
    use crate::status::{Board, BoardConfig, Event, Finding, PluginSpec};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn finding(operation: &str) -> Finding {
        Finding {
            operation: Some(operation.to_owned()),
            key: None,
            since: NOW,
            last_at: NOW,
            failures: 3,
            code: ReasonCode::Forbidden,
            message: "the key may not use the model".to_owned(),
            hint: Some(FixHint::label("Allow the model for the key")),
            callers: Vec::new(),
        }
    }

    struct World {
        board: Board,
        told: Told,
        begun: Instant,
    }

    impl World {
        fn new() -> Self {
            let (boot_id, version) = ("test".to_owned(), "0".to_owned());
            let plugins = vec![PluginSpec::new("mail"), PluginSpec::new("openai")];
            let board = Board::new(BoardConfig { boot_id, version, plugins, now: NOW });
            Self { board, told: Told::default(), begun: Instant::now() }
        }

        /// The lines after so many seconds, if these operations of `openai` fail then.
        #[track_caller]
        fn check(&mut self, seconds: u64, operations: &[&str], expected: &[&str]) {
            let findings = operations.iter().map(|operation| finding(operation)).collect();
            self.board.apply("openai", Event::Failing { findings }, NOW);
            let lines = self.told.look(&self.board.snapshot(), self.begun + Duration::from_secs(seconds));
            let words = |line: &Line| match line {
                Line::Begins { plugin, words } => format!("warn {plugin}: {words}"),
                Line::Ends { plugin, words } => format!("info {plugin}: {words}"),
            };
            assert_eq!(lines.iter().map(words).collect::<Vec<_>>(), expected, "after {seconds} s");
        }
    }

    const BEGINS: &str = "warn openai: `chat` fails in use (forbidden): the key may not use the model; fix: Allow the \
                          model for the key";
    const ENDS: &str = "info openai: `chat` no longer fails in use";

    #[test]
    fn beginning_and_end_are_told_once() {
        let mut world = World::new();
        world.check(0, &[], &[]);
        world.check(1, &["chat"], &[BEGINS]);
        (2..1000).for_each(|second| world.check(second, &["chat"], &[]));
        world.check(1000, &[], &[ENDS]);
        world.check(1001, &[], &[]);
        world.check(1002, &["chat"], &[BEGINS]);
    }

    #[test]
    fn what_flaps_is_told_once_a_minute_and_what_stays_is_told() {
        let mut world = World::new();
        world.check(0, &["chat"], &[BEGINS]);
        world.check(1, &[], &[ENDS]);
        for second in 2..60 {
            world.check(second, if second % 2 == 0 { &["chat"] } else { &[] }, &[]);
        }
        world.check(60, &["chat"], &[BEGINS]);
        world.check(61, &[], &[ENDS]);
        world.check(62, &["chat"], &[]);
        world.check(119, &["chat"], &[]);
        world.check(120, &["chat"], &[BEGINS]);
    }

    #[test]
    fn each_thing_that_fails_is_told_by_itself() {
        let mut world = World::new();
        world.check(0, &["chat"], &[BEGINS]);
        world.check(1, &["chat", "embed"], &[&BEGINS.replace("chat", "embed")]);
        world.check(2, &["embed"], &[ENDS]);
    }
}
