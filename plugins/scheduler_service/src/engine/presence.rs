//! Whether a plugin that jobs need is there and connected, as the host knows it; asked seldom, however many jobs want to
//! know.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use plugin_api::prelude::*;

/// Whether it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    Connected,
    /// Named by plugins.toml, with this status.
    Away(String),
    /// plugins.toml does not name it.
    Absent,
}

/// What is known of all of them.
pub struct Presences {
    context: Context,
    /// How long an answer holds.
    holds: Duration,
    known: Mutex<HashMap<String, (Instant, Presence)>>,
}

impl Presences {
    pub fn new(context: Context, holds: Duration) -> Self {
        Self { context, holds, known: Mutex::default() }
    }

    pub async fn of(&self, plugin: &str) -> Presence {
        let known = self.known().get(plugin).cloned();
        if let Some((asked, presence)) = known
            && asked.elapsed() < self.holds
        {
            return presence;
        }
        self.ask(plugin).await
    }

    /// As it is now.
    pub async fn ask(&self, plugin: &str) -> Presence {
        if !self.context.has(plugin) {
            return Presence::Absent;
        }
        let presence = match self.context.host().status(plugin).await {
            Ok(status) if status.status != "connected" => Presence::Away(status.status),
            // If the host does not know, the call itself will tell.
            Ok(_) | Err(_) => Presence::Connected,
        };
        self.known().insert(plugin.to_owned(), (Instant::now(), presence.clone()));
        presence
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, (Instant, Presence)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
