//! Small files that somebody names in a configuration: tokens, certificates, secrets. Whatever stands at the path, none
//! of them holds up or fills its reader: a pipe, a device and a mount that does not answer are errors.

use std::{
    fs::{self, File, FileType},
    io::{self, Read as _},
    path::Path,
    sync::mpsc,
    time::Duration,
};

/// How many bytes a file has at most.
pub const LARGEST: u64 = 4 * 1024 * 1024;

/// How long it may take to read one.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Why a file was not read. Its text follows `cannot be read: `.
#[derive(Debug)]
pub enum Unreadable {
    /// The system does not give it.
    System(io::ErrorKind),
    /// Something else than a file is there: a folder, a named pipe, a device …
    NotAFile(&'static str),
    /// It has more bytes than [`LARGEST`].
    TooLarge,
    /// It was not read within [`PATIENCE`].
    TooSlow,
}

impl Unreadable {
    /// Whether there is nothing at all at the path.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::System(io::ErrorKind::NotFound))
    }
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::System(kind) => kind.fmt(formatter),
            Self::NotAFile(what) => write!(formatter, "it is {what}, not a file"),
            Self::TooLarge => write!(formatter, "it is larger than {} MiB", LARGEST >> 20),
            Self::TooSlow => {
                write!(formatter, "it was not read within {PATIENCE:?}; does its disk or mount answer?")
            }
        }
    }
}

impl std::error::Error for Unreadable {}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::System(error.kind())
    }
}

/// The bytes of a file. Blocks, for as long as [`PATIENCE`].
///
/// # Errors
/// Why it was not read.
pub fn read(path: &Path) -> Result<Vec<u8>, Unreadable> {
    let path = path.to_owned();
    within(PATIENCE, move || read_here(&path)).unwrap_or(Err(Unreadable::TooSlow))
}

/// The text of a file. Blocks, for as long as [`PATIENCE`].
///
/// # Errors
/// Why it was not read; `InvalidData` if it is not UTF-8.
pub fn read_text(path: &Path) -> Result<String, Unreadable> {
    String::from_utf8(read(path)?).map_err(|_| Unreadable::System(io::ErrorKind::InvalidData))
}

/// What work comes to on a thread of its own; `None` if that takes longer, and the thread is given up: the system lets
/// nobody end one that waits for a mount that is gone.
pub fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, outcome) = mpsc::channel();
    let thread = std::thread::Builder::new().name("file".to_owned());
    let spawned = thread.spawn(move || {
        // Nobody waits any more if the limit has passed.
        let _ = done.send(work());
    });
    spawned.ok()?;
    outcome.recv_timeout(limit).ok()
}

fn read_here(path: &Path) -> Result<Vec<u8>, Unreadable> {
    // Before it is opened: opening a pipe waits for its writer, and opening a device may do anything.
    check_kind(fs::metadata(path)?.file_type())?;
    let file = File::open(path)?;
    // Another one may have taken its place.
    check_kind(file.metadata()?.file_type())?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST { Err(Unreadable::TooLarge) } else { Ok(bytes) }
}

fn check_kind(kind: FileType) -> Result<(), Unreadable> {
    other_kind(kind).map_or(Ok(()), |what| Err(Unreadable::NotAFile(what)))
}

/// What is at a path that is no regular file, in words; `None` for one that is.
pub fn other_kind(kind: FileType) -> Option<&'static str> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        if kind.is_fifo() {
            return Some("a named pipe");
        }
        if kind.is_socket() {
            return Some("a socket");
        }
        if kind.is_char_device() || kind.is_block_device() {
            return Some("a device");
        }
    }
    match (kind.is_file(), kind.is_dir()) {
        (true, _) => None,
        (false, true) => Some("a folder"),
        (false, false) => Some("something else"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: &str) {
        let told = read(Path::new(path)).map_or_else(|error| error.to_string(), |_| "read".to_owned());
        assert_eq!(told, expected, "{path}");
    }

    #[test]
    fn only_files_are_read() {
        check("Cargo.toml", "read");
        check("no-such-file", "entity not found");
        check("src", "it is a folder, not a file");
        check("/dev/zero", "it is a device, not a file");
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read_to_its_end() {
        let path = std::env::temp_dir().join(format!("switchboard-large-{}", std::process::id()));
        let sparse = File::create(&path).unwrap();
        sparse.set_len(LARGEST).unwrap();
        check(path.to_str().unwrap(), "read");
        sparse.set_len(LARGEST + 1).unwrap();
        check(path.to_str().unwrap(), "it is larger than 4 MiB");
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn work_that_does_not_end_is_given_up() {
        let (held, waits) = mpsc::channel::<()>();
        assert_eq!(within(Duration::from_millis(1), move || waits.recv().is_ok()), None);
        assert_eq!(within(PATIENCE, || 7), Some(7));
        drop(held);
    }
}
