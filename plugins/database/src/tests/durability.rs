//! Both databases answer only once the data is on the disk.

use futures_util::future::join_all;
use plugin_api::{requests::sql::Execute, serde_json::Value as Json};

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
            client.init().await.expect("it takes writes");
            let asked = Execute::new("select current_setting('synchronous_commit') as way");
            let answer = client.execute(asked, None).await.expect("it answers");
            let way: String = answer.returned.first().expect("a row").get("way").expect("text");
            assert_eq!(way, expected, "{set}");
        }
    });
}
