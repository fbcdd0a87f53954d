//! A trouble that outlasts single outcomes: told to the host when it begins, changes or ends, and not with every outcome.

use tokio::sync::Mutex;

use crate::{context::Context, requests::host::Trouble};

/// The trouble of one key, as it was last told to the host.
///
/// What is told first is told in any case: an earlier instance may have said something else.
pub struct Standing {
    key: &'static str,
    told: Mutex<Option<Trouble>>,
}

impl Standing {
    /// Nothing was told of this key yet.
    pub fn new(key: &'static str) -> Self {
        Self { key, told: Mutex::const_new(None) }
    }

    /// The trouble is there. A host that does not take it is asked again with the next outcome.
    pub async fn raise(&self, context: &Context, trouble: Trouble) {
        self.tell(context, Trouble { key: self.key.to_owned(), ..trouble }).await;
    }

    /// The trouble is over, by something that succeeded.
    pub async fn clear(&self, context: &Context) {
        self.tell(context, Trouble::cleared(self.key)).await;
    }

    async fn tell(&self, context: &Context, trouble: Trouble) {
        // Held while it is told, so that the host hears the turns in their order.
        let mut told = self.told.lock().await;
        if told.as_ref() == Some(&trouble) {
            return;
        }
        match context.host().trouble(trouble.clone()).await {
            Ok(()) => *told = Some(trouble),
            Err(error) => tracing::warn!(key = self.key, %error, "the host did not take a trouble"),
        }
    }
}
