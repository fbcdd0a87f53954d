//! The calls of an answer, until all of them have answered. Pure.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use super::super::model::FunctionCall;

/// A tool that is to be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub call: FunctionCall,
    /// Which of its answer's calls it is.
    pub position: usize,
}

/// A tool has answered, or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolDone {
    pub call_id: String,
    /// `plugin.operation`.
    pub tool: String,
    /// What the model is told.
    pub output: String,
    pub is_ok: bool,
    pub took_ms: u64,
}

/// The calls under way, by answers.
#[derive(Debug, Default)]
pub struct Batches {
    batches: Vec<Batch>,
    /// Every call that was ever wanted: none is made twice.
    seen: HashSet<String>,
    calls: HashMap<String, FunctionCall>,
}

#[derive(Debug)]
struct Batch {
    open: HashSet<String>,
    /// What was handed in.
    items: Vec<String>,
    /// When a filler is due, and the wait after it.
    filler: Option<(Duration, Duration)>,
}

impl Batches {
    /// Begins the calls of an answer. Gives those that are new.
    pub fn begin(
        &mut self,
        calls: Vec<FunctionCall>,
        now: Duration,
        filler_after: Option<Duration>,
    ) -> Vec<Wanted> {
        let is_new = |call: &FunctionCall| !self.seen.contains(&call.call_id);
        let new: Vec<FunctionCall> = calls.into_iter().filter(is_new).collect();
        self.seen.extend(new.iter().map(|call| call.call_id.clone()));
        self.calls.extend(new.iter().map(|call| (call.call_id.clone(), call.clone())));
        let open: HashSet<String> = new.iter().map(|call| call.call_id.clone()).collect();
        if !open.is_empty() {
            let filler = filler_after.map(|wait| (now + wait, wait));
            self.batches.push(Batch { open, items: Vec::new(), filler });
        }
        new.into_iter().enumerate().map(|(position, call)| Wanted { call, position }).collect()
    }

    /// A call has answered, and that is this item. Gives the items of its answer once all of them have.
    pub fn answered(&mut self, call_id: &str, item: String) -> Option<Vec<String>> {
        self.calls.remove(call_id);
        let place = self.batches.iter().position(|batch| batch.open.contains(call_id))?;
        let batch = &mut self.batches[place];
        batch.open.remove(call_id);
        batch.items.push(item);
        if !batch.open.is_empty() {
            return None;
        }
        Some(self.batches.remove(place).items)
    }

    /// Other calls of the same answer have not answered yet.
    pub fn has_others(&self, call_id: &str) -> bool {
        self.batches.iter().any(|batch| batch.open.contains(call_id) && batch.open.len() > 1)
    }

    /// The call of this name, while it is under way.
    pub fn call(&self, call_id: &str) -> Option<&FunctionCall> {
        self.calls.get(call_id)
    }

    /// Every call under way.
    pub fn under_way(&self) -> impl Iterator<Item = &FunctionCall> {
        self.calls.values()
    }

    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// When the caller should hear that it takes a while.
    pub fn filler_due(&self) -> Option<Duration> {
        self.batches.iter().filter_map(|batch| Some(batch.filler?.0)).min()
    }

    /// The caller hears so; the next time after twice the wait.
    pub fn filled(&mut self, now: Duration) {
        for (due, wait) in self.batches.iter_mut().filter_map(|batch| batch.filler.as_mut()) {
            if *due <= now {
                *wait *= 2;
                *due = now + *wait;
            }
        }
    }
}
