//! Why a library is refused: one line each, with both sides of a mismatch and what to do.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::obstacle::Obstacle;

/// A library that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No such file.
    #[error("`{}` does not exist: build it with `cargo build`, or correct `library` or `library_dir`", .0.display())]
    Missing(PathBuf),
    /// The file cannot be read.
    #[error("`{path}` cannot be read: {reason}", path = .0.display(), reason = .1.kind())]
    Unreadable(PathBuf, #[source] io::Error),
    /// No thread can be started to open it.
    #[error("`{path}` cannot be opened: no thread can be started: {reason}", path = .0.display(), reason = .1.kind())]
    NoThread(PathBuf, #[source] io::Error),
    /// What it is stored on does not answer.
    #[error("`{}` was not read within {:?}; does its disk or mount answer?", .0.display(), plugin_api::files::PATIENCE)]
    TooSlow(PathBuf),
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
    /// It was built for another kind of processor.
    #[error(
        "`{}` is a library for {found}, this host runs on {host}: build it for this machine", .path.display()
    )]
    Processor {
        /// The file.
        path: PathBuf,
        /// What its header says.
        found: String,
        /// Ours.
        host: &'static str,
    },
    /// The system's linker refuses it.
    #[error("`{path}` cannot be opened: {obstacle}", path = .0.display(), obstacle = .1)]
    Linker(PathBuf, Obstacle),
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
        "`{}` (built by {plugin}) has a different boundary layout than this host (built by {host}): rebuild both from \
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
    /// What to do about it, for a person: one imperative sentence.
    pub fn fix(&self) -> String {
        match self {
            Self::Missing(path) => {
                format!("Build `{}`, or correct `library` or `library_dir`; then reload", path.display())
            }
            Self::Unreadable(path, error) => unreadable(path, error),
            Self::TooSlow(path) => format!("Make the disk or mount of `{}` answer, then reload", path.display()),
            Self::NoThread(..) => {
                "Raise the limits of processes and memory of this host, then restart it".to_owned()
            }
            Self::NotALibrary(path, _) => {
                format!("Put a built plugin at `{}`, or correct `library`; then reload", path.display())
            }
            Self::NotOurs(path) => {
                format!("Put a built plugin at `{}`, or correct `library`; then restart the host", path.display())
            }
            Self::Truncated { path, .. } => format!("Build or copy `{}` again, then reload", path.display()),
            Self::Processor { host, .. } => format!("Build the library for {host}, then reload"),
            Self::Target { host, .. } => format!("Build the library for {host}, then restart the host"),
            Self::Linker(path, obstacle) => obstacle.fix(path),
            Self::NoSymbol(..) => {
                "Name the library of a plugin, or end its lib.rs with `export_plugin!` and build it; then restart \
                 the host"
                    .to_owned()
            }
            Self::AbiVersion { .. } => {
                "Rebuild the library with the plugin-api of this host, then restart the host".to_owned()
            }
            Self::PanicStrategy { .. } => {
                "Rebuild the library without `panic` in its profile, then restart the host".to_owned()
            }
            Self::NoManifest(..) | Self::BadManifest(..) => {
                "Correct what the plugin declares and rebuild the library, then restart the host".to_owned()
            }
            Self::Layout { .. } => "Rebuild the library and the host from one lock file, then restart the host".to_owned(),
            Self::Hangs(..) => "Replace the library with one that loads, then restart the host".to_owned(),
        }
    }

    /// Whether the file was refused before it was mapped: what kept it out may have gone though the file is the same,
    /// and trying again leaves nothing behind.
    pub fn may_be_tried_again(&self) -> bool {
        matches!(
            self,
            Self::Missing(_)
                | Self::Unreadable(..)
                | Self::TooSlow(_)
                | Self::NoThread(..)
                | Self::NotALibrary(..)
                | Self::Truncated { .. }
                | Self::Processor { .. }
                | Self::Linker(..)
        )
    }

    /// What is too long for one line, if there is something.
    pub fn details(&self) -> Option<&str> {
        match self {
            Self::Layout { difference, .. } => Some(difference),
            _ => None,
        }
    }
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("Let the user of this process read `{path}` and its folders, then reload")
        }
        io::ErrorKind::IsADirectory => format!("Name the library in `{path}`, not the folder; then reload"),
        _ => format!("Check the disk and the folder of `{path}`, then reload"),
    }
}

#[cfg(test)]
mod tests;
