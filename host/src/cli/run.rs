//! `switchboard run`: the host in the foreground.

use std::{net::SocketAddr, panic::resume_unwind, path::Path, time::Duration};

use switchboard::app::{self, Host, StartError, output};

use tokio::sync::Mutex;

use self::signals::{Hangups, Signals};
use super::{Exit, Failed, load_and_log, reload, runtime, table};

mod service_manager;
mod signals;

/// How long the table waits for plugins that take their time.
const TABLE_PATIENCE: Duration = Duration::from_secs(60);

/// Runs until SIGTERM or Ctrl-C; a second one ends at once. SIGHUP reloads, as soon as the host is up.
pub fn run(path: &Path, verbose: bool) -> Result<Exit, Failed> {
    let runtime = runtime()?;
    let outcome: Result<_, Failed> = runtime.block_on(async {
        // Before anything else, the configuration included: a signal that nobody watches ends the process.
        let (signals, hangups) = (Signals::watch(), Hangups::watch());
        let mut stop = tokio::spawn(told_to_stop(signals));
        let path = path.to_owned();
        // On a thread of its own: a file may be slow to read, and the host can be stopped meanwhile.
        let loading = tokio::task::spawn_blocking(move || load_and_log(&path, verbose));
        let loaded = tokio::select! {
            biased;
            _ = &mut stop => return Ok(Ok(())),
            loaded = loading => loaded,
        };
        let (config, scrubber) = loaded.unwrap_or_else(|panic| resume_unwind(panic.into_panic()))?;
        let started = async |address: SocketAddr, host: &Host| {
            let hangups = Mutex::new(hangups);
            tokio::join!(
                host.keep("announce", || announce(address, host)),
                host.keep("ready", || service_manager::ready(host)),
                host.keep("watchdog", || service_manager::watchdog(host)),
                host.keep("hangup", || reload_when_told(&hangups, host))
            );
        };
        // An error says that the task is gone with its signal, which means the same.
        Ok(app::run(config, scrubber, async { _ = stop.await }, started).await)
    });
    // What still runs has had its grace period.
    runtime.shutdown_background();
    match outcome? {
        Ok(()) => Ok(Exit::Success),
        Err(StartError::Refused(refused)) => Err(Failed::new(Exit::Configuration, refused)),
        Err(error) => Err(Failed::new(Exit::Failed, error)),
    }
}

/// Where the dashboard is, one table of statuses, and what to do next.
async fn announce(address: SocketAddr, host: &Host) {
    // Not by `show`, which waits for the reader: here that would be a thread of the runtime.
    let output = output::stdout();
    output.say(format_args!("Switchboard {} listens on http://{address}/", app::VERSION));
    let snapshot = host.settled(TABLE_PATIENCE).await;
    output.say(format_args!("\n{}\n", table::statuses(&snapshot.plugins)));
    output.say(format_args!("The host is {}.", snapshot.overall.as_str()));
    let steps = table::next_steps(&snapshot);
    if !steps.is_empty() {
        output.say("To do next:");
        steps.iter().for_each(|step| output.say(format_args!("  {step}")));
    }
}

/// Reloads at every hangup. The outcome goes to the log: nobody waits for it.
async fn reload_when_told(hangups: &Mutex<Hangups>, host: &Host) {
    let mut hangups = hangups.lock().await;
    loop {
        hangups.next().await;
        service_manager::reloading();
        match host.reload().await {
            Ok(reloaded) => tracing::info!("reloaded: {}", reload::lines(&reloaded).join("; ")),
            Err(error) => tracing::error!("not reloaded, and nothing was changed: {error}"),
        }
        service_manager::reloaded();
    }
}

/// Waits for the first signal to stop. The second one ends the process at once. A task of its own, so that neither waits
/// for a start that takes its time.
async fn told_to_stop(mut signals: Signals) {
    signals.next().await;
    service_manager::stopping();
    tokio::spawn(async move {
        signals.next().await;
        output::stderr().say("stopped at once");
        output::finish();
        std::process::exit(1);
    });
}
