//! PostgreSQL that is set read-only: seen by each probe, said as it is, and over as soon as it is taken back, whatever the
//! connections of the pool were told when they were made.

use expect_test::{Expect, expect};
use plugin_api::{
    error::{ErrorKind, Failure, ReasonCode},
    requests::{
        doctor::{Check, Verdict},
        sql::{Execute, Query},
    },
    serde_json::{Value as Json, json},
};

use super::support::{client, refusal, run, server::Server};
use crate::client::Client;

async fn execute(client: &Client, sql: &str) {
    client.execute(Execute::new(sql), None).await.expect(sql);
}

/// A database of its own, and somebody who sets its flag.
struct Flagged {
    name: String,
    admin: Client,
    client: Client,
}

async fn new_database(server: &Server) -> Flagged {
    let url = server.new_database().await;
    let name = url.rsplit('/').next().expect("a name").to_owned();
    Flagged { name, admin: client(&server.url("postgres"), Json::Null), client: client(&url, Json::Null) }
}

/// Several connections that idle.
async fn fill_the_pool(client: &Client) {
    let slow = Query::new("select 1 from pg_sleep(0.2)");
    let several = (0..4).map(|_| client.query(&slow, None));
    futures_util::future::join_all(several)
        .await
        .into_iter()
        .for_each(|outcome| drop(outcome.expect("rows")));
}

#[track_caller]
fn told(server: &Server, failure: Failure, expected: Expect) {
    assert_eq!((failure.code, failure.certain), (ReasonCode::Unavailable, true));
    let advice = failure.advice.expect("it says what to do").label;
    expected.assert_eq(&format!("{}\n{advice}", failure.message).replace(&server.port().to_string(), "PORT"));
}

#[test]
fn a_flag_of_the_database_is_seen_and_its_end_too() {
    let Some(server) = Server::shared() else { return };
    run(async {
        let Flagged { name, admin, client } = new_database(server).await;
        client.init().await.expect("it takes writes");
        execute(&client, "create table t (n bigint)").await;
        fill_the_pool(&client).await;

        // The connections that idle may still write; a new one may not.
        execute(&admin, &format!("alter database {name} set default_transaction_read_only = on")).await;
        told(
            server,
            client.probe().await.expect_err("it is read-only"),
            expect![[r#"
                PostgreSQL at `127.0.0.1:PORT` is set read-only: its `default_transaction_read_only` is on
                Take it back: `alter database … reset default_transaction_read_only`; make room first if it was set for a full disk"#]],
        );
        let refused =
            client.execute(Execute::new("insert into t values (1)"), None).await.expect_err("read-only");
        assert_eq!((refused.error.kind, refused.outage.is_some()), (ErrorKind::Unavailable, true));
        assert!(refused.error.message.ends_with("; nothing was changed"), "{}", refused.error);
        fill_the_pool(&client).await;

        // The connections that idle may still not write.
        execute(&admin, &format!("alter database {name} reset default_transaction_read_only")).await;
        client.probe().await.expect("it takes writes again");
        execute(&client, "insert into t values (2)").await;
        let rows = client.query(&Query::new("select n from t"), None).await.expect("rows");
        assert_eq!(rows.len(), 1);
    });
}

#[test]
fn what_an_old_connection_refuses_is_done_by_a_new_one() {
    let Some(server) = Server::shared() else { return };
    run(async {
        let Flagged { name, admin, client } = new_database(server).await;
        execute(&client, "create table t (n bigint)").await;
        execute(&admin, &format!("alter database {name} set default_transaction_read_only = on")).await;
        client.renewal.renew();
        fill_the_pool(&client).await;
        execute(&admin, &format!("alter database {name} reset default_transaction_read_only")).await;
        execute(&client, "insert into t values (1)").await;
    });
}

#[test]
fn a_flag_of_the_server_is_seen_by_the_connections_that_are_there() {
    let Some(server) = Server::new() else { return };
    run(async {
        let client = client(&server.url("postgres"), Json::Null);
        let admin = super::support::client(
            &format!("{}?options=-c%20default_transaction_read_only=off", server.url("postgres")),
            Json::Null,
        );
        client.init().await.expect("it takes writes");
        execute(&client, "create table t (n bigint)").await;
        let set = |value: &'static str| server.set("default_transaction_read_only", value);
        set("on").await;
        told(
            &server,
            client.probe().await.expect_err("it is read-only"),
            expect![[r#"
                PostgreSQL at `127.0.0.1:PORT` is set read-only: its `default_transaction_read_only` is on
                Take it back: `alter system reset default_transaction_read_only` and `select pg_reload_conf()`; make room first if it was set for a full disk"#]],
        );
        let checks = client.examine(None).await;
        let written: &Check =
            checks.iter().find(|check| check.name == "write_and_read").expect("it was looked at");
        assert_eq!(written.verdict, Verdict::Failed);
        let fix = written.fix.as_deref().expect("it says what to do");
        assert!(fix.starts_with("Take it back: `alter system reset"), "{fix}");
        admin.probe().await.expect("its own connections may write");

        set("off").await;
        client.probe().await.expect("it takes writes again");
        execute(&client, "insert into t values (1)").await;
    });
}

/// A query that writes is the caller's mistake as before.
#[test]
fn a_query_that_writes_says_nothing_of_the_database() {
    let Some(server) = Server::shared() else { return };
    run(async {
        let client = client(&server.new_database().await, json!({}));
        client.init().await.expect("it takes writes");
        let outcome = client.query(&Query::new("create table t (n bigint)"), None).await;
        let text = refusal(outcome);
        assert!(text.starts_with("invalid: `query` only reads"), "{text}");
        assert!(!client.writes.is_due(false));
    });
}
