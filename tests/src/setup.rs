//! plugins.toml, files and variables become a folder of their own to start a host in. Nothing of the environment of the
//! test reaches the host.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    artifacts::artifacts,
    process::{Finished, Process},
};

/// What a host is started with. Inert until [`Setup::start`] or [`Setup::command`].
#[derive(Debug)]
pub struct Setup {
    folder: TempDir,
    variables: BTreeMap<String, String>,
}

impl Setup {
    /// A folder with this plugins.toml; the host listens on a port that it picks.
    pub fn new(plugins_toml: &str) -> Self {
        Self::empty().file("plugins.toml", plugins_toml)
    }

    /// A folder without plugins.toml.
    pub fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("switchboard-").tempdir().expect("a folder can be made");
        let variables = BTreeMap::from([("SWITCHBOARD_LISTEN".to_owned(), "127.0.0.1:0".to_owned())]);
        Self { folder, variables }
    }

    /// With a variable in the host's environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Without a variable that was set before.
    pub fn without_env(mut self, name: &str) -> Self {
        self.variables.remove(name);
        self
    }

    /// With a file, its path relative to the folder.
    pub fn file(self, path: &str, contents: impl AsRef<[u8]>) -> Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder can be made");
        fs::write(path, contents).expect("a file can be written");
        self
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in the folder.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder().join(relative)
    }

    /// Leaves the folder where it is, for somebody to look into.
    pub fn keep(self) -> PathBuf {
        self.folder.keep()
    }

    /// Starts `switchboard` with these arguments and outputs, and waits for nothing.
    pub fn spawn_with(&self, arguments: &[&str], stdout: Stdio, stderr: Stdio) -> Process {
        Process::start_with(&mut self.prepared(arguments), [stdout, stderr])
            .expect("the binary can be started")
    }

    /// Starts `switchboard` with these arguments, and waits for nothing.
    pub fn spawn(&self, arguments: &[&str]) -> Process {
        let label = format!("{}-{}", arguments.first().unwrap_or(&"run"), unique());
        Process::start(&mut self.prepared(arguments), self.folder(), &label)
            .expect("the binary can be started")
    }

    /// Runs `switchboard` with these arguments to its end.
    #[track_caller]
    pub fn command(&self, arguments: &[&str]) -> Finished {
        self.spawn(arguments).wait()
    }

    /// The same as [`Setup::command`], with every mention of the folder replaced by `<folder>`.
    #[track_caller]
    pub fn command_without_paths(&self, arguments: &[&str]) -> Finished {
        let Finished { code, stdout, stderr } = self.command(arguments);
        let folder = self.folder().display().to_string();
        Finished {
            code,
            stdout: stdout.replace(&folder, "<folder>"),
            stderr: stderr.replace(&folder, "<folder>"),
        }
    }

    fn prepared(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(artifacts().binary());
        command.args(arguments).current_dir(self.folder()).env_clear().envs(&self.variables);
        command
    }
}

/// A number that no other call in this process got.
fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
