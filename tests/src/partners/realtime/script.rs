//! What the peer hears and says, as data, so that a test, or a file of JSON, can write it.
//!
//! A turn begins with each utterance of the caller; turn 0 is what comes before the first. Every response that is created
//! within a turn takes the turn's next answer. A response that brings instructions of its own, after the first turn, is a
//! filler and takes none.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the peer does in a conversation, however many connections it has.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// What it hears and answers, from turn 0 on.
    pub turns: Vec<Turn>,
    /// What a filler is.
    pub filler: Answer,
    /// What it answers when a turn has no more answers.
    pub otherwise: Answer,
    /// Milliseconds of audio in a piece.
    pub piece_ms: u64,
    /// Milliseconds between two pieces, by the clock on the wall.
    pub pace_ms: u64,
    /// How many turns go without the words of what was heard: transcription fails there.
    pub unheard: Vec<usize>,
    /// Milliseconds until the words of what was heard are known.
    pub transcription_ms: u64,
}

/// From one utterance of the caller to the next.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Turn {
    /// What the caller said, in words.
    pub heard: String,
    /// What is answered, in this order.
    pub answers: Vec<Answer>,
}

/// What becomes of one response.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Answer {
    /// What is said, in words; empty: nothing.
    pub say: String,
    /// How many milliseconds of audio that is.
    pub ms: u64,
    /// What is called.
    pub calls: Vec<Call>,
    /// Milliseconds before the first word, by the clock on the wall.
    pub think_ms: u64,
    /// How it ends, if not `completed`: `failed`, `incomplete`.
    pub status: Option<String>,
    /// The code of the error that a failed one has.
    pub error: Option<String>,
}

/// A call of a tool.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Call {
    /// The name of the function.
    pub name: String,
    /// Its arguments: JSON as it is, or a string that is sent as it stands.
    pub arguments: Value,
}

/// How far a script is.
#[derive(Debug, Default)]
pub struct Progress {
    /// The turn.
    pub turn: usize,
    /// How many answers of it were taken.
    pub taken: usize,
    /// Counts what needs a name: items, responses, calls, events.
    pub names: u64,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            turns: Vec::new(),
            filler: Answer::say("One moment, please.", 800),
            otherwise: Answer::say("I see.", 400),
            piece_ms: 200,
            pace_ms: 10,
            unheard: Vec::new(),
            transcription_ms: 50,
        }
    }
}

impl Script {
    /// With these turns, from turn 0 on.
    pub fn new(turns: impl IntoIterator<Item = Turn>) -> Self {
        Self { turns: turns.into_iter().collect(), ..Self::default() }
    }

    /// Out of JSON.
    ///
    /// # Errors
    /// What is not as it should be.
    pub fn read(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// So many milliseconds by the clock on the wall for each piece of so many milliseconds of audio.
    pub fn paced(self, piece_ms: u64, pace_ms: u64) -> Self {
        Self { piece_ms, pace_ms, ..self }
    }

    pub(super) fn pace(&self) -> Duration {
        Duration::from_millis(self.pace_ms)
    }

    /// The next answer.
    pub(super) fn next(&self, progress: &mut Progress, is_directed: bool) -> Answer {
        if is_directed && progress.turn > 0 {
            return self.filler.clone();
        }
        let answer = self.turns.get(progress.turn).and_then(|turn| turn.answers.get(progress.taken));
        progress.taken += 1;
        answer.unwrap_or(&self.otherwise).clone()
    }

    /// The words of a turn; `None`: they cannot be made out.
    pub(super) fn heard(&self, turn: usize) -> Option<&str> {
        if self.unheard.contains(&turn) {
            return None;
        }
        Some(self.turns.get(turn).map_or("", |turn| turn.heard.as_str()))
    }
}

impl Turn {
    /// What was said, and the answers to it.
    pub fn new(heard: &str, answers: impl IntoIterator<Item = Answer>) -> Self {
        Self { heard: heard.to_owned(), answers: answers.into_iter().collect() }
    }
}

impl Answer {
    /// Words, and how many milliseconds they take.
    pub fn say(words: &str, ms: u64) -> Self {
        Self { say: words.to_owned(), ms, ..Self::default() }
    }

    /// A call of a tool.
    pub fn call(name: &str, arguments: Value) -> Self {
        Self::default().and_call(name, arguments)
    }

    /// And another one.
    pub fn and_call(mut self, name: &str, arguments: Value) -> Self {
        self.calls.push(Call { name: name.to_owned(), arguments });
        self
    }

    /// It fails, with this code.
    pub fn failing(code: &str) -> Self {
        Self { status: Some("failed".to_owned()), error: Some(code.to_owned()), ..Self::default() }
    }

    /// So many milliseconds before the first word.
    pub fn after(self, think_ms: u64) -> Self {
        Self { think_ms, ..self }
    }
}

impl Progress {
    pub(super) fn name(&mut self, kind: &str) -> String {
        self.names += 1;
        format!("{kind}_{:04}", self.names)
    }

    pub(super) fn next_turn(&mut self) {
        self.turn += 1;
        self.taken = 0;
    }
}
