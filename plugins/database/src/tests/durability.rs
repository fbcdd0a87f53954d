//! Both databases answer only once the data is on the disk.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use futures_util::future::join_all;
use plugin_api::{
    error::ErrorKind,
    requests::sql::{Execute, Query},
    serde_json::Value as Json,
};

use sqlx::{ConnectOptions as _, Connection as _, Executor as _, sqlite::SqliteConnectOptions};

use super::support::{Fixture, client, on_sqlite, run, server::Server};

#[test]
fn each_commit_of_sqlite_is_synced_and_those_at_the_same_time_together() {
    on_sqlite(|fixture: Fixture| async move {
        fixture.execute("create table a (id integer primary key)").await;
        let wal = fixture.client.wal.clone().expect("it is SQLite");
        let begun = wal.syncs().await;
        for _ in 0..10 {
            fixture.execute("insert into a default values").await;
        }
        assert_eq!(wal.syncs().await - begun, 10, "one after the other, each has its own");
        let insert = || fixture.client.execute(Execute::new("insert into a default values"), None);
        let outcomes = join_all((0..200).map(|_| insert())).await;
        assert!(outcomes.iter().all(Result::is_ok));
        let shared = wal.syncs().await - begun - 10;
        assert!((1..200).contains(&shared), "200 at the same time took {shared} syncs");
        let before = wal.syncs().await;
        assert_eq!(fixture.count("a").await, 210);
        assert_eq!(wal.syncs().await, before, "what is on the disk is read without a sync");
    });
}

/// Once the disk has not confirmed, no later sync is believed until all of the log is in the database file.
#[test]
fn a_disk_that_did_not_confirm_once_is_trusted_after_a_checkpoint() {
    on_sqlite(|fixture: Fixture| async move {
        fixture.execute("create table a (id integer primary key)").await;
        let insert = || fixture.client.execute(Execute::new("insert into a default values"), None);
        insert().await.expect("it is on the disk");
        let log = PathBuf::from(format!("{}-wal", fixture.client.file().expect("it is SQLite").display()));
        let (aside, size) = (log.with_extension("aside"), || fs::metadata(&log).expect("it is there").len());
        let before = size();
        // SQLite has it open and goes on; a link to itself cannot be opened to be synced.
        fs::rename(&log, &aside).expect("it can be renamed");
        symlink(&log, &log).expect("it can be linked");
        let error = insert().await.expect_err("it is not on the disk").error;
        assert_eq!(error.kind, ErrorKind::UnknownOutcome, "{error}");
        fs::rename(&aside, &log).expect("it can be renamed");
        let seen = fixture.client.query(&Query::new("select id from a"), None).await;
        assert_eq!(seen.expect_err("it may be lost").error.kind, ErrorKind::Unavailable);

        // One that reads what is in the log only keeps it from being written to the database file.
        let path = fixture.client.file().expect("it is SQLite").to_owned();
        let mut reader =
            SqliteConnectOptions::new().filename(path).connect().await.expect("it can be opened");
        for statement in ["begin", "select id from a"] {
            reader.execute(statement).await.expect("it can be read");
        }
        let refused = insert().await.expect_err("it could not be confirmed").error;
        assert_eq!(refused.kind, ErrorKind::Unavailable, "{refused}");
        assert!(refused.message.ends_with("nothing was changed"), "{refused}");
        reader.close().await.expect("it can be closed");

        // Nobody need write for it: a look does.
        fixture.client.probe().await.expect("it takes writes");
        assert!(size() < before, "the log began anew");
        assert_eq!(fixture.count("a").await, 2);
    });
}

/// A commit that the operator's server would confirm early is waited for nevertheless; what is stricter stays.
#[test]
fn postgres_confirms_a_commit_when_it_is_on_its_disk() {
    let Some(server) = Server::shared() else { return };
    run(async {
        let url = server.new_database().await;
        let name = url.rsplit('/').next().expect("a name").to_owned();
        let admin = client(&server.url("postgres"), Json::Null);
        for (set, expected) in [("off", "on"), ("remote_apply", "remote_apply"), ("local", "local")] {
            let set = format!("alter database {name} set synchronous_commit = {set}");
            admin.execute(Execute::new(set.as_str()), None).await.expect("it can be set");
            let client = client(&url, Json::Null);
            // The first write of all: nothing has looked at the server yet.
            let asked = Execute::new("select current_setting('synchronous_commit') as way");
            let answer = client.execute(asked, None).await.expect("it answers");
            let way: String = answer.returned.first().expect("a row").get("way").expect("text");
            assert_eq!(way, expected, "{set}");
        }
    });
}
