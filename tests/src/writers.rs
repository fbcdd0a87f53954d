//! Many clients write rows at the same time, and remember which ones were acknowledged.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use serde_json::json;

use crate::{host::TestHost, http, wait::wait_until};

/// Clients that write until they are told to stop.
pub struct Writers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    address: String,
    table: String,
    next: AtomicU64,
    ended: AtomicBool,
    acknowledged: Mutex<BTreeSet<u64>>,
    refused: AtomicU64,
}

impl Writers {
    /// Starts so many clients, which write numbers from `first` on into the column `id` of a table.
    pub fn start(host: &TestHost, clients: usize, table: &str, first: u64) -> Self {
        let shared = Arc::new(Shared {
            address: host.address().to_owned(),
            table: table.to_owned(),
            next: AtomicU64::new(first),
            ended: AtomicBool::new(false),
            acknowledged: Mutex::default(),
            refused: AtomicU64::new(0),
        });
        let threads = (0..clients).map(|_| {
            let shared = shared.clone();
            std::thread::spawn(move || shared.write())
        });
        Self { threads: threads.collect(), shared }
    }

    /// How many rows were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.shared.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// How many writes were answered with an error so far, or with none.
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// Waits until so many more rows are acknowledged.
    #[track_caller]
    pub fn wait_for_more(&self, rows: usize) {
        let enough = self.acknowledged() + rows;
        wait_until("acknowledged writes", || self.acknowledged(), |count| *count >= enough);
    }

    /// Ends all clients, each after its current write, and gives what was acknowledged.
    ///
    /// # Panics
    /// If one of them has panicked.
    pub fn stop(mut self) -> BTreeSet<u64> {
        self.shared.ended.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a writer does not panic");
        }
        std::mem::take(&mut self.shared.acknowledged.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A test that fails leaves nobody writing.
impl Drop for Writers {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn write(&self) {
        while !self.ended.load(Ordering::Relaxed) {
            let id = self.next.fetch_add(1, Ordering::Relaxed);
            let request =
                json!({"sql": format!("insert into {} (id) values ({id})", self.table)}).to_string();
            let headers = [("content-type", "application/json")];
            let path = "/api/operations/database/execute";
            match http::request(&self.address, "POST", path, &headers, Some(&request)) {
                Ok(answer) if answer.status == 200 => {
                    self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
                }
                _ => _ = self.refused.fetch_add(1, Ordering::Relaxed),
            }
        }
    }
}
