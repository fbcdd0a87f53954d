//! How much of the processors and of the memory another process has used, as Linux tells.

use std::fs;

/// Nanoseconds on a processor, by all threads that the process has now, in user mode and in the kernel.
pub fn time(process: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("the process runs");
    let of_task = |task: fs::DirEntry| -> Option<u64> {
        // A thread may have ended just now.
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse().ok()
    };
    tasks.filter_map(Result::ok).filter_map(of_task).sum()
}

/// Resident memory in MiB, shared pages of libraries included.
pub fn resident(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.expect("Linux tells it in kB") / 1024.0
}
