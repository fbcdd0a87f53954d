//! The trait that a plugin implements.

mod builder;
mod operation;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

pub use builder::ManifestBuilder;
pub(crate) use operation::Handler;
pub use operation::Operation;

use crate::{context::Context, error::Failure};

/// A plugin. The host makes one instance for each section of plugins.toml that names the library.
///
/// Everything here runs on the instance's own threads, never on the host's: code that blocks or hangs hurts this
/// instance alone. A panic becomes an error with its message and place. The order of calls is `create`, `init` until it
/// succeeds, then `probe` from time to time, at last `stop`; operations are served from `create` to `stop`, so also
/// before `init` has succeeded and while the outside system is away.
pub trait Plugin: Sized + Send + Sync + 'static {
    /// The plugin's settings: a struct with `#[plugin_api::settings]`, or [`NoSettings`].
    type Settings: DeserializeOwned + JsonSchema + Send + 'static;

    /// What the plugin is, needs and offers. Called when the library is loaded, before any instance exists: no I/O.
    fn manifest() -> ManifestBuilder<Self>;

    /// Makes an instance. Called once, on a thread of the instance with its runtime entered; must be cheap and do no
    /// I/O. An `Err` means that the settings cannot work: the plugin is in `error`, and made anew when they change.
    fn create(settings: Self::Settings, context: Context) -> Result<Self, Failure>;

    /// Brings the instance up, within the `init.timeout` of plugins.toml. The code of a [`Failure`] decides what
    /// follows: retries with backoff, waiting for a person, or `error` at once. May be called again on the same
    /// instance after it failed or timed out. By default the same as [`Plugin::probe`] where there is one.
    fn init(&self) -> impl Future<Output = Result<(), Failure>> + Send {
        async { if Self::manifest().has_probe() { self.probe().await } else { Ok(()) } }
    }

    /// Asks the outside system something that only a working, authenticated connection can answer, at the least cost.
    /// Called in the background at the manifest's interval, never twice at once, within `probe.timeout`. Three
    /// transient failures in a row leave `connected`; two successes return to it.
    fn probe(&self) -> impl Future<Output = Result<(), Failure>> + Send {
        async {
            Err(Failure::internal(
                "the manifest promises a probe, but the plugin implements none: write `probe`, or declare \
                 `without_probe()`",
            ))
        }
    }

    /// Ends what the instance began: flushes, says goodbye. Called once, within a deadline; then the instance is
    /// dropped with its runtime and whatever still runs there.
    fn stop(&self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// The settings of a plugin that has none.
#[derive(Debug, Clone, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}
