//! Whether the database takes writes: one row of our own, no more often than needed, and not judged by a busy lock.

use plugin_api::{
    requests::sql::{Dialect, Execute},
    serde_json::json,
    tokio::{self, sync::oneshot},
};
use sqlx::{ConnectOptions as _, Executor as _, postgres::PgConnectOptions, sqlite::SqliteConnectOptions};

use super::support::{Fixture, on_both};
use crate::target::Target;

on_both! {
    probes_write_one_row_and_no_more_often_than_needed,
    a_write_of_a_user_is_as_good_as_our_own,
    after_a_failed_write_one_row_is_written,
    a_busy_lock_is_no_failure,
    the_row_is_written_though_somebody_removed_it,
}

/// When our own row was written last.
async fn written(fixture: &Fixture) -> Vec<String> {
    let rows = fixture.query("select written_at from database_writes").await;
    rows.iter().map(|row| row.get("written_at").expect("text")).collect()
}

async fn probes_write_one_row_and_no_more_often_than_needed(fixture: Fixture) {
    let first = written(&fixture).await;
    assert_eq!(first.len(), 1, "init wrote it");
    for _ in 0..5 {
        fixture.client.probe().await.expect("it is there");
    }
    assert_eq!(written(&fixture).await, first);
    let another = fixture.another(json!({})).await;
    another.probe().await.expect("it is there");
    let second = written(&fixture).await;
    assert!(second.len() == 1 && second != first, "the other one knew of no write: {second:?}");
}

async fn a_write_of_a_user_is_as_good_as_our_own(fixture: Fixture) {
    fixture.execute("create table t (n bigint)").await;
    let before = written(&fixture).await;
    let another = fixture.another(json!({})).await;
    another.execute(Execute::new("delete from t"), None).await.expect("a table");
    assert!(another.writes.is_due(false), "what changed nothing shows nothing");
    another.execute(Execute::new("insert into t values (1)"), None).await.expect("a row");
    another.probe().await.expect("it is there");
    assert_eq!(written(&fixture).await, before);
}

async fn after_a_failed_write_one_row_is_written(fixture: Fixture) {
    let before = written(&fixture).await;
    let failure = plugin_api::error::Failure::unavailable("no disk space is left").certain();
    fixture.client.writes.failed(&crate::errors::Trouble::outage(failure));
    fixture.client.probe().await.expect("it takes writes");
    let after = written(&fixture).await;
    assert_ne!(after, before);
    fixture.client.probe().await.expect("it takes writes");
    assert_eq!(written(&fixture).await, after);
}

/// Holds the lock that our own write waits for, until it is told to let go.
async fn hold_the_lock(fixture: &Fixture) -> oneshot::Sender<()> {
    let (let_go, told) = oneshot::channel::<()>();
    let (taken, wait) = oneshot::channel();
    let options = match &fixture.client.target {
        Target::Postgres(options, _) => Ok(PgConnectOptions::clone(options)),
        Target::Sqlite(path) => Err(SqliteConnectOptions::new().filename(path)),
    };
    tokio::spawn(async move {
        match options {
            Ok(options) => {
                let mut connection = options.connect().await.expect("the server");
                connection.execute("begin; lock table database_writes").await.expect("a lock");
                taken.send(()).expect("the test waits");
                // The sender may be dropped, too.
                let _ = told.await;
            }
            Err(options) => {
                let mut connection = options.connect().await.expect("the file");
                connection.execute("begin immediate").await.expect("a lock");
                taken.send(()).expect("the test waits");
                let _ = told.await;
            }
        }
    });
    wait.await.expect("the lock is taken");
    let_go
}

async fn a_busy_lock_is_no_failure(fixture: Fixture) {
    let lock = hold_the_lock(&fixture).await;
    let another = fixture.another(json!({ "connect_timeout": "500ms" })).await;
    another.probe().await.expect("a busy lock is no failure");
    assert!(another.writes.is_due(false), "and no proof");
    drop(lock);
}

async fn the_row_is_written_though_somebody_removed_it(fixture: Fixture) {
    fixture.execute("delete from database_writes").await;
    let another = fixture.another(json!({})).await;
    another.probe().await.expect("it is there");
    assert_eq!(written(&fixture).await.len(), 1);
    if fixture.client.dialect() == Dialect::Sqlite {
        return;
    }
    let owner = fixture.query("select owner from database_migrations where name = 'writes'").await;
    assert_eq!(owner.first().expect("it is recorded").get::<String>("owner"), Ok("database".to_owned()));
}
