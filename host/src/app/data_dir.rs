//! The folder for everything durable: made, locked against a second host, and the place where the command line finds
//! the running one.

use std::{
    fs::{File, TryLockError},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use plugin_api::files;
use serde::{Deserialize, Serialize};

/// Where a running host says where it listens.
const RUN_FILE: &str = "run.json";

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
    /// What the host that runs in this folder says of itself; `None` if none does.
    pub fn read(data_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&files::read(&data_dir.join(RUN_FILE)).ok()?).ok()
    }
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
        std::fs::create_dir_all(path).map_err(unusable(path))?;
        let file = path.join("lock");
        let lock = File::create(&file).map_err(unusable(&file))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                Err(DataDirError::Locked { path: path.to_owned(), found: RunFile::read(path) })
            }
            Err(TryLockError::Error(reason)) => Err(DataDirError::Unusable { path: file, reason }),
        }
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
