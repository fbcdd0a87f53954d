//! Everything is bounded: rows, bytes, time, connections.

use std::time::Duration;

use expect_test::expect;
use plugin_api::{
    error::ErrorKind,
    requests::sql::{Dialect, Execute, Query},
    serde_json::json,
    tokio,
};

use super::support::{Fixture, on_both, refusal};

on_both! {
    more_rows_than_the_limit_are_left_out,
    more_bytes_than_the_limit_are_left_out,
    what_execute_returns_is_never_cut,
    a_statement_that_takes_too_long_is_ended,
    a_caller_that_gives_up_leaves_nothing_behind,
    busy_connections_are_said_to_be_so,
}

const NUMBERS: &str =
    "with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000) select i from n";

/// A statement that lasts until somebody ends it.
fn endless(fixture: &Fixture) -> &'static str {
    match fixture.client.dialect() {
        Dialect::Sqlite => {
            "insert into t with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n"
        }
        Dialect::Postgres => "insert into t select 1 from pg_sleep(600)",
    }
}

async fn more_rows_than_the_limit_are_left_out(fixture: Fixture) {
    let rows = fixture.query(NUMBERS).await;
    assert_eq!((rows.len(), rows.truncated), (1000, true));
    let ask = |limit| Query::new("values (1), (2), (3)").row_limit(limit);
    for (limit, expected) in [(0, (0, true)), (2, (2, true)), (3, (3, false)), (9, (3, false))] {
        let rows = fixture.client.query(&ask(limit), None).await.expect("some rows");
        assert_eq!((rows.len(), rows.truncated), expected, "limit {limit}");
    }
}

async fn more_bytes_than_the_limit_are_left_out(fixture: Fixture) {
    let client = fixture.another(json!({ "result_bytes": 2048 })).await;
    let long = "x".repeat(1000);
    let three = Query::new("select $1 as t union all select $1 union all select $1").bind(long.as_str());
    let rows = client.query(&three, None).await.expect("two of them");
    assert_eq!((rows.len(), rows.truncated), (2, true));
    let one = Query::new("select $1 as t").bind("x".repeat(3000));
    expect!["invalid: the result is larger than 2048 bytes: ask for less, or see the setting `result_bytes`"]
        .assert_eq(&refusal(client.query(&one, None).await));
}

async fn what_execute_returns_is_never_cut(fixture: Fixture) {
    fixture.execute("create table t (n bigint)").await;
    let client = fixture.another(json!({ "row_limit": 2 })).await;
    let insert = Execute::new("insert into t values (1), (2), (3) returning n");
    expect![
        "invalid: the statement returns more than 2 rows: nothing was changed; see the setting `row_limit`"
    ]
    .assert_eq(&refusal(client.execute(insert, None).await));
    assert_eq!(fixture.count("t").await, 0);
}

async fn a_statement_that_takes_too_long_is_ended(fixture: Fixture) {
    fixture.execute("create table t (n bigint)").await;
    let client = fixture.another(json!({ "statement_timeout": "200ms", "max_connections": 1 })).await;
    for _ in 0..2 {
        let outcome = client.execute(Execute::new(endless(&fixture)), None).await;
        expect!["deadline: the statement took too long and was ended: nothing was changed"]
            .assert_eq(&refusal(outcome));
    }
    // The caller's own deadline counts when it is nearer.
    let outcome =
        fixture.client.execute(Execute::new(endless(&fixture)), Some(Duration::from_millis(100))).await;
    assert_eq!(outcome.expect_err("it never ends").error.kind, ErrorKind::Deadline);
    fixture.execute("insert into t values (1)").await;
    assert_eq!(fixture.count("t").await, 1);
}

async fn a_caller_that_gives_up_leaves_nothing_behind(fixture: Fixture) {
    fixture.execute("create table t (n bigint)").await;
    let client = fixture.another(json!({ "max_connections": 1 })).await;
    for wait in [0, 1, 20, 100] {
        let given_up = client.execute(Execute::new(endless(&fixture)), None);
        let outcome = tokio::time::timeout(Duration::from_millis(wait), given_up).await;
        assert!(outcome.is_err(), "it never ends");
        let done = client.execute(Execute::new("insert into t values (1)"), None).await;
        done.expect("the connection is free again");
    }
    assert_eq!(fixture.count("t").await, 4);
}

async fn busy_connections_are_said_to_be_so(fixture: Fixture) {
    fixture.execute("create table t (n bigint)").await;
    let settings = json!({ "max_connections": 1, "connect_timeout": "3s", "statement_timeout": "15s" });
    let client = fixture.another(settings).await;
    client
        .execute(Execute::new("insert into t values (1)"), None)
        .await
        .expect("a connection that idles from now on");
    let busy = client.execute(Execute::new(endless(&fixture)), None);
    let other = async {
        // The first one is polled first, and so has the only connection.
        tokio::task::yield_now().await;
        client.execute(Execute::new("insert into t values (1)"), None).await
    };
    let other = tokio::select! { biased; _ = busy => panic!("it never ends"), other = other => other };
    let text = refusal(other);
    assert!(text.starts_with("overloaded: all connections to") && text.ends_with("are busy"), "{text}");
}
