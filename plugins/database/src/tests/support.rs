//! Databases for tests.

pub mod server;

use std::{future::Future, path::Path, time::Duration};

use plugin_api::{
    prelude::*,
    requests::sql::{Execute, Query, Rows},
    serde_json::{self, Value as Json},
    tokio::{runtime::Builder, time::timeout},
};
use tempfile::TempDir;

use crate::{client::Client, errors::Trouble, settings::Settings, target::Target};
use server::Server;

/// No test takes this long, unless something hangs.
const TEST_LIMIT: Duration = Duration::from_secs(120);

/// A check on both dialects, as one test each.
macro_rules! on_both {
    ($($check:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[test] fn $check() { crate::tests::support::on_sqlite(super::$check); })*
        }
        mod on_postgres {
            $(#[test] fn $check() { crate::tests::support::on_postgres(super::$check); })*
        }
    };
}
pub(crate) use on_both;

/// What a check is given: a database of its own, and a way to connect to it once more.
pub struct Fixture {
    pub client: Client,
    url: String,
}

impl Fixture {
    /// Another client of the same database, with other settings.
    pub async fn another(&self, settings: Json) -> Client {
        let client = client(&self.url, settings);
        client.hold().await.expect("this process has the file");
        client
    }

    pub async fn execute(&self, sql: &str) {
        self.client.execute(Execute::new(sql), None).await.expect(sql);
    }

    pub async fn query(&self, sql: &str) -> Rows {
        self.client.query(&Query::new(sql), None).await.expect(sql)
    }

    /// How many rows a table has.
    pub async fn count(&self, table: &str) -> u64 {
        let rows = self.query(&format!("select count(*) as n from {table}")).await;
        rows.first().expect("a count").get("n").expect("a number")
    }
}

pub fn on_sqlite<F: Future<Output = ()>>(check: impl FnOnce(Fixture) -> F) {
    let folder = TempDir::new().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("test.db").display());
    run(async {
        let client = client(&url, Json::Null);
        client.init().await.expect("a new file");
        check(Fixture { client, url: url.clone() }).await;
    });
}

pub fn on_postgres<F: Future<Output = ()>>(check: impl FnOnce(Fixture) -> F) {
    let Some(server) = Server::shared() else { return };
    run(async {
        let url = server.new_database().await;
        let client = client(&url, Json::Null);
        client.init().await.expect("a new database");
        check(Fixture { client, url }).await;
    });
}

/// Runs a test, on a runtime such as an instance has.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async { timeout(TEST_LIMIT, test).await.expect("the test hangs") });
}

/// A client for a URL. `settings` is an object, or null.
pub fn client(url: &str, settings: Json) -> Client {
    let settings = if settings.is_null() { serde_json::json!({}) } else { settings };
    let settings: Settings = serde_json::from_value(settings).expect("settings");
    let settings = Settings { url: Some(Secret::new(url)), ..settings };
    let target =
        Target::new(Some(&Secret::new(url)), Path::new("/"), |path| path.into()).expect("a good URL");
    plugin_api::tls::install_provider();
    Client::new(target, &settings)
}

/// The error of what must fail, with its details below it.
pub fn refusal<T: std::fmt::Debug>(outcome: Result<T, Trouble>) -> String {
    let error = outcome.expect_err("it must be refused").error;
    match &error.details {
        Some(details) => format!("{error}\n{details:#}"),
        None => error.to_string(),
    }
}
