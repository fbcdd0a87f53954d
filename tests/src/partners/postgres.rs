//! A PostgreSQL cluster in a folder of its own, which can be stopped and started again under the same address.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::Signal;
use tempfile::TempDir;

use super::{Missing, free_port, program, python};
use crate::{
    process::Process,
    wait::{LIMIT, poll},
};

/// The only user of a cluster; the name of the database too.
pub const USER: &str = "switchboard";

/// The user's password: distinct enough to be searched for in outputs, and in need of escaping in a URL.
pub const PASSWORD: &str = "hidden/pa55@word";

const PASSWORD_IN_URL: &str = "hidden%2Fpa55%40word";

/// A cluster; ended when dropped.
pub struct Postgres {
    folder: TempDir,
    programs: PathBuf,
    owner: Option<Owner>,
    port: u16,
    server: Option<Process>,
}

/// PostgreSQL refuses to run as root: root lends it to the user that Debian's package makes.
#[derive(Clone, Copy)]
struct Owner {
    user: u32,
    group: u32,
}

impl Postgres {
    /// Makes a cluster and starts it.
    ///
    /// # Errors
    /// If PostgreSQL is not installed.
    ///
    /// # Panics
    /// If it is, and does not start.
    pub fn start() -> Result<Self, Missing> {
        let postgres = program("postgres", &debian_folders())?;
        Self::start_from(postgres.parent().expect("a program stands in a folder").to_owned())
    }

    /// Makes a cluster with the extension pgvector, of the version that the package `pgserver` brings, and starts it.
    ///
    /// # Errors
    /// If the package is not there, or PostgreSQL's user cannot reach it.
    ///
    /// # Panics
    /// If it is, and does not start.
    pub fn start_with_pgvector() -> Result<Self, Missing> {
        let cluster = Self::start_from(pgserver()?)?;
        cluster.query("create extension vector");
        Ok(cluster)
    }

    fn start_from(programs: PathBuf) -> Result<Self, Missing> {
        let folder = tempfile::Builder::new().prefix("switchboard-postgres-").tempdir().expect("a folder");
        let owner = owner(folder.path())?;
        if let Some(Owner { user, group }) = owner {
            chown(folder.path(), Some(user), Some(group)).expect("root may give a folder away");
        }
        let mut cluster = Self { folder, programs, owner, port: free_port(), server: None };
        let runs = cluster.program("postgres").arg("--version").output();
        if !runs.is_ok_and(|answer| answer.status.success()) {
            return Err(Missing::of("a PostgreSQL that its user can run"));
        }
        cluster.initialise();
        cluster.resume();
        Ok(cluster)
    }

    /// The URL with user and password.
    pub fn url(&self) -> String {
        self.url_with_password(PASSWORD_IN_URL)
    }

    /// The URL with another password.
    pub fn url_with_password(&self, password: &str) -> String {
        format!("postgres://{USER}:{password}@127.0.0.1:{}/postgres", self.port)
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The URL by another way to it, such as a relay's address.
    pub fn url_by_way_of(&self, address: &str) -> String {
        self.url().replace(&self.address(), address)
    }

    /// Starts the server again after [`Postgres::stop`] or [`Postgres::crash`].
    pub fn resume(&mut self) {
        self.server = Some(self.spawn());
        let ready = poll(LIMIT, || self.comes_up(), |ready| *ready);
        let output = self.server.as_ref().map(Process::output).unwrap_or_default();
        assert_eq!(ready, Ok(true), "PostgreSQL does not come up: {output}");
    }

    /// After a crash the orphans of the old server may keep a new one from starting: then it is retried.
    fn comes_up(&mut self) -> bool {
        if !self.server.as_mut().is_some_and(Process::is_running) {
            self.server = Some(self.spawn());
        }
        is_ready(&self.programs, self.port)
    }

    fn spawn(&self) -> Process {
        let mut command = self.program("postgres");
        command
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
            .args(["-c", "unix_socket_directories=", "-c", "shared_buffers=16MB"]);
        Process::start(&mut command, self.folder.path(), "postgres").expect("postgres starts")
    }

    /// Kills the server without warning.
    pub fn crash(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill();
        }
    }

    /// Ends all connections and the server.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.signal(Signal::INT);
            server.wait();
        }
    }

    /// Becomes a standby, as after a failover: it takes no writes until `select pg_promote()`.
    ///
    /// # Panics
    /// If its folder cannot be written.
    pub fn demote(&mut self) {
        self.stop();
        let signal = self.data().join("standby.signal");
        fs::write(&signal, "").expect("our own folder");
        if let Some(Owner { user, group }) = self.owner {
            chown(&signal, Some(user), Some(group)).expect("root may give a file away");
        }
        self.resume();
    }

    /// The folder of the cluster, in which the server may use more than its data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Lets tables be kept in a subfolder of the cluster's folder that is there already.
    ///
    /// # Panics
    /// If it cannot be given to the server.
    pub fn add_tablespace(&self, name: &str) {
        let place = self.folder().join(name);
        if let Some(Owner { user, group }) = self.owner {
            chown(&place, Some(user), Some(group)).expect("root may give a folder away");
        }
        self.query(&format!("create tablespace {name} location '{}'", place.display()));
    }

    /// Changes a setting of the server, for connections that are there, too.
    pub fn set(&self, name: &str, value: &str) {
        self.query(&format!("alter system set {name} = {value}"));
        self.query("select pg_reload_conf()");
    }

    /// Runs SQL, and gives what `psql` prints, unadorned.
    pub fn query(&self, sql: &str) -> String {
        let output = Command::new(self.programs.join("psql"))
            .args(["--no-psqlrc", "--tuples-only", "--no-align", "--command", sql, &self.url()])
            .output()
            .expect("psql starts");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`{sql}` failed: {complaint}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn initialise(&self) {
        let password = self.folder.path().join("password");
        fs::write(&password, PASSWORD).expect("a file can be written");
        let mut initdb = self.program("initdb");
        initdb
            .arg("--pgdata")
            .arg(self.data())
            .arg(format!("--pwfile={}", password.display()))
            .args(["--username", USER, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"])
            .args(["--no-sync", "--no-instructions"]);
        let output = initdb.output().expect("initdb starts");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "initdb failed: {complaint}");
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(self.folder.path());
        if let Some(Owner { user, group }) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            // Killed, it would leave its children and its shared memory behind.
            server.signal(Signal::QUIT);
            let _ = poll(LIMIT, || server.is_running(), |running| !running);
        }
    }
}

fn is_ready(programs: &Path, port: u16) -> bool {
    let mut probe = Command::new(programs.join("pg_isready"));
    let output = probe.args(["--quiet", "--host=127.0.0.1", "--port", &port.to_string()]).output();
    output.is_ok_and(|output| output.status.success())
}

/// Where Debian keeps the servers' programs, the newest first.
fn debian_folders() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    versions.sort();
    versions.reverse();
    versions
}

/// Where the package `pgserver` keeps its PostgreSQL.
fn pgserver() -> Result<PathBuf, Missing> {
    let output = Command::new(python()?)
        .args(["-c", "import pathlib, pgserver; print(pathlib.Path(pgserver.__file__).parent)"])
        .output();
    let found = output.ok().filter(|output| output.status.success());
    let folder = found.and_then(|output| String::from_utf8(output.stdout).ok());
    let programs = folder.map(|folder| Path::new(folder.trim()).join("pginstall/bin"));
    programs
        .filter(|programs| programs.join("postgres").is_file())
        .ok_or_else(|| Missing::of("PostgreSQL with pgvector"))
}

/// Whom the cluster shall belong to; `None` if to the user of this test.
fn owner(own: &Path) -> Result<Option<Owner>, Missing> {
    const ROOT: u32 = 0;
    if fs::metadata(own).expect("it was just made").uid() != ROOT {
        return Ok(None);
    }
    let id = |flag: &str| {
        let output = Command::new("id").args([flag, "postgres"]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    let owner = id("-u").zip(id("-g")).map(|(user, group)| Owner { user, group });
    owner.map(Some).ok_or_else(|| Missing::of("the user `postgres`"))
}
