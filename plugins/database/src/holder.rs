//! One process at a time has an SQLite file: it holds a lock on a file beside it. Leases of other processes end at once on
//! SQLite (`plugin_api::process`), which is right only if there are none. Processes that share data need PostgreSQL.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions, TryLockError},
    io::{Error, ErrorKind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
    thread::sleep,
    time::{Duration, Instant},
};

use plugin_api::{
    error::{Failure, FixAction},
    tracing,
};

/// A process that ends may hold it for a moment longer.
const PATIENCE: Duration = Duration::from_millis(500);

/// What this process holds: an instance that hangs shares its lock with the one in its place.
static HELD: Mutex<BTreeMap<PathBuf, Weak<File>>> = Mutex::new(BTreeMap::new());

/// The file is ours as long as this lives; nothing if no lock can be had.
pub type Hold = Option<Arc<File>>;

/// Holds the file. Blocks for a moment if another process has it.
///
/// # Errors
/// Another process holds it, or a person must mend something first.
pub fn hold(database: &Path) -> Result<Hold, Failure> {
    match lock(database) {
        Ok(Some(file)) => Ok(Some(file)),
        Ok(None) => Err(in_use(database)),
        Err(error) if is_impossible(error.kind()) => {
            tracing::warn!(
                %error,
                "no other host is kept out of the SQLite file `{}`, because no lock can be had beside it: let only this \
                 one use it",
                database.display()
            );
            Ok(None)
        }
        Err(error) => Err(no_lock(database, &error)),
    }
}

/// `None`: another process has it.
fn lock(database: &Path) -> Result<Option<Arc<File>>, Error> {
    let path = lock_path(database)?;
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(file) = held.get(&path).and_then(Weak::upgrade) {
        return Ok(Some(file));
    }
    // One that lies on a read-only disk can be locked as well.
    let file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            OpenOptions::new().create(true).truncate(false).write(true).open(&path)?
        }
        opened => opened?,
    };
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => sleep(PATIENCE / 10),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    let file = Arc::new(file);
    held.insert(path, Arc::downgrade(&file));
    Ok(Some(file))
}

/// Nobody can mend it, or the database itself says better what is wrong: its folder is gone, or a disk is read-only. Some
/// network file systems know no locks.
fn is_impossible(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::ReadOnlyFilesystem | ErrorKind::Unsupported)
}

/// `main.db-lock` beside `main.db`, by whatever way that is named.
fn lock_path(database: &Path) -> Result<PathBuf, Error> {
    let real = match database.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let folder = database.parent().unwrap_or(database).canonicalize()?;
            folder.join(database.file_name().unwrap_or_default())
        }
        found => found?,
    };
    let mut name = real.file_name().unwrap_or_default().to_owned();
    name.push("-lock");
    Ok(real.with_file_name(name))
}

fn no_lock(database: &Path, error: &Error) -> Failure {
    let path = database.display();
    Failure::config_invalid(format!(
        "the SQLite file `{path}` cannot be reserved by a lock on `{path}-lock`: {error}"
    ))
    .setting("url")
    .advise(
        FixAction::CorrectSetting,
        format!("Let the user of this host read and write `{path}-lock` and its folder"),
    )
}

fn in_use(database: &Path) -> Failure {
    let path = database.display();
    Failure::unavailable(format!("the SQLite file `{path}` is in use by another host"))
        .certain()
        .advise(
            FixAction::CorrectSetting,
            format!("Stop the other host that uses `{path}`, give this one a file of its own, or share data by PostgreSQL"),
        )
}
