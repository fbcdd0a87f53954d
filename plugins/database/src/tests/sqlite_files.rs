//! SQLite files that cannot be used, and what is said about them.

use std::{fs, os::unix::fs::symlink};

use expect_test::{Expect, expect};
use plugin_api::{error::Policy, requests::sql::Execute, serde_json::Value as Json};
use tempfile::TempDir;

use super::support::{client, on_sqlite, run};

/// What init says about a file in a folder that `prepare` has made ready.
fn check(prepare: impl FnOnce(&TempDir), file: &str, expected: Expect) {
    let folder = TempDir::new().expect("a folder");
    prepare(&folder);
    let place = folder.path().display().to_string();
    run(async {
        let failure =
            client(&format!("sqlite:{place}/{file}"), Json::Null).init().await.expect_err("no database");
        let setting = failure.setting.clone().unwrap_or_default();
        expected.assert_eq(&format!("{} [{setting}]", failure.to_string().replace(&place, "DIR")));
        assert_eq!(failure.policy(), Policy::Misconfigured);
    });
}

#[test]
fn a_corrupt_file() {
    check(
        |folder| fs::write(folder.path().join("main.db"), vec![b'x'; 8192]).expect("our own folder"),
        "main.db",
        expect!["config_invalid: the SQLite file `DIR/main.db` is not a sound database [url]"],
    );
}

#[test]
fn a_folder_instead_of_a_file() {
    check(
        |folder| fs::create_dir(folder.path().join("main.db")).expect("our own folder"),
        "main.db",
        expect![
            "config_invalid: the SQLite file `DIR/main.db` cannot be opened or created: check its folder and its rights [url]"
        ],
    );
}

#[test]
fn a_folder_that_cannot_be_made() {
    check(
        |folder| fs::write(folder.path().join("data"), "a file").expect("our own folder"),
        "data/main.db",
        expect![
            "config_invalid: the folder `DIR/data` for the SQLite file cannot be made: check its parent and its rights [url]"
        ],
    );
}

#[test]
fn missing_folders_are_made_and_data_stays() {
    let folder = TempDir::new().expect("a folder");
    let url = format!("sqlite:{}/a/b/main.db", folder.path().display());
    run(async {
        let first = client(&url, Json::Null);
        first.init().await.expect("folders can be made");
        first.execute(Execute::new("create table t (n bigint)"), None).await.expect("a table");
        first.close().await;
        let second = client(&url, Json::Null);
        second.init().await.expect("the same file");
        second.probe().await.expect("the same file");
        second.execute(Execute::new("insert into t values (1)"), None).await.expect("the table is there");
        second.close().await;
    });
}

#[test]
fn before_init_the_file_is_not_there() {
    let folder = TempDir::new().expect("a folder");
    let place = folder.path().display().to_string();
    run(async {
        let client = client(&format!("sqlite:{place}/none/main.db"), Json::Null);
        let trouble = client.execute(Execute::new("select 1"), None).await.expect_err("no folder");
        expect!["unavailable: the SQLite file `DIR/none/main.db` is not open yet; nothing was changed"]
            .assert_eq(&trouble.error.to_string().replace(&place, "DIR"));
        assert!(trouble.outage.is_some());
    });
}

#[test]
fn a_lock_that_cannot_be_had_is_no_leave_to_go_without() {
    check(
        |folder| symlink("main.db-lock", folder.path().join("main.db-lock")).expect("our own folder"),
        "main.db",
        expect![
            "config_invalid: the SQLite file `DIR/main.db` cannot be reserved by a lock on `DIR/main.db-lock`: Too many levels of symbolic links (os error 40) [url]"
        ],
    );
}

/// Only an init or a probe tries again: a request does not wait for a lock.
#[test]
fn what_came_of_the_lock_holds_until_the_next_probe() {
    let folder = TempDir::new().expect("a folder");
    let place = folder.path().display().to_string();
    let other = fs::File::create(folder.path().join("main.db-lock")).expect("our own folder");
    other.try_lock().expect("nobody has it");
    run(async {
        let client = client(&format!("sqlite:{place}/main.db"), Json::Null);
        client.init().await.expect_err("another process has it");
        other.unlock().expect("it is ours");
        let table = || client.execute(Execute::new("create table t (n bigint)"), None);
        let trouble = table().await.expect_err("nobody has looked since");
        expect!["unavailable: the SQLite file `DIR/main.db` is in use by another host; nothing was changed"]
            .assert_eq(&trouble.error.to_string().replace(&place, "DIR"));
        client.init().await.expect("it is free");
        table().await.expect("it is ours");
        other.try_lock().expect_err("it is held");
        client.close().await;
        other.try_lock().expect("it is let go of");
    });
}

#[test]
fn a_file_that_vanishes_is_noticed() {
    on_sqlite(|fixture| async move {
        fixture.client.probe().await.expect("it is there");
        let rows = fixture.query("select file from pragma_database_list").await;
        let path: String = rows.first().expect("one file").get("file").expect("a path");
        fs::remove_file(&path).expect("our own file");
        let failure = fixture.client.probe().await.expect_err("it is gone");
        expect!["unavailable: the SQLite file `PATH` is gone: put it back, and restart the host"]
            .assert_eq(&failure.to_string().replace(&path, "PATH"));
    });
}

#[test]
fn it_is_set_up_for_many_readers_and_one_writer() {
    on_sqlite(|fixture| async move {
        let mode = fixture.query("select journal_mode as mode from pragma_journal_mode").await;
        assert_eq!(mode.first().expect("a row").get::<String>("mode").expect("text"), "wal");
        let keys = fixture.query("select foreign_keys as keys from pragma_foreign_keys").await;
        assert_eq!(keys.first().expect("a row").get::<i64>("keys"), Ok(1));
    });
}

#[test]
fn what_was_deleted_cannot_be_read_out_of_the_file() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("main.db");
    let holds = |words: &str| {
        let bytes = fs::read(&file).expect("the file is there");
        bytes.windows(words.len()).any(|part| part == words.as_bytes())
    };
    run(async {
        let client = client(&format!("sqlite:{}", file.display()), Json::Null);
        client.init().await.expect("a new file");
        for sql in [
            "create table notes (words text)",
            "insert into notes values ('a secret'), ('no secret')",
            "delete from notes where words = 'a secret'",
        ] {
            client.execute(Execute::new(sql), None).await.expect(sql);
        }
        client.close().await;
    });
    assert!(holds("no secret") && !holds("a secret"));
}
