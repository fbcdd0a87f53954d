//! The test ground: starts the real binary with the real libraries, against real partners, and looks at it from outside.
//!
//! A test writes a [`setup::Setup`], starts it as a [`host::TestHost`], asks over [`http`] and waits for what it expects.
//! Programs that it needs beside the workspace are [`partners`]; if one is missing, the test is skipped.

/// A function becomes a test that can be skipped when it runs.
pub mod trial;
/// A condition becomes true within a limit, or the test fails.
pub mod wait;
/// The workspace becomes a binary and a folder of libraries.
pub mod artifacts;
/// A command becomes a process with its output, ended with the test.
pub mod process;
/// A process becomes what it holds of the machine.
pub mod footprint;
/// A request becomes a status, headers and JSON.
pub mod http;
/// Server-sent events become events, whoever cuts the connection.
pub mod events;
/// A plugin goes to and fro between two statuses.
pub mod flip;
/// A function becomes a server.
pub mod peer;
/// plugins.toml, files and variables become a folder to start a host in.
pub mod setup;
/// A setup becomes a running host.
pub mod host;
/// Commands become what they print, in the shell of a newcomer.
pub mod shell;
/// A page becomes the steps that its reader takes.
pub mod guide;
/// Clients write rows and remember which were acknowledged.
pub mod writers;
/// A secret that is planted, and looked for in every form.
pub mod plant;
/// Libraries that no host should load.
pub mod bad_libraries;
/// A way to a partner that can be cut.
pub mod relay;
/// Random faults become a judgement on what was promised.
pub mod chaos;
/// What tests need beside the workspace: servers and tools of other makers.
pub mod partners;

pub use host::TestHost;
pub use setup::Setup;
