//! A proxy that leads nowhere and notes what it is asked for.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use crate::{Setup, peer::Peer};

/// A running proxy; it ends with the process.
pub struct ForwardProxy {
    peer: Peer,
    asked: Arc<Mutex<Vec<String>>>,
}

impl ForwardProxy {
    /// Starts one that answers 502 to everything.
    ///
    /// # Panics
    /// If no port is free.
    pub fn start() -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = asked.clone();
        let peer = Peer::start(move |request| {
            let line = format!("{} {}", request.method, request.path);
            noted.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            (502, json!({}))
        });
        Self { peer, asked }
    }

    /// Its address, as the variables of the environment name it.
    pub fn url(&self) -> String {
        format!("http://{}", self.peer.address())
    }

    /// A host whose environment names it for every address.
    pub fn for_everything(&self, setup: Setup) -> Setup {
        ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"]
            .into_iter()
            .fold(setup, |setup, variable| setup.env(variable, &self.url()))
    }

    /// What it was asked for, such as `CONNECT example.com:443`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
