//! A trouble that outlasts single outcomes: told to the host when it begins, changes or ends, and not with every outcome.

use tokio::sync::Mutex;

use crate::{context::Context, error::ErrorKind, requests::host::Trouble};

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
            // An older host shows no troubles: it is not asked with every outcome.
            Err(error) if error.kind == ErrorKind::NotFound => {
                tracing::debug!(key = self.key, %error, "the host knows no troubles");
                *told = Some(trouble);
            }
            Err(error) => tracing::warn!(key = self.key, %error, "the host did not accept a trouble"),
        }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{error::OperationError, prelude::*, testing::TestPlugin};

    struct Teller(Context, Standing);

    impl Plugin for Teller {
        type Settings = NoSettings;

        fn manifest() -> ManifestBuilder<Self> {
            Manifest::service("teller").about("Tells").operation(Operation::new("clear", Self::clear))
        }

        fn create(_: NoSettings, context: Context) -> Result<Self, Failure> {
            Ok(Self(context, Standing::new("work")))
        }
    }

    impl Teller {
        async fn clear(self: Arc<Self>, _: Value, _: Call) -> Result<(), OperationError> {
            self.1.clear(&self.0).await;
            Ok(())
        }
    }

    /// The warnings of an instance whose work succeeds three times, and how often its host was told.
    async fn warnings(plugin: TestPlugin<Teller>) -> (usize, usize) {
        let plugin = plugin.create().unwrap_or_else(|failure| panic!("it is made: {failure}"));
        for _ in 0..3 {
            plugin.call_json("clear", json!({})).await.expect("it works all the same");
        }
        let warned = plugin.logs().into_iter().filter(|log| log.message.contains("did not accept")).count();
        (warned, plugin.troubles().len())
    }

    #[tokio::test]
    async fn what_did_not_turn_is_told_once() {
        assert_eq!(warnings(TestPlugin::new(json!({}))).await, (0, 1));
    }

    #[tokio::test]
    async fn a_host_without_troubles_is_not_asked_with_every_outcome() {
        let unknown = || OperationError::not_found("`host` has no operation `trouble`");
        let plugin = TestPlugin::new(json!({}));
        assert_eq!(warnings(plugin.fake("host", move |_: Trouble| Err(unknown()))).await, (0, 0));
        let busy = TestPlugin::new(json!({}))
            .fake("host", |_: Trouble| Err(OperationError::unavailable("the host is busy")));
        assert_eq!(warnings(busy).await, (3, 0), "what may pass is asked again");
    }
}
