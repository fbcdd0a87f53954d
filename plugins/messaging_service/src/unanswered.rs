//! Messages that cannot be answered, one after the other, become a trouble of this plugin; one that is answered ends it. Both
//! are read from the store, so that they outlast a restart, and count what other hosts did.

use plugin_api::{context::Context, error::Failure, requests::host::Trouble, standing::Standing, tracing};

use crate::store::{End, Store};

const KEY: &str = "unanswered";
/// So many in a row are no accident of one message.
const MANY: u32 = 3;
/// Where they are listed, and can be tried again.
const LIST: &str = "/api/messages/unprocessed";

/// The trouble that the host is told of.
pub struct Unanswered(Standing);

impl Unanswered {
    pub fn new() -> Self {
        Self(Standing::new(KEY))
    }

    /// Looks at the newest messages, and tells what they mean.
    pub async fn look(&self, context: &Context, store: &Store) {
        let ends = match store.newest_ends(MANY).await {
            Ok(ends) => ends,
            Err(error) => return tracing::debug!(%error, "the outcomes of messages cannot be read"),
        };
        match ends.first() {
            Some(End::Answered) => self.0.clear(context).await,
            Some(End::Refused(why)) if ends.len() == MANY as usize && !ends.contains(&End::Answered) => {
                self.0.raise(context, trouble(why)).await;
            }
            // Too few to tell.
            _ => {}
        }
    }
}

/// `why`: what the newest of them ended with.
pub fn trouble(why: &str) -> Trouble {
    let failure =
        Failure::internal(format!("several messages in a row could not be answered: {why}")).href(LIST);
    Trouble::raised(KEY, failure).label("See the unprocessed messages, and retry each once the cause is gone")
}
