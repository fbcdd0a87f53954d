//! What happened, in order, in words; and what is broken. Never forgets, never judges.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// An append-only list.
pub struct History {
    begun: Instant,
    notes: Mutex<Vec<(Duration, String)>>,
    violations: Mutex<Vec<String>>,
}

impl History {
    /// An empty one, of a round that began then.
    pub fn new(begun: Instant) -> Self {
        Self { begun, notes: Mutex::default(), violations: Mutex::default() }
    }

    /// The time within the round.
    pub fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Something happened.
    pub fn note(&self, what: String) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push((self.now(), what));
    }

    /// An invariant is broken.
    pub fn violation(&self, what: String) {
        self.note(format!("VIOLATION {what}"));
        self.violations.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    /// What is broken so far.
    pub fn violations(&self) -> Vec<String> {
        self.violations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All of it, a line each.
    pub fn text(&self) -> String {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.iter().map(|(at, what)| format!("{:8.3} {what}\n", at.as_secs_f64())).collect()
    }

    /// The lines that name one of these.
    pub fn of(&self, names: &[&str]) -> String {
        let is_of = |line: &&str| names.iter().any(|name| line.contains(name));
        self.text().lines().filter(is_of).map(|line| format!("        {line}\n")).collect()
    }
}
