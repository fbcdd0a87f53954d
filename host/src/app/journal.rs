//! Transitions become rows of the database, and after a restart rows become what a plugin went through before. All of it
//! happens in the background: the board waits for nothing here, and while the database is away it keeps what there is to
//! write, the last hundred transitions a plugin.
//!
//! A row belongs to the host that saw it. A host is its folder for data: what is in `host_id` there tells its rows from
//! those of other hosts on the same database, across restarts.

mod rows;
mod roll_call;

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use plugin_api::{
    error::OperationError,
    protocol::CallHeader,
    requests::{
        Request,
        sql::{Migrate, Query, Statement, Transaction},
    },
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    status::{Board, PluginHealth, Snapshot, Status},
    switch::{Caller, Switch},
    tasks,
};

use roll_call::RollCall;
use rows::{LAST, Row, TABLES};

/// The plugin that keeps rows.
const DATABASE: &str = "database";

/// Whose tables these are.
const OWNER: &str = "host";

/// How long transitions gather, so that those of one event are written together. A kill loses these, and what is being
/// written.
const GATHER: Duration = Duration::from_millis(100);

/// How long the database may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long to wait after a failure, doubled with each further one.
const RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// The rows of a host that was not seen for so long are deleted, in milliseconds.
const GONE_AFTER_MS: i64 = 90 * 24 * 3600 * 1000;

/// Rows in one transaction.
const AT_ONCE: usize = 50;

/// How long a stop waits for what is not written yet.
const FAREWELL: Duration = Duration::from_secs(1);

/// Tells how far the rows have got.
pub(super) struct Journal {
    written: watch::Receiver<u64>,
    board: Board,
}

impl Journal {
    /// Keeps the transitions of a board from now on, until the sender of `draining` is gone.
    pub(super) fn keep(board: Board, switch: Switch, host: String, draining: watch::Receiver<bool>) -> Self {
        let (progress, written) = watch::channel(0);
        let boot_id = board.snapshot().boot_id.clone();
        let keeper = {
            let board = board.clone();
            // What a keeper before it has written is written again, which has no effect.
            move || Keeper {
                board: board.clone(),
                switch: switch.clone(),
                host: host.clone(),
                boot_id: boot_id.clone(),
                roll_call: RollCall::default(),
                written: HashMap::new(),
            }
        };
        tasks::spawn(&board, "journal", move || keeper().run(progress.clone(), draining.clone()));
        Self { written, board }
    }

    /// Waits until everything so far is written, for a moment at most, and no longer than `limit`.
    pub(super) async fn settle(&self, limit: Duration) {
        let revision = self.board.snapshot().revision;
        let mut written = self.written.clone();
        // A database that does not answer is not waited for.
        let _ = timeout(limit.min(FAREWELL), written.wait_for(|written| *written >= revision)).await;
    }
}

struct Keeper {
    board: Board,
    switch: Switch,
    host: String,
    boot_id: Arc<str>,
    /// Not due: the tables are there, and know of this host.
    roll_call: RollCall,
    /// The number of the last transition that is written, by plugin.
    written: HashMap<String, u64>,
}

type Outcome<T> = Result<T, OperationError>;

impl Keeper {
    async fn run(mut self, progress: watch::Sender<u64>, mut draining: watch::Receiver<bool>) {
        let host_is_gone = async {
            // It drains at most once before it goes.
            while draining.changed().await.is_ok() {}
        };
        tokio::select! {
            () = host_is_gone => {}
            () = self.work(progress) => {}
        }
    }

    async fn work(&mut self, progress: watch::Sender<u64>) {
        let mut revisions = self.board.revisions();
        let mut retry = RETRY;
        loop {
            // Seen before the board is looked at, so that no change falls in between.
            revisions.borrow_and_update();
            let snapshot = self.board.snapshot();
            match self.round(&snapshot).await {
                Ok(()) => {
                    if retry > RETRY {
                        tracing::info!("the history of plugins is written to the database again");
                    }
                    retry = RETRY;
                    progress.send_replace(snapshot.revision);
                    self.roll_call.or_change(&mut revisions).await;
                    sleep(GATHER).await;
                }
                Err(error) => {
                    if retry == RETRY {
                        tracing::warn!("the history of plugins is kept in memory for now: {}", error.message);
                    }
                    // It may be another database from now on.
                    self.roll_call = RollCall::default();
                    retry = (retry * 2).min(LONGEST_RETRY);
                    sleep(retry).await;
                }
            }
        }
    }

    /// Reads what was before of plugins that are new, and writes what is not written. Without a database that works there
    /// is nothing to do yet.
    async fn round(&mut self, snapshot: &Snapshot) -> Outcome<()> {
        let Some(database) = self.switch.instance_of(DATABASE) else { return Ok(()) };
        if snapshot.plugin(&database).is_none_or(|plugin| plugin.status != Status::Connected) {
            return Ok(());
        }
        if self.roll_call.is_due() {
            self.prepare(&database).await?;
            self.roll_call.answered();
        }
        for plugin in snapshot.plugins.iter().filter(|plugin| !plugin.recalled) {
            let earlier = Query::new(LAST).bind(&self.host).bind(&plugin.name).row_limit(rows::KEPT);
            let earlier = rows::transitions(&self.ask(&database, earlier).await?)?;
            self.board.recall(&plugin.name, earlier);
            // The plugin of this name may be another one than before.
            self.written.insert(plugin.name.clone(), 0);
        }
        for plugin in snapshot.plugins.iter() {
            self.write(&database, plugin).await?;
        }
        Ok(())
    }

    /// The tables, this host among those that are there, and nothing of those that are gone.
    async fn prepare(&self, database: &str) -> Outcome<()> {
        self.ask(database, Migrate::new(OWNER).version("transitions, hosts", TABLES)).await?;
        let now = Timestamp::now().as_millisecond();
        let roll_call = rows::roll_call(&self.host, now, now - GONE_AFTER_MS);
        self.ask(database, roll_call).await.map(drop)
    }

    /// Writes what is not written of a plugin, the oldest first. To write a row twice has no effect.
    async fn write(&mut self, database: &str, plugin: &PluginHealth) -> Outcome<()> {
        let written = self.written.get(&plugin.name).copied().unwrap_or_default();
        let pending: Vec<Row<'_>> = rows::pending(plugin, written).collect();
        for rows in pending.chunks(AT_ONCE) {
            let inserts = rows.iter().map(|row| row.insert(&self.host, &self.boot_id));
            let forget = rows::forget(&self.host, plugin);
            let statements: Vec<Statement> = inserts.chain(forget).collect();
            self.ask(database, Transaction { statements }).await?;
            if let Some(last) = rows.last() {
                self.written.insert(plugin.name.clone(), last.number);
            }
        }
        Ok(())
    }

    async fn ask<R: Request>(&self, database: &str, request: R) -> Outcome<R::Response> {
        let unreadable = |error: serde_json::Error| OperationError::internal(error.to_string());
        let header = CallHeader {
            plugin: database.to_owned(),
            operation: R::OPERATION.to_owned(),
            deadline_ms: DEADLINE.as_millis().try_into().ok(),
            ..CallHeader::default()
        };
        let payload = serde_json::to_vec(&request).map_err(unreadable)?;
        let answer = self.switch.call(&Caller::Operator, header, payload).await?;
        serde_json::from_slice(&answer).map_err(unreadable)
    }
}

#[cfg(test)]
mod tests;
