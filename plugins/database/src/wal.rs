//! SQLite's write-ahead log on its way to the disk. SQLite itself commits without waiting for the disk
//! (`synchronous = normal`), so that its one writer is free for the next transaction; whoever committed then waits for
//! one `fdatasync` of the log, which all who wait at that time share. Nothing is answered before it.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use plugin_api::tokio::{sync::Mutex, task::spawn_blocking};

/// The log of one file.
#[derive(Debug)]
pub struct Wal {
    path: PathBuf,
    /// Transactions between their commit and the end of the sync that covers it.
    open: AtomicU64,
    /// One of them was given up before it was synced.
    stray: AtomicBool,
    /// How many have asked for a sync.
    asked: AtomicU64,
    covered: Mutex<Covered>,
}

/// Up to which of those that asked there is an answer.
#[derive(Debug, Default)]
struct Covered {
    synced: u64,
    failed: u64,
    syncs: u64,
}

impl Wal {
    /// Of a database file.
    pub fn of(file: &Path) -> Self {
        let mut path = file.as_os_str().to_owned();
        path.push("-wal");
        Self {
            path: path.into(),
            open: AtomicU64::default(),
            stray: AtomicBool::default(),
            asked: AtomicU64::default(),
            covered: Mutex::default(),
        }
    }

    /// To be called before a commit and kept until it is synced: until then, readers may see what is not on the disk.
    pub fn commit(&self) -> Commit<'_> {
        self.open.fetch_add(1, Ordering::SeqCst);
        Commit { wal: self, synced: false }
    }

    /// Makes sure that what a reader has seen is on the disk: it may be told to the outside.
    ///
    /// # Errors
    ///
    /// The disk did not take it.
    pub async fn settle(&self) -> io::Result<()> {
        if self.open.load(Ordering::SeqCst) == 0 && !self.stray.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.sync().await
    }

    async fn sync(&self) -> io::Result<()> {
        let ticket = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut covered = self.covered.lock().await;
        if covered.synced >= ticket {
            return Ok(());
        }
        // The kernel may forget data that it once could not write: a later sync says nothing about it.
        if covered.failed >= ticket {
            return Err(io::Error::other("the sync that others waited for failed"));
        }
        let upto = self.asked.load(Ordering::SeqCst);
        let stray = self.stray.swap(false, Ordering::SeqCst);
        let path = self.path.clone();
        let outcome = spawn_blocking(move || sync(&path)).await.map_err(io::Error::other).flatten();
        covered.syncs += 1;
        match outcome {
            Ok(()) => covered.synced = upto,
            Err(_) => {
                covered.failed = upto;
                self.stray.fetch_or(stray, Ordering::SeqCst);
            }
        }
        outcome
    }

    /// How often the disk was asked.
    #[cfg(test)]
    pub async fn syncs(&self) -> u64 {
        self.covered.lock().await.syncs
    }
}

/// A log that is not there was checkpointed, which syncs, by whoever closed the file last.
fn sync(path: &Path) -> io::Result<()> {
    match File::open(path) {
        Ok(log) => log.sync_data(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// A commit that is not on the disk yet.
pub struct Commit<'a> {
    wal: &'a Wal,
    synced: bool,
}

impl Commit<'_> {
    /// Waits until what was committed is on the disk.
    ///
    /// # Errors
    ///
    /// The disk did not take it: after a loss of power the transaction may be gone.
    pub async fn synced(mut self) -> io::Result<()> {
        let outcome = self.wal.sync().await;
        self.synced = outcome.is_ok();
        outcome
    }

    /// Nothing was committed.
    pub fn refused(mut self) {
        self.synced = true;
    }
}

impl Drop for Commit<'_> {
    fn drop(&mut self) {
        if !self.synced {
            self.wal.stray.store(true, Ordering::SeqCst);
        }
        self.wal.open.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use plugin_api::tokio;

    use super::*;

    fn wal() -> (tempfile::TempDir, Wal) {
        let folder = tempfile::tempdir().expect("there is a place for files");
        let wal = Wal::of(&folder.path().join("a.db"));
        std::fs::write(&wal.path, b"frames").expect("it can be written");
        (folder, wal)
    }

    #[tokio::test]
    async fn those_who_wait_at_the_same_time_share_a_sync() {
        let (_folder, wal) = wal();
        let held = wal.covered.lock().await;
        let commits = futures_util::future::join_all((0..50).map(|_| wal.commit().synced()));
        tokio::pin!(commits);
        // All of them have asked.
        assert!(tokio::time::timeout(Duration::ZERO, &mut commits).await.is_err());
        drop(held);
        assert!(commits.await.into_iter().all(|outcome| outcome.is_ok()));
        assert_eq!(wal.syncs().await, 1);
        wal.commit().synced().await.expect("it is synced");
        assert_eq!(wal.syncs().await, 2, "one that comes later is not covered by an earlier sync");
    }

    #[tokio::test]
    async fn a_reader_waits_only_while_something_is_not_on_the_disk() {
        let (_folder, wal) = wal();
        wal.settle().await.expect("nothing is open");
        assert_eq!(wal.syncs().await, 0);
        let commit = wal.commit();
        wal.settle().await.expect("it is synced");
        assert_eq!(wal.syncs().await, 1);
        // Its caller went away between the commit and the sync.
        drop(commit);
        wal.settle().await.expect("it is synced");
        assert_eq!(wal.syncs().await, 2);
        wal.commit().refused();
        wal.settle().await.expect("nothing is open");
        assert_eq!(wal.syncs().await, 2);
    }

    #[tokio::test]
    async fn a_sync_that_failed_is_told_to_each_who_waited_for_it() {
        let (_folder, wal) = wal();
        std::fs::remove_file(&wal.path).expect("it can be removed");
        wal.commit().synced().await.expect("what was checkpointed is on the disk");
        // A link to itself can be opened by nobody, not even by root.
        std::os::unix::fs::symlink(&wal.path, &wal.path).expect("it can be linked");
        let held = wal.covered.lock().await;
        let commits = futures_util::future::join_all((0..5).map(|_| wal.commit().synced()));
        tokio::pin!(commits);
        assert!(tokio::time::timeout(Duration::ZERO, &mut commits).await.is_err());
        drop(held);
        assert!(commits.await.into_iter().all(|outcome| outcome.is_err()));
        assert_eq!(wal.syncs().await, 2, "one for the first, one for the others together");
        assert!(wal.settle().await.is_err(), "a reader is not told what may be lost");
    }
}
