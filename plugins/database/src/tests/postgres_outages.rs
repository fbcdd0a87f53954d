//! PostgreSQL that is away, refuses, or breaks off: what is said, and that it heals.

use std::sync::Arc;

use expect_test::{Expect, expect};
use plugin_api::{
    error::{ErrorKind, ReasonCode},
    requests::sql::{Execute, Query},
    serde_json::{Value as Json, json},
    tokio::{
        self,
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
    },
};

use super::support::{
    client, refusal, run,
    server::{Server, free_port},
};

/// What init says of a URL.
async fn check(url: &str, expected: Expect) {
    let failure = client(url, json!({ "connect_timeout": "500ms" })).init().await.expect_err("no connection");
    let port = url.rsplit_once(':').and_then(|(_, rest)| rest.split_once('/')).map_or("", |(port, _)| port);
    let text = failure.to_string().replace(port, "PORT");
    expected.assert_eq(&format!("{text} [{}]", failure.setting.unwrap_or_default()));
}

#[test]
fn nobody_there() {
    run(async {
        let url = format!("postgres://ann:hush@127.0.0.1:{}/main", free_port());
        check(
            &url,
            expect!["refused: PostgreSQL at `127.0.0.1:PORT` refuses the connection: is it running? []"],
        )
        .await;
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url =
            format!("postgres://ann:hush@127.0.0.1:{}/main", silent.local_addr().expect("bound").port());
        check(&url, expect!["timeout: PostgreSQL at `127.0.0.1:PORT` does not answer in time []"]).await;
        check(
            "postgres://ann:hush@no-such-host.invalid:5432/main",
            expect!["dns: the name of PostgreSQL at `no-such-host.invalid:PORT` cannot be resolved []"],
        )
        .await;
    });
}

/// A proxy whose server is away.
#[test]
fn closed_at_once() {
    run(async {
        let proxy = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("postgres://ann:hush@127.0.0.1:{}/main", proxy.local_addr().expect("bound").port());
        let serve = async {
            loop {
                let (mut socket, _) = proxy.accept().await.expect("a guest");
                let mut request = [0; 8];
                socket.read_exact(&mut request).await.expect("a request for TLS");
            }
        };
        let asked =
            check(&url, expect!["unavailable: PostgreSQL at `127.0.0.1:PORT` closed the connection []"]);
        tokio::select! { () = asked => {}, () = serve => {} }
    });
}

#[test]
fn something_else_there() {
    run(async {
        let web = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("postgres://ann:hush@127.0.0.1:{}/main", web.local_addr().expect("bound").port());
        let serve = async {
            loop {
                let (mut socket, _) = web.accept().await.expect("a guest");
                socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("a greeting");
            }
        };
        let asked = check(
            &url,
            expect![
                "protocol: what answers at PostgreSQL at `127.0.0.1:PORT` does not speak its protocol []"
            ],
        );
        tokio::select! { () = asked => {}, () = serve => {} }
    });
}

#[test]
fn refused_by_the_server() {
    let Some(server) = Server::shared() else { return };
    run(async {
        let port = server.port();
        let good = server.url("postgres");
        check(
            &format!("postgres://postgres:wrong@127.0.0.1:{port}/postgres"),
            expect!["auth_invalid: PostgreSQL at `127.0.0.1:PORT` rejects user or password [url]"],
        )
        .await;
        check(
            &server.url("nowhere"),
            expect!["config_invalid: there is no such database on PostgreSQL at `127.0.0.1:PORT`: create it, or correct `url` [url]"],
        )
        .await;
        check(
            &format!("{good}?sslmode=require"),
            expect!["tls: no trustworthy TLS connection to PostgreSQL at `127.0.0.1:PORT`: it offers none, or its certificate cannot be verified [url]"],
        )
        .await;
        client(&good, Json::Null).init().await.expect("the right URL");
    });
}

#[test]
fn through_the_unix_socket() {
    let Some(server) = Server::shared() else { return };
    run(async {
        let url = format!(
            "postgres://postgres:hu%2Fsh%40@localhost/postgres?host={}&port={}",
            server.path(""),
            server.port()
        );
        client(&url, Json::Null).probe().await.expect("the socket");
    });
}

/// Both sides have a setting of this name.
#[test]
fn a_server_without_connections_left_says_whose_setting_it_means() {
    let Some(mut server) = Server::new() else { return };
    server.stop();
    server.start(&["max_connections=3", "superuser_reserved_connections=0", "max_wal_senders=0"]);
    run(async {
        let url = server.url("postgres");
        let greedy = client(&url, Json::Null);
        let slow = Query::new("select 1 from pg_sleep(0.5)");
        let several = (0..3).map(|_| greedy.query(&slow, None));
        futures_util::future::join_all(several).await.into_iter().for_each(|rows| drop(rows.expect("rows")));
        let failure = client(&url, json!({ "connect_timeout": "500ms" })).init().await.expect_err("no room");
        expect!["Lower the setting `max_connections` of this plugin on every host, or raise the server's own `max_connections`"]
            .assert_eq(&failure.advice.expect("it says what to do").label);
        assert_eq!((failure.code, failure.certain), (ReasonCode::Unavailable, false));
    });
}

#[test]
fn an_outage_is_noticed_and_healed_without_a_restart() {
    let Some(mut server) = Server::new() else { return };
    let url = server.url("postgres");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    let client = client(&url, json!({ "connect_timeout": "1s" }));
    let execute = |sql: &'static str| runtime.block_on(client.execute(Execute::new(sql), None));
    execute("create table t (n bigint)").expect("it is there");
    // Several connections idle when the server goes.
    runtime.block_on(async {
        let slow = Query::new("select 1 from pg_sleep(0.2)");
        futures_util::future::join_all((0..4).map(|_| client.query(&slow, None))).await;
    });

    drop(_entered);
    server.stop();
    let _entered = runtime.enter();
    assert_eq!(runtime.block_on(client.probe()).expect_err("it is away").code, ReasonCode::Refused);
    let trouble = execute("insert into t values (1)").expect_err("it is away");
    assert_eq!(trouble.error.kind, ErrorKind::Unavailable);
    assert_eq!(trouble.outage.expect("an outage").code, ReasonCode::Refused);

    drop(_entered);
    server.start(&[]);
    let _entered = runtime.enter();
    runtime.block_on(client.probe()).expect("it is back");
    assert_eq!(execute("insert into t values (2)").expect("it is back").rows_affected, 1);
}

/// A restart that nobody noticed: the connections that idled are dead, and no caller sees it.
#[test]
fn connections_that_died_while_idle_are_replaced_unseen() {
    let Some(mut server) = Server::new() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let client = {
        let _entered = runtime.enter();
        client(&server.url("postgres"), Json::Null)
    };
    let slow = Query::new("select 1 from pg_sleep(0.2)");
    let several = async { futures_util::future::join_all((0..4).map(|_| client.query(&slow, None))).await };
    runtime.block_on(several).into_iter().for_each(|outcome| drop(outcome.expect("it is there")));
    server.stop();
    server.start(&[]);
    for _ in 0..4 {
        runtime.block_on(client.query(&Query::new("select 1 as one"), None)).expect("a new connection");
    }
}

/// Passes bytes to the server, and breaks off when it has passed on what contains `mark`.
async fn breaking_proxy(server: u16, mark: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut far = TcpStream::connect(("127.0.0.1", server)).await.expect("the server");
                let (mut up, mut down) = ([0; 8192], [0; 8192]);
                loop {
                    tokio::select! {
                        read = near.read(&mut up) => {
                            let Ok(length @ 1..) = read else { return };
                            far.write_all(&up[..length]).await.expect("the server takes it");
                            if up[..length].windows(mark.len()).any(|window| window == mark) {
                                return;
                            }
                        }
                        read = far.read(&mut down) => {
                            let Ok(length @ 1..) = read else { return };
                            near.write_all(&down[..length]).await.expect("the client takes it");
                        }
                    }
                }
            });
        }
    });
    port
}

#[test]
fn a_commit_without_an_answer_is_an_unknown_outcome() {
    let Some(server) = Server::shared() else { return };
    run(async {
        let url = server.new_database().await;
        let database = url.rsplit('/').next().expect("a name").to_owned();
        let direct = client(&url, Json::Null);
        direct.execute(Execute::new("create table t (n bigint)"), None).await.expect("a table");

        let port = breaking_proxy(server.port(), b"commit\0").await;
        let proxied = client(&server.url_at(port, &database), Json::Null);
        expect!["unknown_outcome: the answer to the commit was lost: it may have taken effect, so read before it is repeated"]
            .assert_eq(&refusal(proxied.execute(Execute::new("insert into t values (1)"), None).await));

        let port = breaking_proxy(server.port(), b"insert").await;
        let proxied = client(&server.url_at(port, &database), Json::Null);
        let trouble =
            proxied.execute(Execute::new("insert into t values (2)"), None).await.expect_err("broken");
        assert_eq!(trouble.error.kind, ErrorKind::Unavailable, "{:?}", trouble.error);
        let rows = direct.query(&Query::new("select 1 as one from t where n = 2"), None).await.expect("rows");
        assert!(rows.is_empty(), "what was not committed is not there");
    });
}

#[test]
fn a_statement_given_up_does_not_go_on_for_ever() {
    let Some(server) = Server::shared() else { return };
    run(async {
        let url = server.new_database().await;
        let database = url.rsplit('/').next().expect("a name").to_owned();
        let client = Arc::new(client(&url, json!({ "statement_timeout": "2s" })));
        let given_up = {
            let client = client.clone();
            tokio::spawn(async move { client.query(&Query::new("select pg_sleep(500)"), None).await })
        };
        server.until_busy_with(&database, "pg_sleep(500)", true).await;
        given_up.abort();
        server.until_busy_with(&database, "pg_sleep(500)", false).await;
    });
}

#[test]
fn settings_for_a_pooler_work_without_one_too() {
    let Some(server) = Server::shared() else { return };
    run(async {
        let url = server.new_database().await;
        let client = client(&url, json!({ "pgbouncer": true }));
        client.init().await.expect("the server");
        let rows = client.query(&Query::new("select $1 as f").bind(0.1), None).await.expect("a float");
        assert_eq!(rows.first().expect("a row").get::<f64>("f"), Ok(0.1));
    });
}
