//! What happens in a conversation -> the ledger of calls, in order, without holding up the conversation.

use std::sync::Arc;

use plugin_api::tokio::{
    self,
    sync::mpsc::{Sender, channel},
    task::JoinHandle,
};

use crate::call::{Entry, Ledger};

/// As many entries wait at most; then the conversation waits.
const WAITING: usize = 256;

/// Begins to write for a call; it ends when the last sender is gone.
pub fn start<L: Ledger>(ledger: Arc<L>, call: String) -> (Sender<Entry>, JoinHandle<()>) {
    let (sender, mut entries) = channel(WAITING);
    let write = async move {
        while let Some(entry) = entries.recv().await {
            ledger.record(&call, entry).await;
        }
    };
    (sender, tokio::spawn(write))
}
