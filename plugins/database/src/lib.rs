//! `database`: PostgreSQL, or SQLite when `DATABASE_URL` is unset. Everything durable of all plugins is in here.
//!
//! From the settings to a connection:
//! - `settings`: what plugins.toml may say.
//! - `certificates`: the files that a URL names, read by us.
//! - `target`: `url` into the database that it names.
//! - `vec`: sqlite-vec, registered before the first connection.
//! - `disk`, `place`: the database as people are told of it, and the disk of a file.
//! - `writes`: what writes have shown.
//! - `wal`: what SQLite has committed, onto the disk.
//! - `holder`: one process at a time has an SQLite file.
//! - `renewal`, `client`: the pools.
//! - `server`, `probe`: whether the database works, and takes writes.
//!
//! From a request to its answer:
//! - `scan`: SQL into what must be known before the database sees it.
//! - `values`: parameters in, rows out.
//! - `errors`: what the drivers say into what people are told.
//! - `scrub`: no password in what the database says.
//! - `budget`: how long it may take.
//! - `session`: one connection, one transaction.
//! - `statements`, `migrate`, `describe`, `doctor`: the operations.

mod settings;
mod certificates;
mod target;
mod disk;
mod place;
mod vec;
mod scan;
mod values;
mod errors;
mod scrub;
mod budget;
mod writes;
mod wal;
mod holder;
mod renewal;
mod client;
mod server;
mod probe;
mod session;
mod statements;
mod migrate;
mod describe;
mod doctor;
#[cfg(test)]
mod tests;

use plugin_api::{
    prelude::*,
    requests::{
        doctor::{Examination, Examine},
        host::Report,
        sql::{
            Committed, Describe, Description, Execute, Executed, Migrate, Migrated, Query, Rows, Transaction,
        },
    },
    tokio,
};

use client::Client;
use errors::Trouble;
use scrub::Scrub;
use settings::Settings;
use target::Target;

struct Database {
    client: Client,
    scrub: Scrub,
    context: Context,
}

impl Plugin for Database {
    type Settings = Settings;

    fn manifest() -> ManifestBuilder<Self> {
        Manifest::integration("database")
            .about("PostgreSQL, or an SQLite file when no URL is set")
            .probe_every(Duration::from_secs(30))
            .operation(Operation::of(Self::query).about("reads rows by one statement").idempotent())
            .operation(Operation::of(Self::execute).about("changes data by one statement"))
            .operation(Operation::of(Self::transaction).about("runs statements, all of them or none"))
            .operation(Operation::of(Self::migrate).about("brings an owner's tables up to date").idempotent())
            .operation(
                Operation::of(Self::describe)
                    .about("reports dialect, version and vector support")
                    .idempotent(),
            )
            .operation(
                Operation::of(Self::doctor)
                    .about("checks that it can be written and read, and reports migrations and free space")
                    .idempotent()
                    .doctor(),
            )
    }

    fn create(settings: Settings, context: Context) -> Result<Self, Failure> {
        plugin_api::tls::install_provider();
        let resolve = |path: &str| context.resolve_path(path);
        let target = Target::new(settings.url.as_ref(), context.data_dir(), resolve)?;
        let scrub = Scrub::new(settings.url.as_ref());
        Ok(Self { client: Client::new(target, &settings), scrub, context })
    }

    async fn init(&self) -> Result<(), Failure> {
        self.client.init().await
    }

    async fn probe(&self) -> Result<(), Failure> {
        self.client.probe().await
    }

    async fn stop(&self) {
        self.client.close().await;
    }
}

impl Database {
    async fn query(self: Arc<Self>, request: Query, call: Call) -> Result<Rows, OperationError> {
        self.answer(self.client.query(&request, call.remaining()).await)
    }

    async fn execute(self: Arc<Self>, request: Execute, call: Call) -> Result<Executed, OperationError> {
        self.answer(self.client.execute(request, call.remaining()).await)
    }

    async fn transaction(
        self: Arc<Self>,
        request: Transaction,
        call: Call,
    ) -> Result<Committed, OperationError> {
        self.answer(self.client.transaction(&request, call.remaining()).await)
    }

    async fn migrate(self: Arc<Self>, request: Migrate, call: Call) -> Result<Migrated, OperationError> {
        self.answer(self.client.migrate(&request, call.remaining()).await)
    }

    async fn describe(self: Arc<Self>, _: Describe, call: Call) -> Result<Description, OperationError> {
        self.answer(self.client.describe(call.remaining()).await)
    }

    async fn doctor(self: Arc<Self>, _: Examine, call: Call) -> Result<Examination, OperationError> {
        let checks = self.client.examine(call.remaining()).await;
        Ok(Examination { checks, clock: None })
    }

    /// Tells the caller; and the host too, if the database as a whole is away, or takes writes again.
    fn answer<T>(&self, outcome: Result<T, Trouble>) -> Result<T, OperationError> {
        if outcome.is_ok() && self.client.writes.recovered() {
            self.report(Report::Success);
        }
        outcome.map_err(|Trouble { mut error, outage, .. }| {
            self.scrub.clean(&mut error);
            if let Some(failure) = outage {
                self.report(Report::from(failure));
            }
            error
        })
    }

    /// The caller does not wait for it, and a host that cannot take it probes by itself.
    fn report(&self, report: Report) {
        let host = self.context.host();
        tokio::spawn(async move { host.report(report).await });
    }
}

plugin_api::export_plugin!(Database);
