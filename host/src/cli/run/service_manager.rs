//! Tells the service manager (systemd) how far the host is, where one listens: `NOTIFY_SOCKET` and `WATCHDOG_USEC` of
//! sd_notify(3). Elsewhere nothing is told.

use std::time::Duration;

use switchboard::app::Host;

/// A plugin whose first attempt takes longer than this has settled by its own limit.
const SETTLING: Duration = Duration::from_secs(3600);

/// Says that the host is ready, once every plugin has had its first attempt: when `/readyz` says so, too.
pub(super) async fn ready(host: &Host) {
    host.settled(SETTLING).await;
    manager::ready();
}

/// Says again and again that the loop turns by which `/livez` answers, for as long as it does; twice in the time after
/// which the service manager gives up.
pub(super) async fn watchdog(host: &Host) {
    let Some(patience) = manager::watchdog() else { return };
    let mut beats = tokio::time::interval((patience / 2).max(Duration::from_millis(1)));
    loop {
        beats.tick().await;
        if host.is_alive() {
            manager::alive();
        }
    }
}

/// Says that plugins.toml is read again.
pub(super) fn reloading() {
    manager::reloading();
}

/// Says that this is over, whatever came of it.
pub(super) fn reloaded() {
    manager::ready();
}

/// Says that the host is about to stop.
pub(super) fn stopping() {
    manager::stopping();
}

#[cfg(target_os = "linux")]
mod manager {
    use std::time::Duration;

    use sd_notify::NotifyState;

    pub(super) fn ready() {
        tell(&[NotifyState::Ready]);
    }

    pub(super) fn alive() {
        tell(&[NotifyState::Watchdog]);
    }

    pub(super) fn stopping() {
        tell(&[NotifyState::Stopping]);
    }

    /// Newer versions of systemd want to know when it began.
    pub(super) fn reloading() {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(_) => tell(&[NotifyState::Reloading]),
        }
    }

    pub(super) fn watchdog() -> Option<Duration> {
        sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero())
    }

    fn tell(state: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(state) {
            tracing::warn!("the service manager cannot be notified: {error}");
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod manager {
    use std::time::Duration;

    pub(super) fn ready() {}

    pub(super) fn alive() {}

    pub(super) fn reloading() {}

    pub(super) fn stopping() {}

    pub(super) fn watchdog() -> Option<Duration> {
        None
    }
}
