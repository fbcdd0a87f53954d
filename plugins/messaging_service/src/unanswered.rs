//! Messages that cannot be answered, one after the other, become a trouble of this plugin; one that is answered ends it.

use std::sync::atomic::{AtomicU32, Ordering};

use plugin_api::{context::Context, error::Failure, requests::host::Trouble, standing::Standing};

const KEY: &str = "unanswered";
/// So many in a row are no accident of one message.
const MANY: u32 = 3;
/// Where they are listed, and can be tried again.
const LIST: &str = "/api/messages/unprocessed";

/// How the newest messages fared on this host.
pub struct Unanswered {
    in_a_row: AtomicU32,
    standing: Standing,
}

impl Unanswered {
    pub fn new() -> Self {
        Self { in_a_row: AtomicU32::new(0), standing: Standing::new(KEY) }
    }

    /// A message failed for good, by no outage: whatever is away is told by the plugin that is away.
    pub async fn refused(&self, context: &Context, why: &str) {
        let count = self.in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
        if count < MANY {
            return;
        }
        let failure =
            Failure::internal(format!("messages cannot be answered, one after the other: {why}")).href(LIST);
        let label = "see the unprocessed messages, and retry each once the cause is gone";
        self.standing.raise(context, Trouble::raised(KEY, failure).label(label)).await;
    }

    /// A message was answered.
    pub async fn answered(&self, context: &Context) {
        if self.in_a_row.swap(0, Ordering::Relaxed) >= MANY {
            self.standing.clear(context).await;
        }
    }
}
