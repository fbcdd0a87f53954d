//! Beyond the usual places there are a few for those that must always be answered: whether the process lives, whether it
//! is ready, its metrics, and webhooks. One request each, within seconds; everything else is told that there is no room.
//! If these places are taken, too, the oldest gives way of the client that has most of them: a request that is meant for
//! them takes little time.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use axum::{Router, extract::ConnectInfo, response::IntoResponse};
use hyper::{
    Request,
    body::Incoming,
    service::{Service, service_fn},
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{net::TcpStream, task::AbortHandle, time::timeout};

use super::{Limits, door::Door, patient::Patient};
use crate::http::{paths::is_of_host, problem::Problem, shares::household};

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
            // Those who send webhooks wait for some 15 s.
            Self::Places => (Duration::from_secs(2), Duration::from_secs(15)),
            Self::Descriptors => (Duration::from_millis(500), Duration::from_secs(1)),
        }
    }

    fn problem(self) -> Problem {
        let problem = match self {
            Self::Places => Problem::unavailable(
                "all connections of the host are in use, or as many of this client as it may have",
                "try again in a moment; `/livez`, `/readyz`, `/metrics` and webhooks are always answered",
            ),
            Self::Descriptors => Problem::unavailable(
                "the host has no file descriptor left",
                "raise its limit of open files (`LimitNOFILE`, `ulimit -n`), or try again in a moment",
            ),
        };
        problem.retry_after(TRY_AGAIN)
    }
}

/// A request that carries it is served only if it is a webhook.
#[derive(Clone)]
pub(in crate::http) struct NoRoom {
    lack: Lack,
    door: Door,
}

impl NoRoom {
    /// What anything else is told.
    pub(in crate::http) fn refuse(&self) -> Problem {
        self.door.cut_for_room();
        self.lack.problem()
    }
}

/// The places, oldest first.
pub(super) struct Reserve {
    limits: Limits,
    router: Router,
    door: Door,
    taken: Vec<(IpAddr, AbortHandle)>,
}

impl Reserve {
    pub(super) fn new(limits: Limits, router: Router, door: Door) -> Self {
        Self { limits, router, door, taken: Vec::new() }
    }

    /// Serves one request in the background.
    pub(super) fn take(&mut self, stream: TcpStream, client: SocketAddr) {
        self.taken.retain(|(_, task)| !task.is_finished());
        if self.taken.len() >= self.limits.reserve {
            let oldest = self.oldest_of_the_greediest(client.ip());
            self.taken.remove(oldest).1.abort();
        }
        let served = self.serve(stream, client, Lack::Places);
        self.taken.push((household(client.ip()), self.door.spawn(served).abort_handle()));
    }

    /// Once there is one more.
    fn oldest_of_the_greediest(&self, next: IpAddr) -> usize {
        let mut has = HashMap::from([(household(next), 1)]);
        for (client, _) in &self.taken {
            *has.entry(*client).or_default() += 1;
        }
        let most = has.values().max().copied().unwrap_or_default();
        self.taken.iter().position(|(client, _)| has[client] == most).unwrap_or_default()
    }

    /// Serves one request.
    pub(super) fn serve(
        &self,
        stream: TcpStream,
        client: SocketAddr,
        lack: Lack,
    ) -> impl Future<Output = ()> + Send + use<> {
        let no_room = NoRoom { lack, door: self.door.clone() };
        let router = TowerToHyperService::new(self.router.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            let path = request.uri().path();
            let is_meant = ALWAYS.contains(&path) || !is_of_host(path);
            request.extensions_mut().insert(ConnectInfo(client));
            request.extensions_mut().insert(no_room.clone());
            let served = if is_meant { Ok(router.call(request)) } else { Err(no_room.refuse()) };
            async move {
                match served {
                    Ok(answer) => answer.await,
                    Err(problem) => Ok(problem.into_response()),
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
        self.taken.iter().for_each(|(_, task)| task.abort());
    }
}
