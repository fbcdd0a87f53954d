//! Since when connections count: those made before something was set at the server do not know of it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Before when the connections of a pool were made that nobody is to use any more.
#[derive(Debug, Clone, Default)]
pub struct Renewal(Arc<Mutex<Option<Instant>>>);

impl Renewal {
    /// From now on only connections count that are made later.
    pub fn renew(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a connection of this age may still be used.
    pub fn admits(&self, age: Duration) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none_or(|renewed| age <= renewed.elapsed())
    }
}
