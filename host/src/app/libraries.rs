//! Each library is opened once in a process, however many sections and reloads name it: it can never be closed. A file
//! that has changed since is noticed, not opened again; one that was refused is tried again when it has changed, and one
//! that was refused before it was mapped always, because what kept it out may be the machine.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use crate::loader::{self, Library, LoadError};

/// What opening a file came to.
pub type Outcome = Result<Arc<dyn Library>, Arc<LoadError>>;

/// The libraries that were opened so far, by path. Cheap to clone.
#[derive(Clone, Default)]
pub struct Libraries {
    opened: HashMap<PathBuf, Opened>,
}

#[derive(Clone)]
struct Opened {
    outcome: Outcome,
    stamp: Option<Stamp>,
}

/// What tells one file from another at the same path.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

impl Libraries {
    /// Opens what is not open yet, different files at the same time. Blocks.
    pub fn open(&mut self, paths: &[PathBuf]) {
        let mut wanted: Vec<&PathBuf> = paths.iter().filter(|path| self.must_open(path)).collect();
        wanted.sort();
        wanted.dedup();
        let opened: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = wanted.into_iter().map(|path| scope.spawn(move || open(path))).collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            joined.map(|opened| opened.expect("`loader::open` does not panic")).collect()
        });
        self.opened.extend(opened);
    }

    /// What opening this path came to.
    ///
    /// # Panics
    /// If the path was not among those that were opened.
    pub fn get(&self, path: &Path) -> Outcome {
        self.opened[path].outcome.clone()
    }

    /// Whether another file is at this path than the one that is in use: it is used from the next start on.
    pub fn is_outdated(&self, path: &Path) -> bool {
        self.opened.get(path).is_some_and(|opened| opened.outcome.is_ok() && opened.stamp != Stamp::of(path))
    }

    fn must_open(&self, path: &Path) -> bool {
        self.opened.get(path).is_none_or(|opened| {
            let refused = opened.outcome.as_ref().err();
            refused.is_some_and(|error| error.may_be_tried_again() || opened.stamp != Stamp::of(path))
        })
    }
}

/// Looks at the file first: should it change meanwhile, it counts as changed.
fn open(path: &Path) -> (PathBuf, Opened) {
    let stamp = Stamp::of(path);
    (path.to_owned(), Opened { outcome: loader::open(path).map_err(Arc::new), stamp })
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Some(Self { length: metadata.len(), modified: metadata.modified().ok(), inode })
    }
}
