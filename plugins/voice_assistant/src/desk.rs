//! What everybody who handles a call shares, and which way a call can be answered now. Nothing is said or decided here.

use plugin_api::{
    context::Context,
    prelude::{Arc, Duration},
    requests::{
        memory::{AddTurn, Medium, Speaker},
        voice::CallWay,
    },
    tokio::{sync::Notify, time::timeout},
};

use crate::{BRIDGE, OPENAI, journal::Journal, session::Sessions, settings::Config};

/// What it takes to handle calls.
pub struct Desk {
    pub context: Context,
    pub config: Config,
    pub journal: Arc<Journal>,
    pub sessions: Sessions<Journal>,
    work: Notify,
}

impl Desk {
    pub fn new(context: Context, config: Config) -> Self {
        let journal = Arc::new(Journal::new(context.clone()));
        let sessions = Sessions::new(context.clone(), config.realtime.clone(), journal.clone());
        Self { context, config, journal, sessions, work: Notify::new() }
    }

    /// There is something to be remembered or announced.
    pub fn wake(&self) {
        self.work.notify_one();
    }

    /// Waits until there is, or for so long: it may have come to another host.
    pub async fn work(&self, most: Duration) {
        // That nothing came is no news.
        let _ = timeout(most, self.work.notified()).await;
    }

    /// The best way to answer a call now.
    pub async fn way(&self) -> CallWay {
        if !self.is_up(OPENAI).await {
            return CallWay::Voicemail;
        }
        match self.config.public_base_url.is_some() && self.is_up(BRIDGE).await {
            true => CallWay::Realtime,
            false => CallWay::Turns,
        }
    }

    /// Whether a plugin is connected, as far as the host knows. Of one that goes by another name here it knows nothing.
    pub async fn is_up(&self, plugin: &str) -> bool {
        match self.context.host().status(plugin).await {
            Ok(status) => status.status == "connected",
            Err(_) => self.context.has(plugin),
        }
    }
}

/// Something said on the phone, or otherwise, for the memory.
pub fn turn(speaker: Speaker, medium: Medium, text: &str, source: String, at_ms: Option<i64>) -> AddTurn {
    AddTurn {
        speaker,
        medium,
        text: text.to_owned(),
        attachments: Vec::new(),
        source: Some(source),
        at_ms,
        display_name: None,
        origin: None,
    }
}
