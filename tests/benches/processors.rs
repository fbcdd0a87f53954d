//! Which threads run where. A thread that waits on an idle processor is woken some ten times slower than one that waits on
//! the processor of who wakes it, and where the kernel puts a thread is chance: a comparison needs both in the same place.

use std::{fs, thread};

use rustix::{
    process::Pid,
    thread::{CpuSet, sched_setaffinity},
};

/// How many there are to choose from.
pub fn count() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Binds the threads that another process has now, each to the processor that is chosen by the thread's name.
pub fn bind(process: u32, choose: impl Fn(&str) -> usize) {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("the process runs");
    for task in tasks.filter_map(Result::ok) {
        // A thread may have ended just now.
        let Ok(name) = fs::read_to_string(task.path().join("comm")) else { continue };
        let id = task.file_name().to_str().and_then(|id| id.parse().ok()).and_then(Pid::from_raw);
        let _ = sched_setaffinity(id, &only(choose(name.trim()) % count()));
    }
}

/// Binds this thread.
pub fn bind_this(processor: usize) {
    sched_setaffinity(None, &only(processor % count())).expect("the processor is there");
}

fn only(processor: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(processor);
    set
}
