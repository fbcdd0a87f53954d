//! Beyond the usual places there are a few for those that must always be answered: whether the process lives, whether it
//! is ready, and its metrics. One request each, within seconds; everything else is told that there is no room. If these
//! places are taken, too, the oldest gives way, for a request that is meant for them takes milliseconds.

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use axum::{Router, extract::ConnectInfo, response::IntoResponse};
use hyper::{
    Request,
    body::Incoming,
    service::{Service, service_fn},
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{net::TcpStream, task::AbortHandle, time::timeout};

use super::{Limits, door::Door, patient::Patient};
use crate::http::problem::Problem;

/// What is always answered.
const ALWAYS: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// When to try again, in seconds.
const TRY_AGAIN: u64 = 1;

/// Why there is no usual place.
#[derive(Clone, Copy)]
pub(super) enum Lack {
    Places,
    Descriptors,
}

impl Lack {
    /// How long the head of a request may take, and how long all of it: where one waits for the other, not long.
    fn patience(self) -> (Duration, Duration) {
        match self {
            Self::Places => (Duration::from_secs(2), Duration::from_secs(5)),
            Self::Descriptors => (Duration::from_millis(500), Duration::from_secs(1)),
        }
    }

    fn problem(self) -> Problem {
        let problem = match self {
            Self::Places => Problem::unavailable(
                "all connections of the host are in use",
                "try again in a moment; `/livez`, `/readyz` and `/metrics` are always answered",
            ),
            Self::Descriptors => Problem::unavailable(
                "the host has no file descriptor left",
                "raise its limit of open files (`LimitNOFILE`, `ulimit -n`), or try again in a moment",
            ),
        };
        problem.retry_after(TRY_AGAIN)
    }
}

/// The places, oldest first.
pub(super) struct Reserve {
    limits: Limits,
    router: Router,
    door: Door,
    taken: VecDeque<AbortHandle>,
}

impl Reserve {
    pub(super) fn new(limits: Limits, router: Router, door: Door) -> Self {
        Self { limits, router, door, taken: VecDeque::new() }
    }

    /// Serves one request in the background.
    pub(super) fn take(&mut self, stream: TcpStream, client: SocketAddr) {
        self.taken.retain(|task| !task.is_finished());
        if self.taken.len() >= self.limits.reserve
            && let Some(oldest) = self.taken.pop_front()
        {
            oldest.abort();
        }
        let served = self.serve(stream, client, Lack::Places);
        self.taken.push_back(self.door.spawn(served).abort_handle());
    }

    /// Serves one request.
    pub(super) fn serve(
        &self,
        stream: TcpStream,
        client: SocketAddr,
        lack: Lack,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (door, router) = (self.door.clone(), TowerToHyperService::new(self.router.clone()));
        let service = service_fn(move |mut request: Request<Incoming>| {
            let is_meant = ALWAYS.contains(&request.uri().path());
            request.extensions_mut().insert(ConnectInfo(client));
            let served = is_meant.then(|| router.call(request));
            if !is_meant {
                door.cut_for_room();
            }
            async move {
                match served {
                    Some(answer) => answer.await,
                    None => Ok(lack.problem().into_response()),
                }
            }
        });
        let (head, whole) = lack.patience();
        let mut protocol = self.limits.protocol();
        protocol.header_read_timeout(head).keep_alive(false);
        let stream = TokioIo::new(Patient::new(stream, whole, None, self.door.clone()));
        async move {
            // Whether it ends well or not, there is nobody to tell.
            let _ = timeout(whole, protocol.serve_connection(stream, service)).await;
        }
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        self.taken.iter().for_each(AbortHandle::abort);
    }
}
