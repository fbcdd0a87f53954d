//! The queue between those who say something and the thread that writes it, and what becomes of lines that are lost.

use std::{
    collections::VecDeque,
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use prometheus::IntCounter;

use super::{Lost, Pen};

/// While something is lost and not told, how often the sink is tried, and how often it is told at most.
const PACE: Duration = Duration::from_secs(1);

/// Lines that wait to be written.
pub(super) struct Queue {
    state: Mutex<State>,
    /// There is something to do for the thread that writes.
    work: Condvar,
    /// That thread has nothing to do.
    rest: Condvar,
    capacity: usize,
    full: IntCounter,
    failed: IntCounter,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    /// Of all lines together.
    bytes: usize,
    untold: Lost,
    /// Something is being written.
    busy: bool,
    /// The process is about to end: what was lost is told without delay.
    hurry: bool,
}

impl State {
    fn is_lossy(&self) -> bool {
        self.untold.full + self.untold.failed > 0
    }
}

impl Queue {
    /// A queue of so many bytes.
    pub(super) fn new(capacity: usize, full: IntCounter, failed: IntCounter) -> Self {
        let (work, rest) = (Condvar::new(), Condvar::new());
        Self { state: Mutex::default(), work, rest, capacity, full, failed }
    }

    /// Hands lines over, or loses them. Never waits for the sink.
    pub(super) fn push(&self, lines: Vec<u8>) {
        let mut state = self.state();
        if state.bytes + lines.len() > self.capacity {
            state.untold.full += 1;
            self.full.inc();
            return;
        }
        state.bytes += lines.len();
        state.lines.push_back(lines);
        drop(state);
        self.work.notify_one();
    }

    /// Waits until everything is written or lost, for `limit` at most.
    pub(super) fn flush(&self, limit: Duration) {
        let mut state = self.state();
        state.hurry = true;
        self.work.notify_one();
        let busy = |state: &mut State| state.busy || state.hurry || !state.lines.is_empty();
        // What a reader does not take in this time is lost with the process.
        drop(self.rest.wait_timeout_while(state, limit, busy));
    }

    /// Writes for ever. `tell` makes the lines that tell of a loss.
    pub(super) fn write_all<W: Write>(&self, pen: &mut Pen<W>, tell: fn(&Lost) -> Vec<u8>) {
        let mut told = None;
        loop {
            let round = AssertUnwindSafe(|| self.round(pen, tell, &mut told));
            if catch_unwind(round).is_err() {
                thread::sleep(PACE);
            }
        }
    }

    /// One line, and before it what was lost.
    fn round<W: Write>(&self, pen: &mut Pen<W>, tell: fn(&Lost) -> Vec<u8>, told: &mut Option<Instant>) {
        let lines = self.next();
        let lost = self.state().untold.clone();
        let is_due = lost.failed > 0 || lines.is_none() || told.is_none_or(|told| told.elapsed() >= PACE);
        if is_due && lost != Lost::default() {
            if let Err(error) = pen.write(&tell(&lost)) {
                return lines.into_iter().for_each(|_| self.lose(error.to_string()));
            }
            *told = Some(Instant::now());
            self.told(&lost);
        }
        if let Some(Err(error)) = lines.map(|lines| pen.write(&lines)) {
            self.lose(error.to_string());
        }
    }

    /// The next lines; `None` if there are none for a while, and a loss is to be told.
    fn next(&self) -> Option<Vec<u8>> {
        let mut state = self.state();
        state.busy = false;
        loop {
            if let Some(lines) = state.lines.pop_front() {
                state.bytes -= lines.len();
                state.busy = true;
                return Some(lines);
            }
            let mut is_due = std::mem::take(&mut state.hurry);
            let lossy = state.is_lossy();
            if !is_due || !lossy {
                self.rest.notify_all();
                (state, is_due) = self.wait(state, lossy.then_some(PACE));
            }
            if is_due && lossy && state.lines.is_empty() {
                state.busy = true;
                return None;
            }
        }
    }

    /// Waits for something to do; says whether the limit is over.
    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        limit: Option<Duration>,
    ) -> (MutexGuard<'a, State>, bool) {
        match limit {
            None => (self.work.wait(state).unwrap_or_else(PoisonError::into_inner), false),
            Some(limit) => {
                let waited = self.work.wait_timeout(state, limit);
                let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                (state, timeout.timed_out())
            }
        }
    }

    fn lose(&self, reason: String) {
        self.failed.inc();
        let mut state = self.state();
        state.untold.failed += 1;
        state.untold.reason = reason;
    }

    /// That much has been told; more may have been lost meanwhile.
    fn told(&self, lost: &Lost) {
        let mut state = self.state();
        state.untold.full -= lost.full;
        state.untold.failed -= lost.failed;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
