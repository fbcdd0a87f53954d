//! The Switchboard host. The modules stand in the order in which a start passes them; each uses only those above it.

/// plugins.toml and the environment become a [`config::Config`], or a list of every problem with its line.
pub mod config;
/// What is secret is taken out of text before anybody sees it.
pub mod scrub;
/// A time that no step of the machine's clock disturbs.
pub mod clock;
/// A library becomes a manifest and a way to make instances; the only `unsafe`.
#[expect(unsafe_code, reason = "libraries are opened and their symbols read here, and nowhere else")]
pub mod loader;
/// Manifests become a start plan: order, waves, impact; pure, the only petgraph.
pub mod graph;
/// What happens to plugins becomes a snapshot that everybody reads.
pub mod status;
/// The host's own tasks: one that panics is told to the board, and runs again.
pub mod tasks;
/// A name becomes a live instance: calls and streams, with deadlines, limits and metrics.
pub mod switch;
/// Runs the plan: init, retry, probe, heal, stop.
pub mod lifecycle;
/// The router: health, operations, metrics; the only axum.
pub mod http;
/// Composes all of the above.
pub mod app;
/// Whatever arrives from files and plugins, as bytes that nobody vouches for: what fuzzers and property tests enter by.
#[cfg(any(test, feature = "fuzzing"))]
pub mod hostile;
