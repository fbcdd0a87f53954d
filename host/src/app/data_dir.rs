//! The folder for everything durable: made, locked against a second host, and the place where the command line finds
//! the running one.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use plugin_api::files::{self, Unreadable};
use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
};
use serde::{Deserialize, Serialize};

use super::private::{self, Exposed};

/// Where a running host says where it listens.
const RUN_FILE: &str = "run.json";
/// Held by the running host, whose process it names.
const LOCK: &str = "lock";
/// The command line tries the lock for a moment in order to learn whether a host holds it.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It cannot be made or written to.
    #[error(
        "`data_dir` cannot be used: `{path}`: {reason}; {advice}",
        path = .path.display(), advice = super::advice::data_dir(.reason)
    )]
    Unusable {
        /// The folder, or the file in it.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// Other users of this machine could read or change what is in it.
    #[error("`data_dir` cannot be used: {0}")]
    Exposed(#[from] Exposed),
    /// Another host runs there.
    #[error(
        "another host runs in `{path}`{found}; stop it, or give this one a `data_dir` of its own",
        path = .path.display(), found = .found.as_ref().map(|run| format!(" (process {}, http://{})", run.pid, run.address)).unwrap_or_default()
    )]
    Locked {
        /// The folder.
        path: PathBuf,
        /// What the other host says of itself.
        found: Option<RunFile>,
    },
}

/// What a running host says of itself in `run.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFile {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Since when.
    pub started_at: Timestamp,
}

impl RunFile {
    /// What the host that runs in this folder says of itself; `None` if none does. A file that a host left behind is not
    /// believed: who listens at that address by now may be anybody, and would be sent the operator's token.
    ///
    /// # Errors
    /// This user may not look.
    pub fn read(data_dir: &Path) -> Result<Option<Self>, Unreadable> {
        let run = match files::read(&data_dir.join(RUN_FILE)) {
            Err(error) if error.is_missing() => return Ok(None),
            bytes => serde_json::from_slice::<Self>(&bytes?),
        };
        let holder = holder(&data_dir.join(LOCK))?;
        Ok(run.ok().filter(|run| holder == Some(run.pid)))
    }
}

/// The process that holds a lock, if one does.
fn holder(lock: &Path) -> Result<Option<u32>, Unreadable> {
    let file = match File::open(lock) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(|error| Unreadable::System(error.kind()))?,
    };
    if !matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
        return Ok(None);
    }
    let Ok(process) = files::read_text(lock)?.trim().parse::<i32>() else { return Ok(None) };
    // A host that is starting holds the lock a moment before it names itself there.
    let is_alive =
        Pid::from_raw(process).is_some_and(|process| test_kill_process(process) != Err(Errno::SRCH));
    Ok(u32::try_from(process).ok().filter(|_| is_alive))
}

/// The folder, locked as long as this lives.
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the folder if it is not there, and locks it.
    ///
    /// # Errors
    /// It cannot be used, or another host runs there.
    pub fn lock(path: &Path) -> Result<Self, DataDirError> {
        let unusable = |path: &Path| {
            let path = path.to_owned();
            move |reason| DataDirError::Unusable { path, reason }
        };
        private::from_now_on();
        std::fs::create_dir_all(path).map_err(unusable(path))?;
        private::close_all(path)?;
        let file = path.join(LOCK);
        // Not emptied: it may be another host's.
        let options = OpenOptions::new().create(true).truncate(false).write(true).open(&file);
        let mut lock = options.map_err(unusable(&file))?;
        let begun = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if begun.elapsed() < LOCK_PATIENCE => {
                    sleep(LOCK_PATIENCE / 10);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(DataDirError::Locked {
                        path: path.to_owned(),
                        found: RunFile::read(path).ok().flatten(),
                    });
                }
                Err(TryLockError::Error(reason)) => {
                    return Err(DataDirError::Unusable { path: file, reason });
                }
            }
        }
        let mut named = || {
            lock.set_len(0)?;
            lock.write_all(std::process::id().to_string().as_bytes())
        };
        named().map_err(unusable(&file))?;
        let locked = Self { path: path.to_owned(), _lock: lock };
        // One that was killed has left it.
        locked.retract();
        Ok(locked)
    }

    /// What tells this folder, and so the host that runs in it, from every other: made once.
    pub(super) fn host_id(&self) -> Result<String, DataDirError> {
        let file = self.path.join("host_id");
        match files::read_text(&file) {
            Ok(id) if !id.trim().is_empty() => return Ok(id.trim().to_owned()),
            Err(error) if !error.is_missing() => {
                let reason = io::Error::other(error);
                return Err(DataDirError::Unusable { path: file, reason });
            }
            _ => {}
        }
        let id: String = super::letters().take(16).collect();
        self.write("host_id", format!("{id}\n").as_bytes())?;
        Ok(id)
    }

    /// Says where the host listens.
    pub(super) fn announce(&self, address: SocketAddr) -> Result<(), DataDirError> {
        let run = RunFile {
            address,
            pid: std::process::id(),
            version: super::VERSION.to_owned(),
            started_at: Timestamp::now(),
        };
        let json = serde_json::to_vec_pretty(&run).map_err(io::Error::other);
        let json =
            json.map_err(|reason| DataDirError::Unusable { path: self.path.join(RUN_FILE), reason })?;
        self.write(RUN_FILE, &json)
    }

    /// Written beside and renamed, so that no reader sees half of it.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DataDirError> {
        let (file, beside) = (self.path.join(name), self.path.join(format!("{name}.new")));
        let written = std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, &file));
        written.map_err(|reason| DataDirError::Unusable { path: file, reason })
    }

    /// Takes back what [`DataDir::announce`] said.
    pub(super) fn retract(&self) {
        // If it cannot be removed, its process is gone all the same, and the lock with it.
        let _ = std::fs::remove_file(self.path.join(RUN_FILE));
    }
}
