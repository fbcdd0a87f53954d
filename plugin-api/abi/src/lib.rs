//! The binary boundary between the host and a plugin: everything that two separately compiled libraries must agree
//! on, and nothing else. Messages are JSON in byte vectors, so that they may grow; the types here may not.
//!
//! - [`preamble`]: plain C data that the host reads before any Rust of the plugin runs.
//! - [`boundary`]: what `abi_stable` sees: the module, an instance, the host's handle, a stream's end.
//!
//! This crate stays at version 1.0.0 for ever: `abi_stable` compares the version of the crate that defines a type, and
//! accepts additions in one direction only. A different boundary is a new [`preamble::ABI_VERSION`].

pub mod preamble;
pub mod boundary;
