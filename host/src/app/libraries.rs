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

use plugin_api::files;

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
    /// The file that was opened.
    stamp: Option<Stamp>,
    /// The file that was there when it was looked for last; `None` if nothing answered.
    seen: Option<Option<Stamp>>,
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
        let mut wanted: Vec<&PathBuf> = paths.iter().collect();
        wanted.sort();
        wanted.dedup();
        let opened: Vec<_> = std::thread::scope(|scope| {
            let known = &self.opened;
            let look = |path: &'_ PathBuf| (path.clone(), look(path, known.get(path)));
            let threads: Vec<_> = wanted.into_iter().map(|path| scope.spawn(move || look(path))).collect();
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
        self.opened.get(path).is_some_and(|opened| {
            opened.outcome.is_ok() && opened.seen.is_some_and(|seen| seen != opened.stamp)
        })
    }
}

/// Looks at the file first: should it change while it is opened, it counts as changed.
fn look(path: &Path, known: Option<&Opened>) -> Opened {
    let seen = Stamp::of(path);
    match known {
        Some(opened)
            if opened.outcome.is_ok() || (seen == Some(opened.stamp) && !may_be_tried_again(opened)) =>
        {
            Opened { seen, ..opened.clone() }
        }
        _ => Opened { outcome: loader::open(path).map_err(Arc::new), stamp: seen.flatten(), seen },
    }
}

/// Whether what refused the file may have been no fault of the file.
fn may_be_tried_again(opened: &Opened) -> bool {
    opened.outcome.as_ref().err().is_some_and(|error| error.may_be_tried_again())
}

impl Stamp {
    /// Of what is at a path now, if anything is; the outer `None` if its disk or mount does not answer.
    fn of(path: &Path) -> Option<Option<Self>> {
        let path = path.to_owned();
        let metadata = files::within(files::PATIENCE, move || fs::metadata(path))?;
        let Ok(metadata) = metadata else { return Some(None) };
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Some(Some(Self { length: metadata.len(), modified: metadata.modified().ok(), inode }))
    }
}
