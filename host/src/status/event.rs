//! What can happen to a plugin, as the lifecycle tells it.

use std::time::Duration;

use jiff::Timestamp;
use plugin_api::error::Failure;

use super::failing::Finding;

/// Something that happened to one plugin. An event that arrives after the instance is gone changes nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A required dependency keeps it from starting. It has settled.
    Held {
        /// The plugins that it waits for.
        causes: Vec<String>,
    },
    /// Required settings are absent. It has settled.
    NotConfigured {
        /// The environment variable of each, else `plugins.<name>.settings.<key>`.
        missing: Vec<String>,
        /// Says more than "is not set", for instance that one of several is enough.
        message: Option<String>,
    },
    /// Its settings cannot be read. It has settled.
    ConfigInvalid {
        /// The environment variable of each, else `plugins.<name>.settings.<key>`.
        invalid: Vec<String>,
        /// For a person.
        message: String,
    },
    /// Its library could not be loaded: it is quarantined. It has settled.
    LoadFailed {
        /// For a person.
        message: String,
        /// What to do about it.
        fix: String,
    },
    /// An attempt begins. In a new generation it is `initializing`; an instance that is in `error` or `disconnected`
    /// stays there until the attempt succeeds.
    InitStarted {
        /// Which instance, 1 at first.
        generation: u64,
        /// Which attempt of the series, 1 at first.
        attempt: u32,
    },
    /// An attempt failed or timed out. It has settled.
    InitFailed {
        /// Why.
        failure: Failure,
        /// `None`: there is no further one, and the failure's policy decides between `error` and `disconnected`.
        next_attempt_at: Option<Timestamp>,
    },
    /// An attempt succeeded: connected. It has settled.
    InitSucceeded {
        /// How long it took.
        took: Duration,
    },
    /// A probe ended well.
    ProbeSucceeded {
        /// How long it took.
        latency: Duration,
    },
    /// A probe failed or timed out.
    ProbeFailed {
        /// Why.
        failure: Failure,
        /// How long it took.
        latency: Duration,
    },
    /// The plugin reported that its outside system just answered.
    EvidenceSucceeded,
    /// The plugin reported that its outside system just failed.
    EvidenceFailed {
        /// Why.
        failure: Failure,
    },
    /// The plugin said what an operator should know though it works.
    Noted {
        /// For a person; none takes back what was said.
        notes: Vec<String>,
    },
    /// What fails in use, all of it; whichever instance serves.
    Failing {
        /// Sorted; none: nothing does any more.
        findings: Vec<Finding>,
    },
    /// When it will be probed next.
    NextCheck {
        /// `None`: not by itself.
        at: Option<Timestamp>,
    },
    /// Its first attempt ended or timed out, or there will be none for now; counts once a boot.
    Settled {
        /// How long it waited for its dependencies.
        waited: Duration,
        /// How long the first attempt took, if there was one.
        init: Option<Duration>,
    },
    /// A hung instance was given up; its threads stay until the process ends.
    Abandoned {
        /// How many were, so far.
        total: u32,
    },
    /// The host itself failed in looking after it: its instance was given up, and there will be another one.
    Unsupervised {
        /// Why.
        failure: Failure,
    },
    /// Its instance is gone.
    Stopped,
}
