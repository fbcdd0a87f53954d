//! An instance while it serves: what is in progress is counted, may end when the instance is to go, and is cut when it
//! takes too long.

use std::{future::Future, sync::Arc, time::Duration};

use plugin_api::error::OperationError;
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

use crate::loader::Instance;

/// An instance in its slot.
pub(super) struct Attachment {
    instance: Arc<dyn Instance>,
    in_progress: TaskTracker,
    cut: CancellationToken,
}

/// A call or a stream on an instance, in progress as long as this lives.
pub(super) struct Visit {
    attachment: Arc<Attachment>,
    _counted: TaskTrackerToken,
}

/// An instance that is not called any more, with what is still in progress on it.
pub struct Detached {
    attachment: Option<Arc<Attachment>>,
}

impl Attachment {
    pub(super) fn new(instance: Arc<dyn Instance>) -> Self {
        Self { instance, in_progress: TaskTracker::new(), cut: CancellationToken::new() }
    }

    pub(super) fn visit(self: &Arc<Self>) -> Visit {
        Visit { attachment: self.clone(), _counted: self.in_progress.token() }
    }
}

impl Visit {
    pub(super) fn instance(&self) -> &dyn Instance {
        self.attachment.instance.as_ref()
    }

    /// Runs some work on the instance, no longer than the instance is there.
    pub(super) async fn run<T>(
        &self,
        plugin: &str,
        work: impl Future<Output = Result<T, OperationError>>,
    ) -> Result<T, OperationError> {
        tokio::select! {
            biased;
            outcome = work => outcome,
            () = self.attachment.cut.cancelled() => {
                Err(OperationError::cancelled(format!("`{plugin}` was stopped while it served this")))
            }
        }
    }
}

impl Detached {
    pub(super) fn new(attachment: Option<Arc<Attachment>>) -> Self {
        Self { attachment }
    }

    /// Lets calls and streams in progress end by themselves for so long.
    pub async fn drained(&self, grace: Duration) {
        if let Some(attachment) = &self.attachment {
            attachment.in_progress.close();
            // What is left is cut when this is dropped.
            let _ = tokio::time::timeout(grace, attachment.in_progress.wait()).await;
        }
    }
}

/// What is still in progress ends with an error.
impl Drop for Detached {
    fn drop(&mut self) {
        if let Some(attachment) = &self.attachment {
            attachment.cut.cancel();
        }
    }
}
