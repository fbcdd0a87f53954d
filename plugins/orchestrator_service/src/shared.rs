//! What all parts share.

use plugin_api::{
    context::Context,
    process,
    standing::Standing,
    tokio::sync::{Notify, watch},
};

use crate::{
    random,
    settings::Config,
    store::{Claim, Store},
};

/// The settings, the tables, and what is known of the work here.
pub struct Shared {
    pub context: Context,
    pub config: Config,
    pub store: Store,
    /// Counts up whenever something changed in a run on this host.
    pub changes: watch::Sender<u64>,
    /// There may be something to take up.
    pub wake: Notify,
    pub stopping: watch::Sender<bool>,
    /// The trouble that the model of our own settings cannot be used.
    pub model: Standing,
    /// The trouble that the approver cannot be told of decisions.
    pub approver: Standing,
}

impl Shared {
    /// Something changed in a run.
    pub fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// A new claim.
    pub fn claim(&self) -> Claim {
        Claim { owner: format!("{}{}", process::name(), random::id()), lease: self.config.lease }
    }
}
