//! A command becomes a process whose output can be read while it runs, and which never outlives the test.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::wait_until;

/// A running process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// What a process left behind.
#[derive(Debug, PartialEq, Eq)]
pub struct Finished {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

impl Process {
    /// Starts a command; its output goes to files named after `label` in `folder`. Its standard input is silent, and
    /// closed when the test is gone, however that ends: a partner may take it as a sign to end.
    ///
    /// # Errors
    /// If there is no such program, or no file can be made.
    pub fn start(command: &mut Command, folder: &Path, label: &str) -> io::Result<Self> {
        let [stdout, stderr] = ["stdout", "stderr"].map(|output| folder.join(format!("{label}.{output}")));
        let outputs = [File::create(&stdout)?, File::create(&stderr)?].map(Stdio::from);
        Ok(Self { child: spawn(command, outputs)?, stdout, stderr })
    }

    /// The same with outputs of the caller's, of which nothing can be read here.
    ///
    /// # Errors
    /// If there is no such program.
    pub fn start_with(command: &mut Command, outputs: [Stdio; 2]) -> io::Result<Self> {
        let child = spawn(command, outputs)?;
        Ok(Self { child, stdout: PathBuf::new(), stderr: PathBuf::new() })
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// What it has complained of so far.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Both outputs, for the message of a failed test.
    pub fn output(&self) -> String {
        let name = self.stdout.file_stem().unwrap_or_default().display();
        format!("--- stdout of {name}\n{}\n--- stderr of {name}\n{}", self.stdout(), self.stderr())
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        self.exit().is_none()
    }

    /// Sends a signal; to a process that has ended, none.
    pub fn signal(&mut self, signal: Signal) {
        if self.is_running() {
            let sent =
                i32::try_from(self.id()).ok().and_then(Pid::from_raw).map(|id| kill_process(id, signal));
            assert!(matches!(sent, Some(Ok(()))), "the process takes no signal: {sent:?}");
        }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it does not end within the limit.
    #[track_caller]
    pub fn wait(mut self) -> Finished {
        let status = wait_until("the process to end", || self.exit(), Option::is_some);
        let code = status.and_then(|status| status.code());
        Finished { code, stdout: self.stdout(), stderr: self.stderr() }
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        if self.is_running() {
            // It may end by itself in between, which is as good.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    fn exit(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }
}

/// A test that fails shows what its processes said.
impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.output());
        }
        self.kill();
    }
}

fn spawn(command: &mut Command, outputs: [Stdio; 2]) -> io::Result<Child> {
    let [stdout, stderr] = outputs;
    command.stdin(Stdio::piped()).stdout(stdout).stderr(stderr).spawn()
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
