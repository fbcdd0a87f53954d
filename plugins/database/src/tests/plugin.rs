//! The plugin as the host sees it: settings and requests as JSON, evidence of an outage.

use std::time::Duration;

use expect_test::expect;
use plugin_api::{
    error::ErrorKind,
    requests::{
        host::Report,
        sql::{Describe, Dialect, Execute, Query},
    },
    serde_json::json,
    testing::TestPlugin,
    tokio::time::sleep,
};
use tempfile::TempDir;

use super::support::{run, server::free_port};
use crate::Database;

#[test]
fn without_settings_it_keeps_a_file_in_the_data_folder() {
    let folder = TempDir::new().expect("a folder");
    run(async {
        let plugin =
            TestPlugin::<Database>::new(json!({})).data_dir(folder.path()).create().expect("no settings");
        plugin.init().await.expect("a new file");
        assert!(folder.path().join("switchboard.db").exists());
        assert_eq!(plugin.call(Describe {}).await.expect("a description").dialect, Dialect::Sqlite);
        plugin.call(Execute::new("create table t (n bigint, x blob)")).await.expect("a table");
        let insert = Execute::new("insert into t values ($1, $2)").bind(i64::MAX).bind(vec![0_u8, 255]);
        plugin.call(insert).await.expect("a row");
        let rows = plugin.call_json("query", json!({ "sql": "select n, x from t" })).await.expect("the row");
        expect![[r#"{"columns":["n","x"],"rows":[[{"$int":"9223372036854775807"},{"$bytes":"AP8="}]],"truncated":false}"#]]
            .assert_eq(&rows.to_string());
        plugin.probe().await.expect("it is there");
        plugin.stop().await.expect("it ends");
    });
}

#[test]
fn a_url_that_cannot_work_is_refused_without_showing_it() {
    let outcome = TestPlugin::<Database>::new(json!({ "url": "mysql://ann:hush@db/main" })).create();
    let failure = outcome.err().expect("not this one");
    assert_eq!(failure.setting.as_deref(), Some("url"));
    assert!(!failure.to_string().contains("hush"), "{failure}");
}

#[test]
fn an_outage_that_an_operation_meets_is_reported() {
    run(async {
        let url = format!("postgres://ann:hush@127.0.0.1:{}/main", free_port());
        let settings = json!({ "url": url, "connect_timeout": "200ms" });
        let plugin = TestPlugin::<Database>::new(settings).create().expect("a good URL");
        let error = plugin.call(Query::new("select 1")).await.expect_err("nobody is there");
        assert_eq!(error.kind, ErrorKind::Unavailable);
        for _ in 0..500 {
            if let Some(Report::Failure { code, .. }) = plugin.reports().first() {
                assert_eq!(code.as_str(), "refused");
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("nothing was reported");
    });
}
