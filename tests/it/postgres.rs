//! The database plugin on a real PostgreSQL: verified, refused, rejected, lost and found again.

use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{
    Setup, TestHost,
    partners::{free_port, postgres::Postgres, small_disk::SmallDisk},
    trial::Outcome,
    trials,
};

use crate::sqlite::told;

pub fn tests() -> Vec<Trial> {
    trials![
        database_url_means_postgresql,
        a_refused_connection_is_retried_and_never_falls_back,
        a_server_that_does_not_answer_times_out,
        a_wrong_password_names_the_setting,
        an_outage_is_noticed_and_healed,
        a_server_that_comes_late_is_found,
        two_hosts_migrate_at_once,
        a_standby_is_not_connected_until_it_is_promoted,
        a_start_on_a_standby_comes_up_when_it_is_promoted,
        a_server_that_is_set_read_only_is_not_connected,
        a_disk_of_the_server_that_is_full_is_no_fault_of_the_statement,
    ]
}

fn setup(url: &str) -> Setup {
    let config = r#"
        [plugins.database]
        init = { timeout = "2s" }
        probe = { interval = "200ms", timeout = "1s" }
        retry = { attempts = 3, base = "50ms", cap = "200ms" }
    "#;
    Setup::new(config).env("DATABASE_URL", url)
}

#[track_caller]
fn query(host: &TestHost, sql: &str) -> Value {
    let response = host.call("database", "query", &json!({"sql": sql}));
    assert_eq!(response.status, 200, "{}", response.body);
    response.json()
}

fn database_url_means_postgresql() -> Outcome {
    let postgres = Postgres::start()?;
    let host = setup(&postgres.url()).start();
    host.wait_for_status("database", "connected");
    assert!(!host.setup().path("data/switchboard.db").exists());

    let described = host.call("database", "describe", &json!({})).json();
    assert_eq!(described["dialect"], "postgres", "{described}");
    assert!(query(&host, "select 40 + 2 as answer").to_string().contains("42"));
    Ok(())
}

fn a_refused_connection_is_retried_and_never_falls_back() {
    let host = setup(&format!("postgres://someone:secret@127.0.0.1:{}/nothing", free_port())).start();
    let database = host.wait_for_status("database", "error");
    assert_eq!(database["reason"]["code"], "refused");
    assert_eq!(database["fix"]["action"], "retry");
    assert!(!host.setup().path("data/switchboard.db").exists());
}

fn a_server_that_does_not_answer_times_out() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = silent.local_addr().expect("it has an address");
    let host = setup(&format!("postgres://someone:secret@{address}/nothing")).start();
    let database = host.wait_for_status("database", "error");
    assert_eq!(database["reason"]["code"], "timeout");
}

fn a_wrong_password_names_the_setting() -> Outcome {
    let postgres = Postgres::start()?;
    let host = setup(&postgres.url_with_password("wrong")).start();
    let database = host.wait_for_status("database", "error");
    assert_eq!(database["reason"]["code"], "auth_invalid");
    assert_eq!(database["fix"]["action"], "correct_setting");
    assert!(database.to_string().contains("DATABASE_URL"), "{database:#}");
    Ok(())
}

fn an_outage_is_noticed_and_healed() -> Outcome {
    let mut postgres = Postgres::start()?;
    let host = setup(&postgres.url()).start();
    host.wait_for_status("database", "connected");

    postgres.stop();
    let database = host.wait_for_status("database", "error");
    assert_eq!(database["reason"]["retryable"], true, "{database:#}");
    let refused = host.call("database", "query", &json!({"sql": "select 1"}));
    assert_eq!(refused.status, 503, "{}", refused.body);

    postgres.resume();
    let database = host.wait_for_status("database", "connected");
    assert_eq!(database["generation"], 1, "without a restart");
    query(&host, "select 1 as one");
    Ok(())
}

fn a_server_that_comes_late_is_found() -> Outcome {
    let mut postgres = Postgres::start()?;
    postgres.stop();
    let host = setup(&postgres.url()).start();
    host.wait_for_status("database", "error");
    postgres.resume();
    let verified = host.post("/api/health/integrations/database/verify", &json!({}));
    assert_eq!(verified.json()["status"], "connected", "{}", verified.body);
    Ok(())
}

fn two_hosts_migrate_at_once() -> Outcome {
    let postgres = Postgres::start()?;
    let hosts = [setup(&postgres.url()).start(), setup(&postgres.url()).start()];
    let migrations = json!([{"version": 1, "name": "rooms", "sql": "create table house_rooms (name text)"}]);
    let migrate = |host: &TestHost| {
        host.wait_for_status("database", "connected");
        let response = host.call("database", "migrate", &json!({"owner": "house", "migrations": migrations}));
        assert_eq!(response.status, 200, "{}", response.body);
        response.json()["applied"].as_array().expect("a list").len()
    };
    let applied: usize = std::thread::scope(|scope| {
        let threads = hosts.each_ref().map(|host| scope.spawn(|| migrate(host)));
        threads.into_iter().map(|thread| thread.join().expect("no host fails")).sum()
    });
    assert_eq!(applied, 1, "one of the two did it");
    Ok(())
}

/// Waits until the database is in error with this reason, and looks whether health, the doctor and a write say the same.
#[track_caller]
fn takes_no_writes(host: &TestHost, reason: &str, advice: &str) {
    told(host, reason, advice);
    let refused = host.call("database", "execute", &json!({"sql": "insert into kept values (2)"}));
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(
        refused.body.contains(reason) && refused.body.contains("nothing was changed"),
        "{}",
        refused.body
    );
    assert!(query(host, "select id from kept").to_string().contains("[[1]]"), "it can be read");
}

#[track_caller]
fn takes_writes(host: &TestHost) {
    let database = host.wait_for_status("database", "connected");
    assert_eq!(database["generation"], 1, "without a restart");
    let written = host.call("database", "execute", &json!({"sql": "insert into kept values (3)"}));
    assert_eq!(written.status, 200, "{}", written.body);
}

fn a_standby_is_not_connected_until_it_is_promoted() -> Outcome {
    let mut postgres = Postgres::start()?;
    postgres.query("create table kept (id int)");
    postgres.query("insert into kept values (1)");
    let host = setup(&postgres.url()).start();
    host.wait_for_status("database", "connected");
    postgres.demote();
    takes_no_writes(&host, "is a standby", "Promote it");
    postgres.query("select pg_promote()");
    takes_writes(&host);
    Ok(())
}

fn a_start_on_a_standby_comes_up_when_it_is_promoted() -> Outcome {
    let mut postgres = Postgres::start()?;
    postgres.query("create table kept (id int)");
    postgres.query("insert into kept values (1)");
    postgres.demote();
    let host = setup(&postgres.url()).start();
    takes_no_writes(&host, "is a standby", "Promote it");
    postgres.query("select pg_promote()");
    takes_writes(&host);
    Ok(())
}

fn a_server_that_is_set_read_only_is_not_connected() -> Outcome {
    let postgres = Postgres::start()?;
    postgres.query("create table kept (id int)");
    postgres.query("insert into kept values (1)");
    let host = setup(&postgres.url()).start();
    host.wait_for_status("database", "connected");
    postgres.set("default_transaction_read_only", "on");
    takes_no_writes(&host, "is set read-only", "Take it back: `alter system reset");
    postgres.set("default_transaction_read_only", "default");
    takes_writes(&host);
    Ok(())
}

/// A tablespace that is full; the row of the probes has room elsewhere.
fn a_disk_of_the_server_that_is_full_is_no_fault_of_the_statement() -> Outcome {
    let postgres = Postgres::start()?;
    let disk = SmallDisk::mount(&postgres.folder().join("small"), 4)?;
    postgres.add_tablespace("small");
    postgres.query("create table kept (id int) tablespace small");
    let host = setup(&postgres.url()).start();
    host.wait_for_status("database", "connected");

    disk.fill();
    let insert = json!({"sql": "insert into kept values (1)"});
    let refused = host.call("database", "execute", &insert);
    assert_eq!((refused.status, &refused.json()["kind"]), (503, &json!("unavailable")), "{}", refused.body);
    assert!(refused.body.contains("no disk space is left for PostgreSQL"), "{}", refused.body);
    assert!(refused.body.contains("nothing was changed"), "{}", refused.body);
    host.wait_for_plugin("database", "in error for a moment", |plugin| {
        plugin["history"].to_string().contains("no disk space is left for PostgreSQL")
    });
    disk.make_room();
    host.wait_for_status("database", "connected");
    assert_eq!(host.call("database", "execute", &insert).status, 200);
    Ok(())
}
