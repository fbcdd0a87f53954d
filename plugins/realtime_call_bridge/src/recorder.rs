//! What passes the core of a call -> a file, while the call goes on. A disk that is slow or full costs the recording, never
//! the call. Old recordings make room for new ones, and only for calls that came about.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    time::SystemTime,
};

use plugin_api::{error::OperationError, tokio::task::spawn_blocking, tracing};

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
    lines: Option<SyncSender<String>>,
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
        let (lines, waiting) = sync_channel(WAITING);
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
            Err(TrySendError::Disconnected(_)) => self.lines = None,
        }
    }
}

impl Unwritten {
    /// The call has come about: what was taken and what comes goes into a file of this folder.
    pub fn write(self, folder: &Path) {
        let (folder, path) = (folder.to_owned(), folder.join(&self.name));
        spawn_blocking(move || {
            let file = begin(&folder, &path, self.kept);
            if let Err(error) = file.and_then(|file| save(file, &self.lines)) {
                tracing::warn!(file = %path.display(), "the call is not recorded: {error}");
            }
        });
    }
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

fn begin(folder: &Path, path: &Path, kept: usize) -> io::Result<BufWriter<File>> {
    fs::create_dir_all(folder)?;
    // What was said on the phone is for who runs the host.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    make_room(folder, path, kept)?;
    Ok(BufWriter::new(file))
}

fn save(mut file: BufWriter<File>, lines: &Receiver<String>) -> io::Result<()> {
    while let Ok(line) = lines.recv() {
        file.write_all(line.as_bytes())?;
        for line in lines.try_iter() {
            file.write_all(line.as_bytes())?;
        }
        // The host may end at any moment.
        file.flush()?;
    }
    Ok(())
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
