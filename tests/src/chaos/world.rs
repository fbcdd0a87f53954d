//! The hosts, their partners, and the ways between them, each of which can fail. At the end everything is as it should be
//! again, and what the hosts left behind can be kept.

use std::{
    fs,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{
    carrier::{ACCOUNT, Carrier},
    history::History,
    model::Model,
    plan::{Database, Partner, Partnership, Plan, Trouble},
};
use crate::{
    Setup, TestHost, http,
    partners::{
        Missing, postgres::Postgres, small_disk::SmallDisk, smtp::SmtpServer, stepped_clock::SteppedClock,
    },
    process::Finished,
    relay::{Pace, Relay},
};

/// Twilio signs with it.
pub const TOKEN: &str = "a-token-that-nobody-may-see";
/// The hosts' number.
pub const NUMBER: &str = "+15551234567";
/// Where Twilio believes to find every host.
pub const PUBLIC: &str = "https://example.com";
/// How long a request may take; a host may be paused.
const PATIENCE: Duration = Duration::from_secs(15);
/// How late each piece is on a way that is slow.
const SLOW: Duration = Duration::from_millis(150);
/// A host that is told to stop has five seconds, and what a busy machine adds.
const LONGEST_STOP: Duration = Duration::from_secs(20);

/// Everything around and including the hosts.
pub struct World {
    pub carrier: Carrier,
    pub model: Model,
    pub mails: SmtpServer,
    pub hosts: Vec<Host>,
    postgres: Option<Mutex<Postgres>>,
    disk: Option<SmallDisk>,
}

/// A host, running or not.
pub struct Host {
    state: Mutex<State>,
    /// Where it listens, or did last.
    address: Mutex<String>,
    ways: Vec<(Partner, Relay, String)>,
    clock: Option<SteppedClock>,
    /// How often the settings were changed.
    changes: Mutex<u32>,
    /// When it was paused, and went on.
    pauses: Mutex<Vec<[Duration; 2]>>,
}

enum State {
    Runs(TestHost),
    Rests(Setup),
    /// While it goes from one to the other.
    Neither,
}

impl World {
    /// Starts all of it, and waits until the hosts are connected.
    ///
    /// # Errors
    /// If a partner is not installed.
    pub fn start(plan: &Plan, history: &History) -> Result<Self, Missing> {
        let carrier = Carrier::start(std::time::Instant::now() - history.now());
        let (model, mails) = (Model::start(), SmtpServer::start(&[])?);
        let postgres = match plan.database {
            Database::Postgresql => Some(Postgres::start()?),
            Database::Sqlite => None,
        };
        let mut world =
            Self { carrier, model, mails, hosts: Vec::new(), postgres: postgres.map(Mutex::new), disk: None };
        for _ in 0..plan.hosts {
            let host = world.host(plan)?;
            world.hosts.push(host);
        }
        Ok(world)
    }

    fn host(&mut self, plan: &Plan) -> Result<Host, Missing> {
        let mail = format!("127.0.0.1:{}", self.mails.port());
        let mut targets = vec![
            (Partner::Twilio, self.carrier.address().to_owned()),
            (Partner::Model, self.model.address().to_owned()),
            (Partner::Mail, mail),
        ];
        let url = self.postgres.as_ref().map(|postgres| lock(postgres).url());
        let server = url.as_deref().and_then(|url| url.rsplit('@').next()?.split('/').next());
        targets.extend(server.map(|server| (Partner::Database, server.to_owned())));
        let ways: Vec<_> =
            targets.into_iter().map(|(partner, target)| (partner, Relay::to(&target), target)).collect();
        let way = |partner| {
            let found = ways.iter().find(|(to, ..)| *to == partner);
            found.map(|(_, relay, _)| relay.address().to_owned()).unwrap_or_default()
        };

        let setup = Setup::new(PLUGINS);
        let database = match (&url, server) {
            (Some(url), Some(server)) => url.replace(server, &way(Partner::Database)),
            _ => {
                // Whoever may not mount anything has no full disks.
                self.disk = SmallDisk::mount(&setup.path("store"), 48).ok();
                "sqlite:store/main.db".to_owned()
            }
        };
        let mail = way(Partner::Mail);
        let mut setup = setup
            .env("DATABASE_URL", &database)
            .env("SWITCHBOARD_SECRET_KEY", "+/8QWm2k3J9vQ0xYc1Zt5b7uH8gA2eR4iLpOsTfUdWk=")
            .env("TWILIO_ACCOUNT_SID", ACCOUNT)
            .env("TWILIO_AUTH_TOKEN", TOKEN)
            .env("TWILIO_PHONE_NUMBER", NUMBER)
            .env("TWILIO_API_BASE_URL", &format!("http://{}", way(Partner::Twilio)))
            .env("OPENAI_API_KEY", "a-key-that-nobody-may-see")
            .env("OPENAI_BASE_URL", &format!("http://{}/v1", way(Partner::Model)))
            .env("OPENAI_MODEL", "echo")
            .env("SMTP_SERVER", "127.0.0.1")
            .env("SMTP_PORT", mail.rsplit(':').next().unwrap_or_default())
            .env("SMTP_TLS", "none")
            .env("SMTP_FROM_EMAIL", "switchboard@example.com");
        let mut clock = None;
        if plan.clocks {
            let stepped = SteppedClock::new(setup.folder())?;
            setup = stepped.of_host(setup);
            clock = Some(stepped);
        }
        let host = setup.start();
        for plugin in ["messaging_service", "orchestrator_service", "scheduler_service", "smtp"] {
            host.wait_for_status(plugin, "connected");
        }
        Ok(Host {
            address: Mutex::new(host.address().to_owned()),
            state: Mutex::new(State::Runs(host)),
            ways,
            clock,
            changes: Mutex::new(0),
            pauses: Mutex::default(),
        })
    }

    /// Lets the disk be full for a while; false if there is none that can be.
    pub fn fill_disk(&self, lasts: Duration) -> bool {
        let Some(disk) = &self.disk else { return false };
        disk.fill();
        std::thread::sleep(lasts);
        disk.make_room();
        true
    }

    /// Ends PostgreSQL for a while.
    pub fn restart_postgres(&self, is_crash: bool, lasts: Duration) {
        let Some(postgres) = &self.postgres else { return };
        let mut postgres = lock(postgres);
        if is_crash {
            postgres.crash()
        } else {
            postgres.stop()
        }
        std::thread::sleep(lasts);
        postgres.resume();
    }

    /// Everything works again, and every clock is right.
    pub fn heal(&self) {
        self.carrier.set(Partnership::Good);
        self.model.set(Partnership::Good);
        for host in &self.hosts {
            host.heal();
        }
    }

    /// Answers of the first host to SQL, a list each.
    ///
    /// # Errors
    /// What it answers instead.
    pub fn rows(&self, sql: &str) -> Result<Vec<Vec<Value>>, String> {
        let answer = self.hosts[0].call("database", "query", &json!({ "sql": sql, "row_limit": 20_000 }))?;
        serde_json::from_value(answer["rows"].clone()).map_err(|error| error.to_string())
    }

    /// Ends the hosts, looks into their logs, and keeps everything in a folder if that is wanted or something is found.
    pub fn end(mut self, history: &History, plan: &Plan, mut is_kept: bool) -> Option<PathBuf> {
        let tables: Vec<String> = TABLES.iter().map(|table| self.table(table)).collect();
        let mut setups = Vec::new();
        for (number, host) in self.hosts.iter().enumerate() {
            host.terminate(history, number);
            if let State::Rests(setup) = host.take() {
                is_kept |= judge_logs(&setup, number, history);
                setups.push(setup);
            }
        }
        is_kept |= !history.violations().is_empty();
        if !is_kept {
            drop(self.disk);
            return None;
        }
        let folder = tempfile::Builder::new()
            .prefix(&format!("switchboard-chaos-{}-", plan.seed))
            .tempdir()
            .expect("a folder can be made")
            .keep();
        for (number, setup) in setups.into_iter().enumerate() {
            // A small disk goes with its mount.
            for file in fs::read_dir(setup.path("store")).into_iter().flatten().flatten() {
                let _ = fs::copy(file.path(), setup.path(&format!("{}.kept", file.file_name().display())));
            }
            // Before the folder that it is mounted in moves.
            drop(self.disk.take());
            let kept = setup.keep();
            let _ = fs::rename(&kept, folder.join(format!("host-{number}")));
        }
        let _ = fs::write(folder.join("tables.txt"), tables.join("\n"));
        let _ = fs::write(folder.join("plan.txt"), plan.to_string());
        let _ = fs::write(folder.join("history.txt"), history.text());
        Some(folder)
    }

    fn table(&self, table: &str) -> String {
        let rows = match self.hosts[0].call(
            "database",
            "query",
            &json!({ "sql": format!("select * from {table}"), "row_limit": 20_000 }),
        ) {
            Ok(answer) => {
                let rows = answer["rows"].as_array().cloned().unwrap_or_default();
                let rows: Vec<String> = rows.iter().map(Value::to_string).collect();
                format!("{}\n{}", answer["columns"], rows.join("\n"))
            }
            Err(error) => error,
        };
        format!("== {table}\n{rows}\n")
    }
}

/// What is kept of the database.
const TABLES: [&str; 9] = [
    "messaging_service_inbox",
    "messaging_service_outbox",
    "messaging_service_lanes",
    "messaging_service_threads",
    "twilio_service_outbox",
    "scheduler_service_jobs",
    "scheduler_service_letters",
    "orchestrator_service_runs",
    "orchestrator_service_calls",
];

impl Host {
    /// Where it listens, or did last.
    pub fn address(&self) -> String {
        lock(&self.address).clone()
    }

    /// `kill -9`, and a start after a while.
    pub fn kill(&self, history: &History, number: usize, lasts: Duration) {
        self.is_alive(history, number);
        if let State::Runs(host) = self.take() {
            *lock(&self.state) = State::Rests(host.kill());
        }
        std::thread::sleep(lasts);
        self.start();
    }

    /// SIGTERM, and a start after a while.
    pub fn restart(&self, history: &History, number: usize, lasts: Duration) {
        self.terminate(history, number);
        std::thread::sleep(lasts);
        self.start();
    }

    /// SIGSTOP, and SIGCONT after a while.
    pub fn pause(&self, history: &History, number: usize, lasts: Duration) {
        self.is_alive(history, number);
        let from = history.now();
        self.signal(Signal::STOP);
        std::thread::sleep(lasts);
        self.signal(Signal::CONT);
        lock(&self.pauses).push([from, history.now()]);
    }

    /// Whether it was paused at this time, or went on so shortly before.
    pub fn was_paused(&self, at: Duration, before: Duration) -> bool {
        lock(&self.pauses).iter().any(|[from, until]| *from <= at && at <= *until + before)
    }

    /// From now on its clock is off by so much.
    pub fn step_clock(&self, seconds: i64) {
        if let Some(clock) = &self.clock {
            clock.step_to(seconds);
        }
    }

    /// Changes a setting of a plugin, and reloads; gives what the host says.
    pub fn reload(&self, plugin: &str) -> String {
        let change = {
            let mut changes = lock(&self.changes);
            *changes += 1;
            *changes
        };
        // Only this plugin's setting differs from the file that is there.
        let file = match &*lock(&self.state) {
            State::Runs(host) => host.setup().path("plugins.toml"),
            _ => return "it does not run".to_owned(),
        };
        let text = fs::read_to_string(&file).expect("it is there");
        fs::write(&file, changed(&text, plugin, change)).expect("a file can be written");
        match self.call("host", "reload", &json!({})) {
            Ok(answer) => answer.to_string(),
            Err(error) => error,
        }
    }

    /// Something happens to a way.
    pub fn trouble(&self, partner: Partner, trouble: Trouble) {
        for (_, relay, _) in self.ways.iter().filter(|(to, ..)| *to == partner) {
            match trouble {
                Trouble::Cut => relay.cut(),
                Trouble::Frozen => relay.set_pace(Pace::Frozen),
                Trouble::Slow => relay.set_pace(Pace::Slow(SLOW)),
            }
        }
    }

    /// The way is as it should be.
    pub fn mend(&self, partner: Partner, trouble: Trouble) {
        for (_, relay, target) in self.ways.iter().filter(|(to, ..)| *to == partner) {
            relay.set_pace(Pace::Prompt);
            if trouble == Trouble::Cut {
                relay.lead_to(target);
            }
        }
    }

    /// Asks it anything.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Result<http::Response, String> {
        http::request_within(PATIENCE, &self.address(), method, path, headers, body)
    }

    /// Calls an operation.
    ///
    /// # Errors
    /// If it does not answer, or not with 200.
    pub fn call(&self, plugin: &str, operation: &str, request: &Value) -> Result<Value, String> {
        let headers = [("content-type", "application/json")];
        let path = format!("/api/operations/{plugin}/{operation}");
        let answer = self.ask("POST", &path, &headers, Some(&request.to_string()))?;
        if answer.status == 200 {
            Ok(answer.json())
        } else {
            Err(format!("{} {}", answer.status, answer.body))
        }
    }

    fn heal(&self) {
        for (partner, ..) in &self.ways {
            self.mend(*partner, Trouble::Slow);
        }
        self.step_clock(0);
    }

    fn take(&self) -> State {
        std::mem::replace(&mut *lock(&self.state), State::Neither)
    }

    fn start(&self) {
        let State::Rests(setup) = self.take() else { return };
        let host = setup.start();
        host.address().clone_into(&mut lock(&self.address));
        *lock(&self.state) = State::Runs(host);
    }

    /// SIGTERM; it must end by itself, in time and well.
    pub fn terminate(&self, history: &History, number: usize) {
        self.is_alive(history, number);
        let State::Runs(host) = self.take() else { return };
        let begun = history.now();
        let (Finished { code, stderr, .. }, setup) = host.terminate();
        let took = history.now() - begun;
        if code != Some(0) || took > LONGEST_STOP {
            let last: Vec<_> = stderr.lines().rev().take(5).collect();
            history.violation(format!(
                "host {number} ends with {code:?} after {took:?} when it is told to stop: {last:#?}"
            ));
        }
        *lock(&self.state) = State::Rests(setup);
    }

    /// Nothing but the test ends it.
    pub fn is_alive(&self, history: &History, number: usize) {
        if let State::Runs(host) = &mut *lock(&self.state)
            && !host.process().is_running()
        {
            history.violation(format!("host {number} has ended by itself"));
        }
    }

    fn signal(&self, signal: Signal) {
        if let State::Runs(host) = &mut *lock(&self.state) {
            host.process().signal(signal);
        }
    }
}

/// Looks for panics in what a host has printed in all its lives.
fn judge_logs(setup: &Setup, number: usize, history: &History) -> bool {
    let mut found = false;
    for file in fs::read_dir(setup.folder()).into_iter().flatten().flatten() {
        let name = file.file_name().display().to_string();
        if !name.ends_with(".stderr") {
            continue;
        }
        let text = String::from_utf8_lossy(&fs::read(file.path()).unwrap_or_default()).into_owned();
        for line in text.lines().filter(|line| line.contains("panicked")) {
            history.violation(format!("host {number} panicked ({name}): {line}"));
            found = true;
        }
    }
    found
}

/// Each plugin has a setting that makes no difference to the test: the first number in its section.
const PLUGINS: &str = r#"
[host]
shutdown_grace = "5s"

[plugins.database]
required = true

[plugins.memory_service]

[plugins.orchestrator_service]
tools = ["messaging_service.send", "smtp.send_email"]
approve = ["messaging_service.send", "smtp.send_email"]
calls = { timeout = "310s" }
settings = { tool_result_bytes = 16000, model_timeout = "10s", lease = "5s" }

[plugins.scheduler_service]
settings = { jobs_per_person = 1000, lease = "5s" }

[plugins.messaging_service]
settings = { history_tokens = 1000 }

[plugins.twilio_service]
settings = { call_time_limit = 1000, public_base_url = "https://example.com" }

[plugins.twilio]
settings = { timeout = "10000ms" }

[plugins.openai]
settings = { timeout = "10000ms" }

[plugins.smtp]
settings = { timeout = "10000ms" }
"#;

/// The first number in the settings of a plugin becomes another one.
fn changed(text: &str, plugin: &str, change: u32) -> String {
    let section = format!("[plugins.{plugin}]\n");
    let (before, rest) = text.split_once(&section).expect("it has the plugin");
    let at = rest.find("settings = { ").expect("it has settings");
    let digits = at + rest[at..].find(|letter: char| letter.is_ascii_digit()).expect("there is a number");
    let length = rest[digits..].find(|letter: char| !letter.is_ascii_digit()).expect("it ends");
    let number: u32 = rest[digits..digits + length].parse().expect("it is a number");
    let base = number / 1000 * 1000;
    format!("{before}{section}{}{}{}", &rest[..digits], base + change, &rest[digits + length..])
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
