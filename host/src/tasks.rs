//! The host's own tasks are watched: one that ends by a panic is told to the board, counted, and run again. None is silently
//! gone. The panic's message is in the log: the panic hook puts it there.

use std::{any::Any, future::Future, panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::status::Board;

/// How long to wait before a task runs again, doubled with each panic that follows soon.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The task by which something is made known.
pub type Name = &'static str;

/// Runs a task until it ends by itself, and gives what it ends with; after a panic `make` makes it anew.
pub async fn keep<F: Future>(board: &Board, task: Name, mut make: impl FnMut() -> F) -> F::Output {
    let mut pause = PAUSE;
    loop {
        let began = Instant::now();
        match caught(async { make().await }).await {
            Ok(output) => return output,
            Err(Panicked) => tell(board, task, None),
        }
        if began.elapsed() > LONGEST_PAUSE {
            pause = PAUSE;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The same in the background.
pub fn spawn<F>(board: &Board, task: Name, make: impl FnMut() -> F + Send + 'static) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let board = board.clone();
    tokio::spawn(async move { keep(&board, task, make).await })
}

/// Runs work in the background that lasts as long as one request, connection or stream. A panic ends nothing else, and
/// is told; `of` is the plugin, if it is about one.
pub fn once(
    board: &Board,
    task: Name,
    of: Option<&str>,
    work: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<()> {
    let (board, of) = (board.clone(), of.map(str::to_owned));
    tokio::spawn(async move {
        // It was told, and there is nothing to go on with.
        let _ = watched(&board, task, of.as_deref(), work).await;
    })
}

/// Runs work of this kind where somebody goes on after it.
///
/// # Errors
/// It panicked, which was told.
pub async fn watched<T>(
    board: &Board,
    task: Name,
    of: Option<&str>,
    work: impl Future<Output = T>,
) -> Result<T, Panicked> {
    let outcome = caught(work).await;
    if outcome.is_err() {
        tell(board, task, of);
    }
    outcome
}

/// Some work ended by a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panicked;

/// Runs work whose panic ends nothing else. Callers that go on with what it touched say by this call that they may.
///
/// # Errors
/// It panicked.
pub async fn caught<T>(work: impl Future<Output = T>) -> Result<T, Panicked> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|_: Box<dyn Any + Send>| Panicked)
}

/// Tells that a task ended by a panic; `of` is the plugin, if it is about one.
pub fn tell(board: &Board, task: Name, of: Option<&str>) {
    tracing::error!(task, plugin = of, "a task of the host ended by a panic");
    board.task_panicked(task, of, Timestamp::now());
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use super::*;
    use crate::status::BoardConfig;

    fn board() -> Board {
        let (boot_id, version) = ("test".to_owned(), "0".to_owned());
        Board::new(BoardConfig { boot_id, version, plugins: Vec::new(), now: Timestamp::now() })
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_is_told_and_runs_again() {
        let board = board();
        let before = board.snapshot().revision;
        let runs = Arc::new(AtomicU32::new(0));
        let task = spawn(&board, "ticker", {
            let runs = runs.clone();
            move || {
                let run = runs.fetch_add(1, Ordering::Relaxed);
                async move {
                    assert!(run > 1, "as the test wants it");
                    run
                }
            }
        });
        assert_eq!(task.await.unwrap(), 2);
        let snapshot = board.snapshot();
        assert!(snapshot.revision > before);
        assert_eq!(snapshot.panics["ticker"].count, 2);
        let notes = snapshot.notes();
        let told = "a task of the host, `ticker`, ended by a panic 2 times, last at ";
        assert!(notes.len() == 1 && notes[0].starts_with(told), "{notes:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_cannot_even_be_made_is_tried_again_and_slower_each_time() {
        let board = board();
        let (began, mut tries) = (Instant::now(), 0);
        keep(&board, "server", || {
            tries += 1;
            assert!(tries > 4, "as the test wants it");
            async {}
        })
        .await;
        assert_eq!(began.elapsed(), PAUSE * (1 + 2 + 4 + 8));
        assert_eq!(board.snapshot().panics["server"].count, 4);
    }

    #[tokio::test]
    async fn work_that_panics_once_is_told_and_not_repeated() {
        let board = board();
        once(&board, "connection", None, async { panic!("as the test wants it") }).await.unwrap();
        once(&board, "connection", None, async {}).await.unwrap();
        assert_eq!(board.snapshot().panics["connection"].count, 1);
        let stream = watched(&board, "stream", Some("voice"), async { panic!("as the test wants it") }).await;
        assert_eq!(stream, Err::<(), _>(Panicked));
        assert_eq!(board.snapshot().panics["stream"].of.as_deref(), Some("voice"));
    }

    #[tokio::test]
    async fn what_is_about_a_plugin_is_told_with_its_name() {
        let board = board();
        tell(&board, "supervisor", Some("database"));
        let notes = board.snapshot().notes();
        let told = "a task of the host, `supervisor` of `database`, ended by a panic once, at ";
        assert!(notes.len() == 1 && notes[0].starts_with(told), "{notes:?}");
    }
}
