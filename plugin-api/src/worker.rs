//! A loop in the background of a plugin, watched: one that panics or hangs is logged, becomes a trouble of the plugin, and
//! is begun again. The trouble ends when the loop has turned again.
//!
//! ```
//! use plugin_api::{prelude::*, worker::{Pulse, Worker}};
//!
//! # async fn tidy() {}
//! /// How long one turn takes at most.
//! const LONGEST_TURN: Duration = Duration::from_secs(60);
//!
//! fn start(context: &Context) -> Worker {
//!     Worker::start(context, "tidying", LONGEST_TURN, |pulse: Pulse| async move {
//!         loop {
//!             pulse.turn();
//!             tidy().await;
//!             pulse.rest();
//!             plugin_api::tokio::time::sleep(Duration::from_secs(3600)).await;
//!         }
//!     })
//! }
//! ```

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    select,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep},
};

use crate::{context::Context, error::Failure, requests::host::Trouble, standing::Standing};

/// How often it is looked how a loop fares, at least.
const LOOK: Duration = Duration::from_secs(1);
/// Before a loop is begun again: doubled each time that it ends without a turn.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A loop that runs until it ends by itself, or this is dropped or stopped.
#[derive(Debug)]
pub struct Worker(JoinHandle<()>);

impl Worker {
    /// Begins a loop on the runtime of the plugin. `name` is snake_case: it stands in the log, and is the key of the
    /// trouble. No turn may take longer than `longest_turn`.
    ///
    /// A loop that hangs is cut off at an `await` and made anew by `work`, so it must survive that as it survives the end
    /// of its host.
    pub fn start<F>(
        context: &Context,
        name: &'static str,
        longest_turn: Duration,
        work: impl Fn(Pulse) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self(tokio::spawn(watch(context.clone(), name, longest_turn, work)))
    }

    /// Ends the loop at its next `await`.
    pub fn stop(&self) {
        self.0.abort();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The first turn has not begun: a loop that hangs by then is found, and has done no work.
const STARTING: u64 = 1;

/// By which a loop shows that it turns. Clones show the same.
#[derive(Debug, Clone)]
pub struct Pulse(Arc<Beats>);

#[derive(Debug)]
struct Beats {
    begun: Instant,
    /// When the turn under way began, in milliseconds since `begun`, and 2 more; 0 while it rests; [`STARTING`].
    turn: AtomicU64,
    /// How many turns are over.
    over: AtomicU64,
}

impl Pulse {
    fn new() -> Self {
        Self(Arc::new(Beats { begun: Instant::now(), turn: STARTING.into(), over: 0.into() }))
    }

    /// A turn begins; one that was under way is over.
    pub fn turn(&self) {
        let now = u64::try_from(self.0.begun.elapsed().as_millis()).unwrap_or(u64::MAX - 2);
        self.end(now + 2);
    }

    /// The turn under way is over, if there is one. It may be long until the next one.
    pub fn rest(&self) {
        self.end(0);
    }

    /// Only a turn that had begun counts.
    fn end(&self, next: u64) {
        if self.0.turn.swap(next, Ordering::Relaxed) > STARTING {
            self.0.over.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn over(&self) -> u64 {
        self.0.over.load(Ordering::Relaxed)
    }

    /// For how long the turn has been under way.
    fn taken(&self) -> Option<Duration> {
        let since = self.0.turn.load(Ordering::Relaxed).checked_sub(1)?.saturating_sub(1);
        Some(self.0.begun.elapsed().saturating_sub(Duration::from_millis(since)))
    }
}

/// Why a loop is begun again.
enum End {
    Panicked,
    Hung(Duration),
}

impl fmt::Display for End {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked => formatter.write_str("panicked"),
            Self::Hung(limit) => write!(formatter, "hung: a turn took longer than {limit:?}"),
        }
    }
}

async fn watch<F>(context: Context, name: &'static str, longest_turn: Duration, work: impl Fn(Pulse) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let standing = Standing::new(name);
    let mut pause = None;
    loop {
        let pulse = Pulse::new();
        // Ends with this task, whatever ends that.
        let mut task = JoinSet::new();
        task.spawn(work(pulse.clone()));
        let end = loop {
            select! {
                ended = task.join_next() => match ended {
                    Some(Err(error)) if error.is_panic() => break End::Panicked,
                    _ => return,
                },
                hung = hangs(&pulse, longest_turn) => if hung { break End::Hung(longest_turn) },
            }
            if pause.is_some() && pulse.over() > 0 {
                pause = None;
                standing.clear(&context).await;
            }
        };
        drop(task);
        tracing::error!(worker = name, "a background loop {end}: it is restarted");
        standing.raise(&context, trouble(name, &end)).await;
        let wait = pause.map_or(FIRST_PAUSE, |last: Duration| last.saturating_mul(2).min(LONGEST_PAUSE));
        pause = Some(wait);
        sleep(wait).await;
    }
}

/// Waits for a look, then tells whether the turn takes too long. A process that stood still as a whole has to be told from
/// a loop that hangs: the loop gets another look to show itself.
async fn hangs(pulse: &Pulse, longest_turn: Duration) -> bool {
    let look = LOOK.min(longest_turn);
    sleep(look).await;
    let before = pulse.over();
    if pulse.taken().is_none_or(|taken| taken <= longest_turn) {
        return false;
    }
    sleep(look).await;
    pulse.over() == before && pulse.taken().is_some_and(|taken| taken > longest_turn)
}

fn trouble(name: &'static str, end: &End) -> Trouble {
    Trouble::raised(name, Failure::internal(format!("`{name}`, a background loop, {end}; it was restarted")))
        .label("Read the log of this plugin. If it recurs, restart the host, and report it to the plugin's author")
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{prelude::*, testing::TestPlugin};

    const LONGEST_TURN: Duration = Duration::from_millis(50);

    /// Its loop does what its settings say, once; then it turns.
    struct Looper {
        worker: std::sync::Mutex<Option<Worker>>,
        begun: Arc<AtomicU64>,
    }

    #[plugin_api::settings]
    struct Settings {
        first: String,
    }

    impl Plugin for Looper {
        type Settings = Settings;

        fn manifest() -> ManifestBuilder<Self> {
            Manifest::service("looper").operation(Operation::new("begun", Self::begun))
        }

        fn create(settings: Settings, context: Context) -> Result<Self, Failure> {
            let begun = Arc::new(AtomicU64::new(0));
            let counted = begun.clone();
            let worker = Worker::start(&context, "looping", LONGEST_TURN, move |pulse: Pulse| {
                let is_first = counted.fetch_add(1, Ordering::Relaxed) == 0;
                let first = settings.first.clone();
                async move {
                    match first.as_str() {
                        "panic" if is_first => panic!("as it was told"),
                        "hang" if is_first => std::future::pending().await,
                        "end" => return,
                        _ => {}
                    }
                    loop {
                        pulse.turn();
                        pulse.rest();
                        // Much longer than a turn may take.
                        sleep(LONGEST_TURN * 10).await;
                    }
                }
            });
            Ok(Self { worker: Some(worker).into(), begun })
        }

        async fn stop(&self) {
            self.worker.lock().unwrap().take();
        }
    }

    impl Looper {
        async fn begun(self: Arc<Self>, _: Value, _: Call) -> Result<u64, OperationError> {
            Ok(self.begun.load(Ordering::Relaxed))
        }
    }

    /// The troubles told of a loop until there were so many.
    async fn told(first: &str, times: usize) -> Vec<Trouble> {
        let plugin = TestPlugin::<Looper>::new(json!({ "first": first })).create().unwrap();
        let all = async {
            while plugin.troubles().len() < times {
                sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), all).await.expect("it is told in time");
        assert_eq!(plugin.call_json("begun", json!({})).await.unwrap(), 2, "it is begun again, once");
        plugin.troubles()
    }

    #[tokio::test]
    async fn a_loop_that_hangs_is_told_and_begun_again() {
        let told = told("hang", 2).await;
        let message = told[0].message.as_deref().unwrap();
        assert!(message.contains("hung: a turn took longer than 50ms"), "{message}");
        assert_eq!((told[0].key.as_str(), told[0].cleared), ("looping", false));
        assert_eq!(told[1], Trouble::cleared("looping"), "it turns again");
    }

    #[tokio::test]
    async fn a_loop_that_panics_is_told_and_begun_again() {
        let told = told("panic", 2).await;
        assert!(told[0].message.as_deref().unwrap().contains("panicked"), "{told:?}");
        assert_eq!(told[1], Trouble::cleared("looping"), "it turns again");
    }

    #[test]
    fn only_a_turn_that_had_begun_counts() {
        let pulse = Pulse::new();
        pulse.rest();
        pulse.rest();
        pulse.turn();
        assert_eq!(pulse.over(), 0, "nothing was done yet");
        pulse.turn();
        assert_eq!(pulse.over(), 1);
        pulse.rest();
        pulse.rest();
        assert_eq!(pulse.over(), 2);
        let begun_by_a_turn = Pulse::new();
        begun_by_a_turn.turn();
        assert_eq!(begun_by_a_turn.over(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn rest_is_no_hanging_and_a_turn_that_never_ends_is() {
        let pulse = Pulse::new();
        let minute = Duration::from_secs(60);
        pulse.turn();
        pulse.rest();
        tokio::time::advance(100 * minute).await;
        assert!(!hangs(&pulse, minute).await, "it rests");
        pulse.turn();
        assert!(!hangs(&pulse, minute).await, "it has only begun");
        tokio::time::advance(2 * minute).await;
        assert!(hangs(&pulse, minute).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_stood_still_is_no_loop_that_hangs() {
        let pulse = Pulse::new();
        pulse.turn();
        tokio::time::advance(Duration::from_secs(3600)).await;
        let looked = hangs(&pulse, Duration::from_secs(60));
        let turns = async {
            sleep(LOOK * 3 / 2).await;
            pulse.turn();
        };
        assert!(!tokio::join!(looked, turns).0, "it turned as soon as it could");
    }

    #[tokio::test]
    async fn a_loop_that_ends_by_itself_is_no_trouble() {
        let plugin = TestPlugin::<Looper>::new(json!({ "first": "end" })).create().unwrap();
        let ended = async {
            while plugin.call_json("begun", json!({})).await.unwrap() == 0 {
                tokio::task::yield_now().await;
            }
        };
        ended.await;
        plugin.stop().await.unwrap();
        assert_eq!(plugin.troubles(), []);
        assert_eq!(plugin.call_json("begun", json!({})).await.unwrap(), 1);
    }
}
