//! The calls that are on this host now: no more than there is room for, found by name, and waited for at the end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use plugin_api::{error::OperationError, tokio::sync::Notify};

use crate::line::Line;

/// All calls of an instance.
pub struct Calls {
    most: usize,
    state: Mutex<State>,
    left: Notify,
}

#[derive(Default)]
struct State {
    connections: usize,
    lines: Vec<Arc<Line>>,
}

/// The place of a connection; given back when it is dropped.
pub struct Place {
    calls: Arc<Calls>,
    line: Option<Arc<Line>>,
}

impl Calls {
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, state: Mutex::default(), left: Notify::new() })
    }

    /// A place for a connection.
    ///
    /// # Errors
    /// `overloaded` if there is none.
    pub fn enter(self: &Arc<Self>) -> Result<Place, OperationError> {
        let mut state = self.state();
        if state.connections >= self.most {
            let most = self.most;
            return Err(OperationError::overloaded(format!(
                "this host carries {most} calls, which is its limit (`max_calls`)"
            )));
        }
        state.connections += 1;
        Ok(Place { calls: self.clone(), line: None })
    }

    /// Every call, the oldest first.
    pub fn lines(&self) -> Vec<Arc<Line>> {
        self.state().lines.clone()
    }

    /// Waits until no connection is left.
    pub async fn over(&self) {
        loop {
            let left = self.left.notified();
            if self.state().connections == 0 {
                return;
            }
            left.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The connection is this call.
    pub fn take(&mut self, line: &Arc<Line>) {
        self.calls.state().lines.push(line.clone());
        self.line = Some(line.clone());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.calls.state();
        state.connections -= 1;
        if let Some(line) = &self.line {
            state.lines.retain(|other| !Arc::ptr_eq(line, other));
        }
        drop(state);
        self.calls.left.notify_waiters();
    }
}
