//! The journal with a database that breaks it.

use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::{FutureExt, future::BoxFuture};
use plugin_api::{
    error::Failure,
    pipe::PipeEnd,
    requests::sql::{Committed, Migrated, Rows},
};
use serde_json::json;

use super::*;
use crate::{
    loader::Instance,
    scrub::Scrubber,
    status::{BoardConfig, Event, PluginSpec},
    switch::{CallMetrics, Limits, SlotSpec, ToolPolicy},
};

/// Panics when it is called, the first time.
#[derive(Default)]
struct Breaking {
    calls: AtomicU32,
}

impl Instance for Breaking {
    fn init(&self) -> BoxFuture<'static, Result<(), Failure>> {
        async { Ok(()) }.boxed()
    }

    fn probe(&self) -> BoxFuture<'static, Result<(), Failure>> {
        async { Ok(()) }.boxed()
    }

    fn stop(&self) -> BoxFuture<'static, Result<(), Failure>> {
        async { Ok(()) }.boxed()
    }

    fn call(&self, header: &CallHeader, _: Vec<u8>) -> BoxFuture<'static, Result<Vec<u8>, OperationError>> {
        assert!(self.calls.fetch_add(1, Ordering::Relaxed) > 0, "as the test wants it");
        let answer = match header.operation.as_str() {
            "migrate" => serde_json::to_vec(&Migrated { applied: vec![1], version: 1 }),
            "query" => serde_json::to_vec(&Rows { columns: Vec::new(), rows: Vec::new(), truncated: false }),
            _ => serde_json::to_vec(&Committed { results: Vec::new() }),
        };
        async { Ok(answer.unwrap()) }.boxed()
    }

    fn open(&self, _: &CallHeader, _: Vec<u8>, _: PipeEnd) -> BoxFuture<'static, Result<(), OperationError>> {
        async { Err(OperationError::not_found("no streams here")) }.boxed()
    }
}

fn database() -> SlotSpec {
    let operation =
        |name: &str| json!({"name": name, "mode": "call", "about": "", "request": {}, "response": {}});
    let operations = ["migrate", "query", "transaction"].map(operation);
    let manifest = json!({"name": DATABASE, "version": "1", "kind": "integration", "settings": {}, "operations": operations});
    SlotSpec {
        name: DATABASE.to_owned(),
        manifest: Arc::new(serde_json::from_value(manifest).unwrap()),
        callers: None,
        needs: Default::default(),
        links: HashMap::new(),
        limits: Limits::new(DEADLINE, 1, 1),
        tools: ToolPolicy::default(),
    }
}

#[tokio::test(start_paused = true)]
async fn the_journal_goes_on_after_a_panic_and_writes_what_was_not_written() {
    let (boot_id, version, now) = ("test".to_owned(), "0".to_owned(), Timestamp::UNIX_EPOCH);
    let board = Board::new(BoardConfig { boot_id, version, plugins: vec![PluginSpec::new(DATABASE)], now });
    let metrics = CallMetrics::register(&prometheus::Registry::new()).unwrap();
    let switch =
        Switch::new(&board, Arc::new(|_| Vec::new()), Scrubber::default(), metrics, Arc::new(|_, _| {}));
    switch.add([database()]);
    let instance = Arc::new(Breaking::default());
    switch.attach(DATABASE, instance.clone());
    board.apply(DATABASE, Event::InitStarted { generation: 1, attempt: 1 }, now);
    board.apply(DATABASE, Event::InitSucceeded { took: Duration::ZERO }, now);
    let draining = watch::Sender::new(false);
    let mut journal = Journal::keep(board.clone(), switch, "here".to_owned(), draining.subscribe());

    let revision = board.snapshot().revision;
    let written = journal.written.wait_for(|written| *written > revision);
    timeout(Duration::from_secs(3600), written).await.expect("it is written").unwrap();
    assert_eq!(board.snapshot().panics["journal"].count, 1);
    assert!(instance.calls.load(Ordering::Relaxed) >= 4, "the panic, tables, what was before, transitions");
}
