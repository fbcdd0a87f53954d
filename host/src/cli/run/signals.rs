//! The system's signals to stop, and to reload, become a future each, from the moment on that they are watched.

#[cfg(unix)]
pub(super) use unix::{Hangups, Signals};

#[cfg(not(unix))]
pub(super) use other::{Hangups, Signals};

#[cfg(unix)]
mod unix {
    use std::{future::pending, io};

    use tokio::signal::unix::{Signal, SignalKind, signal};

    /// Sent when a file would grow beyond the limit of the process (RLIMIT_FSIZE); the same number on every system that
    /// the host runs on.
    const TOO_LARGE: i32 = 25;

    /// SIGTERM and Ctrl-C. One that cannot be watched ends the process by the system's means.
    pub(in super::super) struct Signals {
        terminate: io::Result<Signal>,
        interrupt: io::Result<Signal>,
    }

    impl Signals {
        /// Watches from now on; to be called within a runtime.
        pub(in super::super) fn watch() -> Self {
            // Once it is watched, a file that may not grow is a write that fails, and no longer the end of the process.
            let _ = signal(SignalKind::from_raw(TOO_LARGE));
            Self { terminate: signal(SignalKind::terminate()), interrupt: signal(SignalKind::interrupt()) }
        }

        /// Waits for the next one.
        pub(in super::super) async fn next(&mut self) {
            tokio::select! {
                () = one(&mut self.terminate) => {}
                () = one(&mut self.interrupt) => {}
            }
        }
    }

    /// SIGHUP.
    pub(in super::super) struct Hangups {
        hangup: io::Result<Signal>,
    }

    impl Hangups {
        /// Watches from now on; to be called within a runtime.
        pub(in super::super) fn watch() -> Self {
            Self { hangup: signal(SignalKind::hangup()) }
        }

        /// Waits for the next one.
        pub(in super::super) async fn next(&mut self) {
            one(&mut self.hangup).await;
        }
    }

    async fn one(signal: &mut io::Result<Signal>) {
        match signal {
            Ok(signal) => _ = signal.recv().await,
            Err(_) => pending().await,
        }
    }
}

#[cfg(not(unix))]
mod other {
    /// A signal that this system does not have: `switchboard reload` does the same.
    pub(in super::super) struct Hangups;

    impl Hangups {
        /// Watches nothing.
        pub(in super::super) fn watch() -> Self {
            Self
        }

        /// Never comes.
        pub(in super::super) async fn next(&mut self) {
            std::future::pending().await
        }
    }

    /// Ctrl-C.
    pub(in super::super) struct Signals;

    impl Signals {
        /// Watches from the first [`Signals::next`] on.
        pub(in super::super) fn watch() -> Self {
            Self
        }

        /// Waits for the next one. If it cannot be watched, the process is ended by the system's own means.
        pub(in super::super) async fn next(&mut self) {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending().await
            }
        }
    }
}
