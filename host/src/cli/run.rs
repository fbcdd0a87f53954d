//! `switchboard run`: the host in the foreground.

use std::{net::SocketAddr, path::Path, time::Duration};

use switchboard::app::{self, Host, StartError};

use super::{Exit, Failed, load_and_log, runtime, table};

/// How long the table waits for plugins that take their time.
const TABLE_PATIENCE: Duration = Duration::from_secs(60);

/// Runs until SIGTERM or Ctrl-C; a second one ends at once.
pub fn run(path: &Path, verbose: bool) -> Result<Exit, Failed> {
    let (config, scrubber) = load_and_log(path, verbose)?;
    let runtime = runtime()?;
    let outcome = runtime.block_on(app::run(config, scrubber, told_to_stop(), announce));
    // What still runs has had its grace period.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => Ok(Exit::Success),
        Err(StartError::Refused(refused)) => Err(Failed::new(Exit::Configuration, refused)),
        Err(error) => Err(Failed::new(Exit::Failed, error)),
    }
}

/// Where the dashboard is, one table of statuses, and what to do next.
async fn announce(address: SocketAddr, host: &Host) {
    println!("Switchboard {} listens on http://{address}/", app::VERSION);
    let snapshot = host.settled(TABLE_PATIENCE).await;
    println!("\n{}\n", table::statuses(&snapshot.plugins));
    println!("The host is {}.", snapshot.overall.as_str());
    let steps = table::next_steps(&snapshot);
    if !steps.is_empty() {
        println!("To do next:");
        steps.iter().for_each(|step| println!("  {step}"));
    }
}

/// Waits for the first signal to stop. The second one ends the process at once.
async fn told_to_stop() {
    signal().await;
    tokio::spawn(async {
        signal().await;
        eprintln!("stopped at once");
        std::process::exit(1);
    });
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(_) => _ = tokio::signal::ctrl_c().await,
    }
}

#[cfg(not(unix))]
async fn signal() {
    // If the signal cannot be watched, the process is ended by the system's own means.
    let _ = tokio::signal::ctrl_c().await;
}
