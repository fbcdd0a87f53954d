//! A PostgreSQL server of Debian's package, in a folder of its own. It ends with the test process, however that ends.

use std::{
    env, fs,
    io::Write as _,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use plugin_api::{requests::sql::Query, serde_json::Value as Json, tokio::time::sleep};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, Row as _, postgres::PgConnectOptions};
use tempfile::TempDir;

use super::client;

/// Of the superuser `postgres`. It has what must be escaped in a URL.
const PASSWORD: &str = "hu%2Fsh%40";

/// Runs the server until the test process has gone: then nothing holds the other end of its standard input.
const UNTIL_WE_END: &str = r#""$@" & server=$!; cat > /dev/null; kill -INT $server; wait $server"#;

pub struct Server {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
    process: Option<Child>,
}

impl Server {
    /// The one that tests share, each with a database of its own. `None`: the test is to be skipped.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Server>> = OnceLock::new();
        SHARED.get_or_init(Self::new).as_ref()
    }

    /// A server of its own, running. `None`: the test is to be skipped.
    pub fn new() -> Option<Self> {
        let Some(programs) = programs() else {
            assert!(
                env::var("CI").as_deref() != Ok("true"),
                "PostgreSQL is not installed: apt-get install postgresql"
            );
            eprintln!("skipped: PostgreSQL is not installed (apt-get install postgresql)");
            return None;
        };
        let folder = TempDir::new().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("our own folder");
        let mut password = fs::File::create(folder.path().join("password")).expect("our own folder");
        password.write_all(b"hu/sh@").expect("our own file");
        let mut server = Self { folder, programs, port: free_port(), process: None };
        let initialised = server
            .program("initdb")
            .args(["--username=postgres", "--auth=scram-sha-256", "--no-sync", "--locale=C.UTF-8"])
            .arg(format!("--pwfile={}", server.path("password")))
            .arg(format!("--pgdata={}", server.path("data")))
            .output()
            .expect("initdb can be run");
        assert!(initialised.status.success(), "{}", String::from_utf8_lossy(&initialised.stderr));
        server.start(&[]);
        Some(server)
    }

    /// Starts it, and waits until it answers.
    pub fn start(&mut self, settings: &[&str]) {
        let server = self.program("postgres");
        let mut watched = Command::new("sh");
        watched.args(["-c", UNTIL_WE_END, "sh"]).arg(server.get_program()).args(server.get_args());
        watched.args(["-D", &self.path("data"), "-k", &self.path(""), "-p", &self.port.to_string()]);
        watched.args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=200"]);
        watched.args(settings.iter().flat_map(|setting| ["-c", setting]));
        let log = fs::File::create(self.folder.path().join("log")).expect("our own folder");
        let process =
            watched.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).current_dir("/").spawn();
        self.process = Some(process.expect("a shell"));
        super::run(async {
            let client = client(&self.url("postgres"), Json::Null);
            for _ in 0..600 {
                if client.probe().await.is_ok() {
                    return;
                }
                sleep(Duration::from_millis(50)).await;
            }
            panic!("the server does not start: {}", fs::read_to_string(self.path("log")).unwrap_or_default());
        });
    }

    /// Stops it, and waits until it has gone.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.stdin.take());
            process.wait().expect("our own child");
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Makes a file in its folder readable for the server alone.
    pub fn own(&self, name: &str) {
        let path = self.path(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("our own file");
        if is_root() {
            let owned = Command::new("chown").args(["postgres", &path]).status();
            assert!(owned.is_ok_and(|status| status.success()), "root may give files away");
        }
    }

    pub fn url(&self, database: &str) -> String {
        self.url_at(self.port, database)
    }

    /// As reached by another port.
    pub fn url_at(&self, port: u16, database: &str) -> String {
        format!("postgres://postgres:{PASSWORD}@127.0.0.1:{port}/{database}")
    }

    /// Makes an empty database. Gives its URL.
    pub async fn new_database(&self) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let options: PgConnectOptions = self.url("postgres").parse().expect("a URL");
        let mut connection = options.connect().await.expect("a server that runs");
        connection.execute(AssertSqlSafe(format!("create database {name}"))).await.expect("a new name");
        self.url(&name)
    }

    /// Changes a setting of the server, for connections that are there, too.
    pub async fn set(&self, name: &str, value: &str) {
        let options: PgConnectOptions = self.url("postgres").parse().expect("a URL");
        let mut connection = options.connect().await.expect("a server that runs");
        let alter = format!("alter system set {name} = '{value}'");
        connection.execute(AssertSqlSafe(alter)).await.expect("a setting");
        connection.execute("select pg_reload_conf()").await.expect("it is read");
        // Each connection takes it in before its next statement, soon after the signal.
        for _ in 0..600 {
            let show = AssertSqlSafe(format!("select current_setting('{name}') = '{value}'"));
            let row = connection.fetch_one(sqlx::raw_sql(show)).await.expect("an answer");
            if row.get::<bool, _>(0) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
        panic!("the setting is not taken in");
    }

    /// Waits until the server executes a statement of this text for somebody else.
    pub async fn until_busy_with(&self, database: &str, text: &str, busy: bool) {
        let client = client(&self.url(database), Json::Null);
        let query = Query::new(
            "select 1 from pg_stat_activity where state = 'active' and pid <> pg_backend_pid() and query like $1",
        )
        .bind(format!("%{text}%"));
        for _ in 0..600 {
            if client.query(&query, None).await.expect("the server answers").is_empty() != busy {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
        panic!("waited in vain for `{text}`");
    }

    /// A program of PostgreSQL.
    fn program(&self, name: &str) -> Command {
        self.as_server_user(&self.programs.join(name))
    }

    /// A program that refuses to be run by root.
    pub fn as_server_user(&self, program: &Path) -> Command {
        if !is_root() {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
            .arg(program)
            .current_dir("/");
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| std::os::unix::fs::MetadataExt::uid(&process) == 0)
}

/// Debian keeps each major version in a folder of its own.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> =
        versions.filter_map(|version| Some(version.ok()?.path().join("bin"))).collect();
    found.sort();
    found.into_iter().rfind(|folder| Path::new(folder).join("initdb").exists())
}

/// A port that nobody has taken.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}
