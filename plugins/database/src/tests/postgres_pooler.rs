//! Through pgbouncer, which shares connections by transaction.

use std::{
    env, fs,
    path::Path,
    process::{Child, Stdio},
    time::Duration,
};

use plugin_api::{
    requests::sql::{Execute, Migrate, Query},
    serde_json::json,
    tokio::time::sleep,
};

use super::support::{
    client, run,
    server::{Server, free_port},
};

const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// Ends with its owner.
struct Pooler(Child);

impl Drop for Pooler {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(server: &Server, port: u16) -> Pooler {
    let config = format!(
        "[databases]\n* = host=127.0.0.1 port={} user=postgres password='hu/sh@'\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
         pool_mode = transaction\ndefault_pool_size = 2\n",
        server.port()
    );
    fs::write(server.path("pooler.ini"), config).expect("our own folder");
    let mut command = server.as_server_user(Path::new(PROGRAM));
    let process =
        command.args(["-q", &server.path("pooler.ini")]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    Pooler(process.expect("pgbouncer can be run"))
}

#[test]
fn everything_works_through_a_pooler() {
    if !Path::new(PROGRAM).exists() {
        assert!(
            env::var("CI").as_deref() != Ok("true"),
            "pgbouncer is not installed: apt-get install pgbouncer"
        );
        eprintln!("skipped: pgbouncer is not installed (apt-get install pgbouncer)");
        return;
    }
    let Some(server) = Server::new() else { return };
    let port = free_port();
    let _pooler = start(&server, port);
    run(async {
        let url = server.url_at(port, "postgres");
        let hosts: Vec<_> = (0..4).map(|_| client(&url, json!({ "pgbouncer": true }))).collect();
        for attempt in 0.. {
            match hosts[0].init().await {
                Ok(()) => break,
                Err(failure) => assert!(attempt < 300, "the pooler does not start: {failure}"),
            }
            sleep(Duration::from_millis(50)).await;
        }
        let migrate = Migrate::new("pooled").version("create", "create table pooled_t (n bigint)");
        let migrations = hosts.iter().map(|host| host.migrate(&migrate, None));
        for migrated in futures_util::future::join_all(migrations).await {
            assert_eq!(migrated.expect("each host comes up").version, 1);
        }
        let inserts = (0..40_usize).map(|n| {
            let insert = Execute::new("insert into pooled_t values ($1)").bind(i64::try_from(n).ok());
            hosts[n % hosts.len()].execute(insert, None)
        });
        for done in futures_util::future::join_all(inserts).await {
            assert_eq!(done.expect("a row").rows_affected, 1);
        }
        let rows =
            hosts[1].query(&Query::new("select count(*) as n from pooled_t"), None).await.expect("a count");
        assert_eq!(rows.first().expect("a row").get::<i64>("n"), Ok(40));
    });
}
