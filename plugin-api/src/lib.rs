//! The SDK for authors of Switchboard plugins. This is a whole plugin:
//!
//! ```
//! use plugin_api::prelude::*;
//!
//! #[plugin_api::settings]
//! struct Settings {
//!     /// Whom to greet.
//!     #[setting(env = "GREETER_NAME")]
//!     name: String,
//! }
//!
//! struct Greeter(Settings);
//!
//! impl Plugin for Greeter {
//!     type Settings = Settings;
//!     fn manifest() -> ManifestBuilder<Self> {
//!         Manifest::service("greeter").operation(Operation::new("greet", Self::greet))
//!     }
//!     fn create(settings: Settings, _context: Context) -> Result<Self, Failure> {
//!         Ok(Self(settings))
//!     }
//! }
//! impl Greeter {
//!     async fn greet(self: Arc<Self>, _request: Empty, _call: Call) -> Result<String, OperationError> {
//!         Ok(format!("Hello, {}!", self.0.name))
//!     }
//! }
//! plugin_api::export_plugin!(Greeter);
//! # fn main() {}
//! ```
//!
//! Its crate is a `cdylib` with `plugin-api` as its only dependency. A section `[plugins.greeter]` in plugins.toml
//! loads it; `switchboard call greeter.greet` calls it; the health routes tell of it.
//!
//! A library is never unloaded, and shares its process with others: it brings no global allocator, installs no signal
//! handler, and sets no environment variable. TLS is rustls.
//!
//! `switchboard plugin new` writes such a crate; [`guide::first_integration`] takes you from there to four running
//! plugins. The other pages of the [`guide`] are [lifecycle](guide::lifecycle), [errors](guide::errors),
//! [calls](guide::call), [streams](guide::stream), [routes](guide::route), [tools](guide::tools) and
//! [testing](guide::testing).
//!
//! In the order in which a plugin meets them:
//! - [`plugin`]: the trait, and who calls what when.
//! - [`manifest`]: what a plugin is, needs and offers.
//! - [`settings`](mod@settings): the types of settings.
//! - [`context`]: dependencies, the host, the call being served.
//! - [`error`]: what can go wrong, and what the host does about it.
//! - [`stream`]: frames in both directions.
//! - [`requests`]: the typed requests of the shipped operations.
//! - [`standing`]: a trouble that outlasts single outcomes.
//! - [`worker`]: a background loop, watched.
//! - [`web`]: text in pages, and where the host is reached.
//! - [`phone`]: what is a telephone number, and a name of Twilio's.
//! - [`level`]: how certain it is who speaks.
//! - [`origin`]: who wrote a text that a language model reads.
//! - [`files`]: small files that the settings name, which hold nobody up.
//! - [`process`]: which process work was claimed by.
//! - [`lease`]: until when, by the database's clock.
//! - `testing` (feature): a plugin in-process, with fake dependencies.
//! - `tls` (feature): rustls with ring; `disk` (feature): a check of the room on a disk.
//! - `visible` (feature): a text with everything in it that a person would not see.
//! - `tools` (feature): tools as a language model is offered them.
//! - [`guide`]: how to write a plugin, page by page.
//! - [`protocol`], [`pipe`], [`export`]: what passes the boundary; for the host and for `export_plugin!`.

// The attribute macros name this crate from outside and from inside.
extern crate self as plugin_api;

pub mod plugin;
pub mod manifest;
pub mod settings;
pub mod context;
pub mod error;
pub mod stream;
pub mod requests;
pub mod standing;
pub mod deliveries;
pub mod worker;
pub mod web;
pub mod phone;
pub mod level;
pub mod origin;
pub mod files;
pub mod process;
pub mod lease;
pub mod tables;
pub mod protocol;
pub mod pipe;
mod logging;
mod instance;
pub mod export;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "visible")]
pub mod visible;
#[cfg(feature = "tools")]
pub mod tools;
#[cfg(feature = "testing")]
pub mod testing;
pub mod guide;
#[cfg(any(test, feature = "fuzzing"))]
pub mod hostile;

pub use plugin_api_macros::{message, row, settings};
// What plugins share with the SDK, so that they need no dependency of their own for it.
pub use {jiff, schemars, serde, serde_json, tokio, tracing};

/// What a plugin's `lib.rs` wants to have at hand.
pub mod prelude {
    pub use std::{sync::Arc, time::Duration};

    pub use crate::{
        context::{Call, Context, Dependency},
        error::{ErrorKind, Failure, FixAction, FixHint, OperationError, ReasonCode},
        manifest::{Manifest, Route},
        plugin::{ManifestBuilder, NoSettings, Operation, Plugin},
        requests::{
            Empty, Request,
            http::{HttpRequest, HttpResponse},
        },
        settings::Secret,
        stream::{Frame, Stream},
    };
}
