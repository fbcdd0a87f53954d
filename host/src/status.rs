//! What happens to plugins becomes a snapshot that everybody reads: the state machine of one plugin with its
//! hysteresis and history, what the dependencies make of it, and the one `Board` that is written by the lifecycle and
//! read by all. Nothing here waits, asks a plugin or looks at a clock: every time is handed in.

mod names;
mod model;
mod spec;
mod event;
mod time;
mod explanation;
mod failing;
mod history;
mod probes;
mod machine;
mod standing;
mod overall;
mod trouble;
mod snapshot;
mod causes;
mod journal;
mod board;

pub use board::Board;
pub use causes::{Attention, Cause, FailingOf};
pub use event::Event;
pub use failing::{Fault, Finding, Ledger, MOST_TROUBLES, News, Trouble};
pub use journal::{Change, Forgotten};
pub use machine::MOST_ABANDONED;
pub use model::{
    Dependency, Failing, Fix, PluginHealth, Reason, Retry, Settings, Status, Timing, Transition,
};
pub(crate) use model::{KindName, kind_name};
pub use names::Names;
pub use overall::{Counts, Overall};
pub use probes::ProbeDurations;
pub use snapshot::{CHECKER_PATIENCE, Edge, Snapshot, Verification};
pub use spec::{BoardConfig, DependencySpec, PluginSpec, StartReport};
pub(crate) use time::Moment;
pub use time::rfc3339;
pub use trouble::HostTrouble;
