//! Beginnings and ends of jobs, as they come -> one statement for all that came while the one before was under way.
//! Only what is written is acknowledged.

use plugin_api::{
    prelude::*,
    tokio::{
        self,
        sync::{Mutex, mpsc, oneshot},
    },
    worker::{Pulse, Worker},
};

use crate::store::{Claim, Claims, Firing, Record, Store};

/// How many wait to be written; who comes then waits, too.
const QUEUE: usize = 1024;
/// How many are written at once.
const BATCH: usize = 200;
/// Two statements.
const LONGEST_TURN: Duration = Duration::from_secs(120);

type Answer = oneshot::Sender<Result<bool, OperationError>>;

enum Entry {
    Begin(Firing, Answer),
    End(Box<Record>, Answer),
}

/// Writes.
pub struct Recorder {
    entries: mpsc::Sender<Entry>,
    _writing: Worker,
}

impl Recorder {
    /// Starts to write, until it is dropped.
    pub fn start(context: Context, store: Arc<Store>) -> Self {
        let (entries, queue) = mpsc::channel(QUEUE);
        let (queue, own) = (Arc::new(Mutex::new(queue)), context.clone());
        let writing = Worker::start(&context, "recording", LONGEST_TURN, move |pulse: Pulse| {
            let (context, store, queue) = (own.clone(), store.clone(), queue.clone());
            async move {
                let mut queue = queue.lock().await;
                let mut batch = Vec::new();
                pulse.rest();
                while queue.recv_many(&mut batch, BATCH).await > 0 {
                    pulse.turn();
                    write(&context, &store, std::mem::take(&mut batch)).await;
                    pulse.rest();
                }
            }
        });
        Self { entries, _writing: writing }
    }

    /// Written before anything is done for this moment of a job. `false`: it must not be done, for the job is cancelled
    /// or another host's.
    pub async fn begin(&self, firing: Firing) -> Result<bool, OperationError> {
        self.put(|answer| Entry::Begin(firing, answer)).await
    }

    /// Writes what became of a job. `false`: it is another claim's by now.
    pub async fn end(&self, record: &Record) -> Result<bool, OperationError> {
        self.put(|answer| Entry::End(Box::new(record.clone()), answer)).await
    }

    async fn put(&self, entry: impl FnOnce(Answer) -> Entry) -> Result<bool, OperationError> {
        let gone = || OperationError::cancelled("the scheduler is stopping");
        let (answer, written) = oneshot::channel();
        self.entries.send(entry(answer)).await.map_err(|_| gone())?;
        written.await.map_err(|_| gone())?
    }
}

async fn write(context: &Context, store: &Store, entries: Vec<Entry>) {
    let (mut firings, mut beginners) = (Vec::new(), Vec::new());
    let (mut records, mut enders) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry {
            Entry::Begin(firing, answer) => {
                beginners.push(((firing.job_id.clone(), firing.job_owner.clone()), answer));
                firings.push(firing);
            }
            Entry::End(record, answer) => {
                enders.push(((record.job_id.clone(), record.job_owner.clone()), answer));
                records.push(*record);
            }
        }
    }
    let begin = async {
        if !firings.is_empty() {
            tell(beginners, store.begin(&firings).await);
        }
    };
    let end = async {
        if !records.is_empty() {
            let ended = store.end(&records).await;
            let count = ended.as_ref().map(|ended| counted(&records, ended)).unwrap_or_default();
            tell(enders, ended);
            count_all(context, count).await;
        }
    };
    tokio::join!(begin, end);
}

fn tell(waiting: Vec<(Claim, Answer)>, outcome: Result<Claims, OperationError>) {
    for (claim, answer) in waiting {
        let is_ours = outcome.as_ref().map(|ours| ours.contains(&claim)).map_err(Clone::clone);
        // Who waited may have been stopped.
        let _ = answer.send(is_ours);
    }
}

/// How many ended in which way: the metrics of the plugin.
fn counted(records: &[Record], ours: &Claims) -> Vec<(&'static str, u64)> {
    let is_written = |record: &&Record| ours.contains(&(record.job_id.clone(), record.job_owner.clone()));
    let written = records.iter().filter(is_written);
    let kinds = written.filter_map(|record| match (record.outcome.as_deref(), record.new_state.as_str()) {
        (Some("done"), _) => Some("done"),
        (Some("failed"), _) => Some("failed"),
        (Some("unknown_outcome"), _) => Some("unknown_outcome"),
        (Some("missed"), _) => Some("missed"),
        (Some("skipped"), _) => Some("skipped"),
        (None, "parked") => Some("parked"),
        (None, "retrying") => Some("retried"),
        _ => None,
    });
    let mut counts: Vec<(&'static str, u64)> = Vec::new();
    for kind in kinds {
        match counts.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => counts.push((kind, 1)),
        }
    }
    counts
}

async fn count_all(context: &Context, counts: Vec<(&'static str, u64)>) {
    for (name, by) in counts {
        // A metric that is not taken is no reason to stop.
        let _ = context.host().count(name, by).await;
    }
}
