//! The outside system, here a file with a note on each line. An error there becomes a [`Failure`], whose code decides
//! what the host does: wait and retry, ask a person, or say which setting to fix.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use plugin_api::{prelude::*, tokio};

/// A way to the outside system.
pub struct Client {
    file: PathBuf,
}

impl Client {
    /// A way to this file; touches nothing yet.
    pub fn new(file: PathBuf) -> Self {
        Self { file }
    }

    /// Asks what only a working connection can answer, at the least cost.
    pub async fn verify(&self) -> Result<(), Failure> {
        self.blocking(|file| open(file).map(drop)).await
    }

    /// Adds a note.
    pub async fn add(&self, note: String) -> Result<(), Failure> {
        self.blocking(move |file| writeln!(open(file)?, "{note}")).await
    }

    /// All notes, the oldest first.
    pub async fn notes(&self) -> Result<Vec<String>, Failure> {
        let text = self.blocking(|file| open(file).and_then(|_| fs::read_to_string(file))).await?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Works with the file on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let file = self.file.clone();
        let done = tokio::task::spawn_blocking(move || work(&file).map_err(|error| failure(&file, &error)));
        done.await.unwrap_or_else(|error| Err(Failure::internal(format!("the work was aborted: {error}"))))
    }
}

fn open(file: &Path) -> io::Result<fs::File> {
    OpenOptions::new().create(true).append(true).read(true).open(file)
}

/// What an error of the outside system means for the plugin as a whole.
fn failure(file: &Path, error: &io::Error) -> Failure {
    let name = file.display();
    match error.kind() {
        ErrorKind::NotFound => {
            Failure::config_invalid(format!("the folder of `{name}` does not exist")).setting("file")
        }
        ErrorKind::PermissionDenied => Failure::forbidden(format!("the host may not use `{name}`")),
        _ => Failure::unavailable(format!("`{name}` cannot be used: {error}")),
    }
}
