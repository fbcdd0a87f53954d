//! What passes the core of a call -> a file, while the call goes on. A disk that is slow or full costs the recording, never
//! the call. Old recordings make room for new ones, and only for calls that came about.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    mem,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use plugin_api::{
    error::OperationError,
    tokio::{
        self,
        sync::mpsc::{Receiver, Sender, channel, error::TrySendError},
        task::{JoinHandle, spawn_blocking},
    },
    tracing,
};

use crate::{
    recording::{Header, Line, What, write},
    settings::Recording,
};

/// How many lines may wait for the disk.
const WAITING: usize = 4096;
/// What recordings end with.
const ENDING: &str = "jsonl";

/// Takes what is to be written. Dropping it completes the file.
pub struct Recorder {
    lines: Option<Sender<String>>,
    left: u64,
}

/// What a recorder takes, until it is known whether the call comes about. Dropping it forgets the recording.
pub struct Unwritten {
    lines: Receiver<String>,
    name: String,
    kept: usize,
}

impl Recorder {
    /// Of a call that may come to nothing: no file is touched for it yet.
    pub fn new(recording: Recording, header: &Header) -> (Self, Unwritten) {
        let (lines, waiting) = channel(WAITING);
        let name = format!("{}.{ENDING}", header.stream);
        let mut recorder = Self { lines: Some(lines), left: recording.bytes };
        recorder.put(write(header));
        (recorder, Unwritten { lines: waiting, name, kept: recording.kept })
    }

    /// Writes a line, or cuts the recording here.
    pub fn add(&mut self, line: &Line) {
        let text = write(line);
        if self.left >= text.len() as u64 {
            self.put(text);
        } else if self.lines.is_some() {
            self.put(write(&Line { what: What::Truncated(true), ..line.clone() }));
            self.lines = None;
        }
    }

    fn put(&mut self, text: String) {
        let Some(lines) = &self.lines else { return };
        self.left = self.left.saturating_sub(text.len() as u64);
        match lines.try_send(text) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                tracing::warn!("the disk is too slow: the recording of a call ends here");
                self.lines = None;
            }
            // Said when it ended.
            Err(TrySendError::Closed(_)) => self.lines = None,
        }
    }
}

impl Unwritten {
    /// The call has come about: what was taken and what comes goes into a file of this folder, until all is written.
    pub fn write(self, folder: &Path) -> JoinHandle<()> {
        let (folder, path) = (folder.to_owned(), folder.join(&self.name));
        tokio::spawn(async move {
            if let Err(error) = self.save(folder, path.clone()).await {
                tracing::warn!(file = %path.display(), "the call is not recorded: {error}");
            }
        })
    }

    /// A thread is held only while there is something to write: calls are many, and threads few.
    async fn save(mut self, folder: PathBuf, path: PathBuf) -> io::Result<()> {
        let mut file = blocking(move || begin(&folder, &path, self.kept)).await?;
        let mut lines = Vec::new();
        while self.lines.recv_many(&mut lines, WAITING).await > 0 {
            let text = mem::take(&mut lines).concat();
            file = blocking(move || {
                file.write_all(text.as_bytes())?;
                Ok(file)
            })
            .await?;
        }
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// The text of a recording.
///
/// # Errors
/// `not_found`, with the names there are; `unavailable` if the folder cannot be read.
pub fn load(folder: &Path, name: &str) -> Result<String, OperationError> {
    let is_plain = Path::new(name).file_name().is_some_and(|file| file == name);
    match is_plain.then(|| fs::read_to_string(folder.join(name))) {
        Some(Ok(text)) => Ok(text),
        Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => {
            Err(OperationError::unavailable(format!("the recording `{name}` cannot be read: {error}")))
        }
        _ => {
            let mut names: Vec<_> =
                recordings(folder).into_iter().filter_map(|(_, path)| shown(&path)).collect();
            names.sort();
            Err(OperationError::not_found(format!(
                "there is no recording `{name}`; there are: {}",
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            )))
        }
    }
}

fn shown(path: &Path) -> Option<String> {
    Some(format!("`{}`", path.file_name()?.to_str()?))
}

fn begin(folder: &Path, path: &Path, kept: usize) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    // What was said on the phone is for who runs the host.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    make_room(folder, path, kept)?;
    Ok(file)
}

/// So that with the new one no more are there than are kept.
fn make_room(folder: &Path, new: &Path, kept: usize) -> io::Result<()> {
    let mut there = recordings(folder);
    there.sort();
    let surplus = there.len().saturating_sub(kept);
    there.iter().filter(|(_, path)| path != new).take(surplus).try_for_each(|(_, path)| forget(path))
}

/// A call that began at the same time may have done it.
pub fn forget(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn recordings(folder: &Path) -> Vec<(SystemTime, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let files = entries.filter(|entry| entry.path().extension().is_some_and(|ending| ending == ENDING));
    files.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect()
}
