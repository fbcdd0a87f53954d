//! SQLite's write-ahead log on its way to the disk. SQLite itself commits without waiting for the disk
//! (`synchronous = normal`), so that its one writer is free for the next transaction; whoever committed then waits for
//! one `fdatasync` of the log, which all who wait at that time share. Nothing is answered before it.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use plugin_api::tokio::{
    self,
    sync::{Mutex, OwnedMutexGuard},
    task::spawn_blocking,
};

/// The log of one file.
#[derive(Debug)]
pub struct Wal {
    path: PathBuf,
    /// Transactions between their commit and the end of the sync that covers it.
    open: AtomicU64,
    /// Those of them that were given up before they were synced.
    strays: AtomicU64,
    /// A sync failed. The kernel may have dropped the data that it could not write, so a later sync proves nothing: only
    /// a checkpoint, which writes it to the database file, does.
    broken: AtomicBool,
    /// How many have asked for a sync.
    asked: AtomicU64,
    covered: Arc<Mutex<Covered>>,
}

/// Up to which of those that asked the log is on the disk.
#[derive(Debug, Default)]
struct Covered {
    synced: u64,
    syncs: u64,
}

impl Wal {
    /// Of a database file.
    pub fn of(file: &Path) -> Arc<Self> {
        let mut path = file.as_os_str().to_owned();
        path.push("-wal");
        Arc::new(Self {
            path: path.into(),
            open: AtomicU64::default(),
            strays: AtomicU64::default(),
            broken: AtomicBool::default(),
            asked: AtomicU64::default(),
            covered: Arc::default(),
        })
    }

    /// To be called before a commit and kept until it is synced: until then, readers may see what is not on the disk.
    pub fn commit(self: &Arc<Self>) -> Commit {
        self.open.fetch_add(1, Ordering::SeqCst);
        Commit { wal: self.clone(), over: false }
    }

    /// Makes sure that everything a reader has seen is on the disk: it may be told to the outside.
    ///
    /// # Errors
    /// The disk did not take it.
    pub async fn settle(self: &Arc<Self>) -> io::Result<()> {
        let is_settled = [&self.open, &self.strays].iter().all(|count| count.load(Ordering::SeqCst) == 0);
        if is_settled && !self.is_broken() { Ok(()) } else { self.sync().await }
    }

    /// Whether the log is not trusted until a checkpoint has written all of it to the database file.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }

    /// Such a checkpoint has ended well.
    pub fn mended(&self) {
        self.broken.store(false, Ordering::SeqCst);
    }

    async fn sync(self: &Arc<Self>) -> io::Result<()> {
        let ticket = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let covered = self.covered.clone().lock_owned().await;
        if covered.synced >= ticket {
            return Ok(());
        }
        if self.is_broken() {
            return Err(io::Error::other("an earlier sync of its log failed"));
        }
        // A task of its own, which outlives its caller: a disk that hangs holds up one thread, not one for each caller.
        tokio::spawn(self.clone().sync_now(covered)).await.map_err(io::Error::other)?
    }

    async fn sync_now(self: Arc<Self>, mut covered: OwnedMutexGuard<Covered>) -> io::Result<()> {
        let (upto, strays) = (self.asked.load(Ordering::SeqCst), self.strays.load(Ordering::SeqCst));
        let path = self.path.clone();
        let outcome = spawn_blocking(move || sync(&path)).await.map_err(io::Error::other).flatten();
        covered.syncs += 1;
        if outcome.is_ok() {
            covered.synced = upto;
            self.strays.fetch_sub(strays, Ordering::SeqCst);
        } else {
            self.broken.store(true, Ordering::SeqCst);
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
pub struct Commit {
    wal: Arc<Wal>,
    over: bool,
}

impl Commit {
    /// Waits until the transaction is on the disk.
    ///
    /// # Errors
    /// The disk did not take it: after a loss of power the transaction may be gone.
    pub async fn synced(mut self) -> io::Result<()> {
        let outcome = self.wal.sync().await;
        self.over = outcome.is_ok();
        outcome
    }

    /// Nothing was committed.
    pub fn refused(mut self) {
        self.over = true;
    }
}

impl Drop for Commit {
    fn drop(&mut self) {
        if !self.over {
            self.wal.strays.fetch_add(1, Ordering::SeqCst);
        }
        self.wal.open.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use plugin_api::tokio;

    use super::*;

    fn wal() -> (tempfile::TempDir, Arc<Wal>) {
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

        // The disk takes data again, which says nothing of the data that it did not take.
        std::fs::remove_file(&wal.path).expect("it can be removed");
        assert!(wal.commit().synced().await.is_err());
        assert!(wal.settle().await.is_err(), "a reader is not told what may be lost");
        wal.mended();
        wal.settle().await.expect("it is in the database file");
        wal.commit().synced().await.expect("it is synced");
    }

    #[tokio::test]
    async fn a_caller_who_leaves_takes_no_sync_away_from_the_others() {
        let (_folder, wal) = wal();
        std::fs::remove_file(&wal.path).expect("it can be removed");
        // To open a pipe waits for its writer: a disk that hangs.
        let made = std::process::Command::new("mkfifo").arg(&wal.path).status().expect("coreutils are there");
        assert!(made.success());
        drop(wal.commit());
        let soon = Duration::from_millis(50);
        for _ in 0..3 {
            let settled = tokio::time::timeout(soon, wal.settle()).await;
            assert!(settled.is_err(), "nobody is told what is not on the disk: {settled:?}");
        }
        let open =
            File::options().read(true).write(true).open(&wal.path).expect("a pipe can be opened both ways");
        assert!(wal.settle().await.is_err(), "a pipe cannot be synced");
        drop(open);
        assert_eq!(wal.syncs().await, 1, "one thread waited for the disk");
    }
}
