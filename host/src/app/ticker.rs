//! What changes by time alone: staleness, flapping, the step of a clock; and what fails in use is counted up to date.

use std::time::Duration;

use crate::{clock, status::Board, switch::Switch, tasks};

/// Looks once a second, as long as the host runs.
pub(super) fn keep(board: &Board, switch: &Switch) {
    let (ticked, swept) = (board.clone(), switch.clone());
    tasks::spawn(board, "ticker", move || tick(ticked.clone(), swept.clone()));
}

async fn tick(board: Board, switch: Switch) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    loop {
        seconds.tick().await;
        board.shift(clock::shift());
        switch.sweep();
        board.tick(clock::now());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

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
    async fn the_ticker_goes_on_after_a_panic() {
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
        keep(&board, &switch);
        let ticks = async {
            while board.snapshot().ticked_at == Timestamp::UNIX_EPOCH {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(3600), ticks).await.expect("it ticks");
        assert_eq!(board.snapshot().panics["ticker"].count, 1);
    }
}
