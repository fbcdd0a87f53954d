//! `switchboard run`: the host in the foreground.

use std::{net::SocketAddr, path::Path, time::Duration};

use switchboard::app::{self, Host, StartError};

use self::signals::Signals;
use super::{Exit, Failed, load_and_log, runtime, show, table};

mod signals;

/// How long the table waits for plugins that take their time.
const TABLE_PATIENCE: Duration = Duration::from_secs(60);

/// Runs until SIGTERM or Ctrl-C; a second one ends at once.
pub fn run(path: &Path, verbose: bool) -> Result<Exit, Failed> {
    let (config, scrubber) = load_and_log(path, verbose)?;
    let runtime = runtime()?;
    let outcome = runtime.block_on(async {
        // Before anything starts: a signal that nobody watches ends the process without a word to the plugins.
        let signals = Signals::watch();
        app::run(config, scrubber, told_to_stop(signals), announce).await
    });
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
    show(format_args!("Switchboard {} listens on http://{address}/", app::VERSION));
    let snapshot = host.settled(TABLE_PATIENCE).await;
    show(format_args!("\n{}\n", table::statuses(&snapshot.plugins)));
    show(format_args!("The host is {}.", snapshot.overall.as_str()));
    let steps = table::next_steps(&snapshot);
    if !steps.is_empty() {
        show(format_args!("To do next:"));
        steps.iter().for_each(|step| show(format_args!("  {step}")));
    }
}

/// Waits for the first signal to stop. The second one ends the process at once.
async fn told_to_stop(mut signals: Signals) {
    signals.next().await;
    tokio::spawn(async move {
        signals.next().await;
        eprintln!("stopped at once");
        std::process::exit(1);
    });
}
