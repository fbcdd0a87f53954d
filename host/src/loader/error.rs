//! Why a library is refused: one line each, with both sides of a mismatch and what to do.

use std::{path::PathBuf, time::Duration};

/// A library that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No such file.
    #[error("`{}` does not exist: build it with `cargo build`, or correct `library` or `library_dir`", .0.display())]
    Missing(PathBuf),
    /// The file cannot be read.
    #[error("`{path}` cannot be read: {reason}", path = .0.display(), reason = .1)]
    Unreadable(PathBuf, #[source] std::io::Error),
    /// It is something else than a library.
    #[error(
        "`{path}` is not a dynamic library, but {found}: point `library` at a built plugin",
        path = .0.display(), found = .1
    )]
    NotALibrary(PathBuf, &'static str),
    /// The end of the file is missing.
    #[error("`{}` is truncated: it has {found} bytes and needs {needed}: build or copy it again", .path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        found: u64,
        /// The length that its headers speak of.
        needed: u64,
    },
    /// The system's linker refuses it.
    #[error("`{path}` cannot be opened: {reason}", path = .0.display(), reason = .1)]
    Linker(PathBuf, String),
    /// It is a library, but no plugin.
    #[error(
        "`{path}` is not a Switchboard plugin: it has no symbol `{symbol}`: end its lib.rs with \
         `plugin_api::export_plugin!`",
        path = .0.display(), symbol = .1
    )]
    NoSymbol(PathBuf, &'static str),
    /// Its marker is not ours.
    #[error("`{}` is not a Switchboard plugin: its preamble does not begin with the marker", .0.display())]
    NotOurs(PathBuf),
    /// It speaks another version of the boundary.
    #[error(
        "`{}` speaks plugin ABI {plugin}, this host speaks {host}: rebuild it with the plugin-api of this host",
        .path.display()
    )]
    AbiVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        plugin: u32,
        /// Ours.
        host: u32,
    },
    /// It was built for another machine.
    #[error("`{}` was built for {plugin}, this host runs on {host}: build it for {host}", .path.display())]
    Target {
        /// The file.
        path: PathBuf,
        /// Its target triple.
        plugin: String,
        /// Ours.
        host: String,
    },
    /// A panic in it would end the host.
    #[error(
        "`{}` was built with `panic = \"{plugin}\"`, this host needs `panic = \"unwind\"` to contain panics: remove \
         `panic` from the profile that builds it",
        .path.display()
    )]
    PanicStrategy {
        /// The file.
        path: PathBuf,
        /// Its strategy.
        plugin: String,
    },
    /// Its manifest cannot be had.
    #[error("`{path}` gives no manifest: {reason}", path = .0.display(), reason = .1)]
    NoManifest(PathBuf, String),
    /// Its manifest contradicts itself.
    #[error("`{}` has a manifest that cannot be used: {}", .0.display(), .1.join("; "))]
    BadManifest(PathBuf, Vec<String>),
    /// The types behind the boundary differ.
    #[error(
        "`{}` (built by {plugin}) lays out the boundary otherwise than this host (built by {host}): rebuild both from \
         one lock file; `--verbose` shows the difference",
        .path.display()
    )]
    Layout {
        /// The file.
        path: PathBuf,
        /// The compiler that built it.
        plugin: String,
        /// The compiler that built the host.
        host: &'static str,
        /// abi_stable's own text, of hundreds of lines.
        difference: String,
    },
    /// Its initialisers do not end.
    #[error(
        "`{path}` does not finish loading within {limit:?}: its initialisers block",
        path = .0.display(), limit = .1
    )]
    Hangs(PathBuf, Duration),
}

impl LoadError {
    /// What is too long for one line, if there is something.
    pub fn details(&self) -> Option<&str> {
        match self {
            Self::Layout { difference, .. } => Some(difference),
            _ => None,
        }
    }
}
