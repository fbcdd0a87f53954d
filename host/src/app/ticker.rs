//! Changes by time alone: staleness, flapping, the step of a clock; and failures in use are counted up to date, and
//! told to the log. A plugin that is not `connected` and serves a call is looked at soon: it may be well again.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::told::{Line, Told};
use crate::{
    clock,
    status::{Board, Status},
    switch::Switch,
    tasks,
};

/// A plugin that serves calls though its probe fails is looked at no more often for that reason.
const LOOK_PAUSE: Duration = Duration::from_secs(5);

/// Looks once a second until it is dropped; `look` has a plugin probed soon.
pub(super) fn keep(
    board: &Board,
    switch: &Switch,
    look: impl Fn(&str) + Send + Sync + 'static,
) -> AbortOnDropHandle<()> {
    let (ticked, swept, look) = (board.clone(), switch.clone(), Arc::new(look));
    let task = tasks::spawn(board, "ticker", move || tick(ticked.clone(), swept.clone(), look.clone()));
    AbortOnDropHandle::new(task)
}

async fn tick(board: Board, switch: Switch, look: Arc<impl Fn(&str)>) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    let mut looked: HashMap<String, Instant> = HashMap::new();
    let mut told = Told::default();
    loop {
        let now = seconds.tick().await;
        board.shift(clock::shift());
        let snapshot = board.snapshot();
        looked.retain(|_, at| now - *at < LOOK_PAUSE);
        for name in switch.sweep() {
            let unwell = snapshot
                .plugin(&name)
                .is_some_and(|plugin| matches!(plugin.status, Status::Error | Status::Disconnected));
            if unwell && !looked.contains_key(&name) {
                look(&name);
                looked.insert(name, now);
            }
        }
        board.tick(clock::now());
        told.look(&board.snapshot(), now).iter().for_each(Line::log);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use jiff::Timestamp;
    use plugin_api::{error::Failure, requests::host::Trouble};
    use serde_json::json;

    use super::*;
    use crate::{
        scrub::Scrubber,
        status::BoardConfig,
        switch::{CallMetrics, Limits, SlotSpec, ToolPolicy},
    };

    #[tokio::test(start_paused = true)]
    async fn the_ticker_goes_on_after_a_panic_and_ends_with_its_host() {
        let (boot_id, version) = ("test".to_owned(), "0".to_owned());
        let board =
            Board::new(BoardConfig { boot_id, version, plugins: Vec::new(), now: Timestamp::UNIX_EPOCH });
        let metrics = CallMetrics::register(&prometheus::Registry::new()).unwrap();
        let switch =
            Switch::new(&board, Arc::new(|_| Vec::new()), Scrubber::default(), metrics, Arc::new(|_, _| {}));
        let manifest =
            json!({"name": "mail", "version": "1", "kind": "service", "settings": {}, "operations": []});
        switch.add([SlotSpec {
            name: "mail".to_owned(),
            manifest: Arc::new(serde_json::from_value(manifest).unwrap()),
            callers: None,
            needs: Default::default(),
            links: Default::default(),
            limits: Limits::new(Duration::from_secs(1), 1, 1),
            tools: ToolPolicy::default(),
        }]);
        let raise =
            || switch.trouble("mail", Trouble::raised("credit", Failure::quota("no credit"))).unwrap();
        raise();
        // Raised again, it is only counted: the ticker tells it.
        raise();
        let breaks = AtomicBool::new(true);
        switch.tell_failing(Arc::new(move |_, _| {
            assert!(!breaks.swap(false, Ordering::Relaxed), "as the test wants it");
        }));
        let ticker = keep(&board, &switch, |_| {});
        let ticks = async {
            while board.snapshot().ticked_at == Timestamp::UNIX_EPOCH {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(3600), ticks).await.expect("it ticks");
        assert_eq!(board.snapshot().panics["ticker"].count, 1);
        drop(ticker);
        let last = board.snapshot().ticked_at;
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(board.snapshot().ticked_at, last);
    }
}
