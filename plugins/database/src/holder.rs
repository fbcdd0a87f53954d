//! One process at a time has an SQLite file: it holds a lock on a file beside it. Leases of other processes end at once on
//! SQLite (`plugin_api::process`), which is right only if there are none. Processes that share data need PostgreSQL.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
    thread::sleep,
    time::{Duration, Instant},
};

use plugin_api::error::{Failure, FixAction};

/// A process that ends may hold it for a moment longer.
const PATIENCE: Duration = Duration::from_millis(500);

/// What this process holds: an instance that hangs shares its lock with the one in its place.
static HELD: Mutex<BTreeMap<PathBuf, Weak<File>>> = Mutex::new(BTreeMap::new());

/// Holds the file as long as the answer lives. `None` if there can be no lock: what is wrong is said when the database is
/// opened.
///
/// # Errors
/// Another process holds it.
pub fn hold(database: &Path) -> Result<Option<Arc<File>>, Failure> {
    let Some(path) = lock_path(database) else { return Ok(None) };
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(file) = held.get(&path).and_then(Weak::upgrade) {
        return Ok(Some(file));
    }
    // One that lies on a read-only disk can be locked as well.
    let create = || OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let Ok(file) = File::open(&path).or_else(|_| create()) else { return Ok(None) };
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => sleep(PATIENCE / 10),
            Err(TryLockError::WouldBlock) => return Err(in_use(database)),
            // Some network file systems know no locks.
            Err(TryLockError::Error(_)) => return Ok(None),
        }
    }
    let file = Arc::new(file);
    held.insert(path, Arc::downgrade(&file));
    Ok(Some(file))
}

/// `main.db-lock` beside `main.db`, by whatever way that is named. `None` if its folder is not there.
fn lock_path(database: &Path) -> Option<PathBuf> {
    let real = database.canonicalize().or_else(|_| {
        let folder = database.parent().unwrap_or(database).canonicalize()?;
        Ok::<_, std::io::Error>(folder.join(database.file_name().unwrap_or_default()))
    });
    let real = real.ok()?;
    let mut name = real.file_name()?.to_owned();
    name.push("-lock");
    Some(real.with_file_name(name))
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
