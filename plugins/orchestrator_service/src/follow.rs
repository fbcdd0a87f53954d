//! A run -> what happens in it, as it happens, on whichever host: what changed here is known at once, the rest is looked
//! for. Followers change nothing in it, and may leave.

use std::collections::HashSet;

use plugin_api::{
    prelude::*,
    requests::orchestrator::{RunEvent, RunState, ToolState},
    serde_json,
    tokio::{
        select,
        time::{Instant, sleep, timeout_at},
    },
};

use crate::{report::Reporter, run::Run};

/// How often it is looked for what happened elsewhere.
const LOOK: Duration = Duration::from_millis(500);

/// Waits until a run is over or waits for a person, but not beyond this moment.
pub async fn wait(reporter: &Reporter, id: &str, until: Instant) -> Result<Option<Run>, OperationError> {
    let mut changes = reporter.shared.changes.subscribe();
    loop {
        let run = reporter.shared.store.run(id).await?;
        let goes_on = run.as_ref().is_some_and(|run| run.state == RunState::Running);
        if !goes_on || Instant::now() >= until {
            return Ok(run);
        }
        // Whichever comes first, it is looked again.
        let _ = timeout_at(until.min(Instant::now() + LOOK), changes.changed()).await;
    }
}

/// Tells of a run until it is over, or nobody listens any more.
pub async fn tell(
    reporter: &Reporter,
    id: &str,
    with_links: bool,
    stream: &Stream,
) -> Result<(), OperationError> {
    let mut changes = reporter.shared.changes.subscribe();
    let mut told = Told::default();
    loop {
        let Some(run) = reporter.shared.store.run(id).await? else {
            return Err(OperationError::not_found(format!("the run `{id}` was forgotten")));
        };
        for event in told.news(reporter, &run, with_links).await? {
            let is_last = matches!(event, RunEvent::Ended { .. });
            if !send(stream, &event).await || is_last {
                return Ok(());
            }
        }
        select! {
            _ = changes.changed() => {}
            () = sleep(LOOK) => {}
            frame = stream.recv() => if frame.is_err() { return Ok(()) },
        }
    }
}

/// False if nobody listens any more.
pub async fn send(stream: &Stream, event: &RunEvent) -> bool {
    let text = serde_json::to_string(event).expect("an event is always JSON");
    stream.send(Frame::Text(text)).await.is_ok()
}

/// What was told already.
#[derive(Default)]
struct Told {
    called: HashSet<(i64, i64)>,
    answered: HashSet<(i64, i64)>,
    asked: HashSet<String>,
}

impl Told {
    async fn news(
        &mut self,
        reporter: &Reporter,
        run: &Run,
        with_links: bool,
    ) -> Result<Vec<RunEvent>, OperationError> {
        let calls = reporter.shared.store.outline(&run.id).await?;
        let mut news = Vec::new();
        for call in &calls {
            let (place, tool) = ((call.step, call.position), &call.tool);
            if self.called.insert(place) {
                news.push(RunEvent::ToolCalled { tool: tool.clone() });
            }
            if call.is_settled() && self.answered.insert(place) {
                news.push(RunEvent::ToolAnswered {
                    tool: tool.clone(),
                    ok: call.state == ToolState::Answered,
                });
            }
        }
        let waiting = calls.iter().filter(|call| call.state == ToolState::Waiting);
        let asks = waiting.filter(|call| self.asked.insert(call.decision())).count() > 0;
        if run.state.is_over() {
            news.push(RunEvent::Ended { report: reporter.report(run, with_links).await? });
        } else if asks {
            news.push(RunEvent::Waiting { report: reporter.report(run, with_links).await? });
        }
        Ok(news)
    }
}
