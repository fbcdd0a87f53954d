//! Who may ask for what only operators may. A route with access `operator` begins with
//!
//! ```text
//! site.access.operator(&request)?;
//! ```
//!
//! for any method, and for a WebSocket before it is upgraded: `request` is an axum `Request` or its `Parts`. `Ok` says
//! that an operator asks, and, for what does not only read, that no page of another site makes his browser ask. The
//! error is the answer to send. [`super::write::Write`] does this by itself. The middle that decides is pure:
//! [`policy::decide`].

mod policy;
mod operators;
mod asked;
mod forwarded;
mod same_site;
mod session;
mod guesses;

use std::{net::IpAddr, sync::Arc};

use jiff::{SignedDuration, Timestamp};

use self::{
    forwarded::Outside,
    guesses::Guesses,
    policy::{Decision, Facts, Lack, Policy, Proof},
    session::Sessions,
};
use super::problem::Problem;
use crate::config::{HostConfig, Network, Token};

pub use self::operators::Operators;
pub(super) use self::{
    asked::{Asked, COOKIE},
    session::LIFETIME,
};

/// What the configuration says of access.
#[derive(Debug, Clone, Default)]
pub struct AccessSettings {
    /// Whether the host listens on an address that other machines reach.
    pub is_beyond_loopback: bool,
    /// How the outside world reaches the host.
    pub public_base_url: Option<String>,
    /// What an operator proves himself by.
    pub token: Option<Token>,
    /// The proxies that are believed.
    pub trusted_proxies: Vec<Network>,
}

impl From<&HostConfig> for AccessSettings {
    fn from(config: &HostConfig) -> Self {
        Self {
            is_beyond_loopback: !config.listen.ip().to_canonical().is_loopback(),
            public_base_url: config.public_base_url.clone(),
            token: config.token.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
        }
    }
}

/// Tells operators from others.
pub(super) struct Access {
    is_exposed: bool,
    public_base_url: Option<String>,
    trusted_proxies: Vec<Network>,
    operators: Operators,
    pub(super) clock: fn() -> Timestamp,
}

/// What opens with the token.
pub(super) struct Lock {
    token: Token,
    pub(super) sessions: Sessions,
    /// At the login, by people.
    logins: Guesses,
    /// In requests: a program with an old token may ask often, and is told so.
    bearers: Guesses,
}

/// How many wrong tokens a client may give at the login in a minute.
const LOGINS: u32 = 5;

/// How many requests of a client with a wrong token are told in a minute what is wrong.
const BEARERS: u32 = 30;

impl Access {
    pub(super) fn new(settings: AccessSettings, operators: Operators, clock: fn() -> Timestamp) -> Self {
        let AccessSettings { is_beyond_loopback, public_base_url, token, trusted_proxies } = settings;
        let is_exposed = is_beyond_loopback || public_base_url.is_some();
        operators.replace_token(token);
        Self { is_exposed, public_base_url, trusted_proxies, operators, clock }
    }

    /// What opens with the token that is in force; `None` where there is no token.
    pub(super) fn lock(&self) -> Option<Arc<Lock>> {
        self.operators.lock()
    }

    /// Lets operators pass; see the module.
    pub(super) fn operator<'r>(&self, asked: impl Into<Asked<'r>>) -> Result<(), Problem> {
        let asked = asked.into();
        match (self.decide(asked), asked.only_reads()) {
            (Decision::Token, _) | (Decision::Session, true) => Ok(()),
            (Decision::Session, false) => self.check_page(asked),
            (Decision::Local, true) => same_site::check_local_read(asked),
            (Decision::Local, false) => same_site::check_local_write(asked),
            (Decision::Refused(lack), _) => Err(self.refusal(lack, asked)),
        }
    }

    /// Lets those pass who show the token that a reload would bring into force: whoever changed it may ask for that
    /// reload, though the host does not know the token yet. Reads the configuration: for those alone who have not given
    /// too many wrong tokens.
    pub(super) async fn next_operator(&self, asked: Asked<'_>) -> bool {
        let (Some(given), Some(lock)) = (asked.bearer(), self.lock()) else { return false };
        let is_next = self.operators.next_token().await.is_some_and(|token| token.is(given));
        if is_next {
            lock.bearers.forget(self.outside(asked).client);
        }
        is_next
    }

    /// Whether an operator reads: for what others get less of.
    ///
    /// # Errors
    /// A wrong token: its sender takes himself for an operator, and would take less for all there is.
    pub(super) fn is_operator<'r>(&self, asked: impl Into<Asked<'r>>) -> Result<bool, Problem> {
        let asked = asked.into();
        match self.decide(asked) {
            Decision::Token | Decision::Session => Ok(true),
            Decision::Local => Ok(same_site::is_meant_for_here(asked)),
            Decision::Refused(Lack::Token) => Err(self.refusal(Lack::Token, asked)),
            Decision::Refused(_) => Ok(false),
        }
    }

    /// Whether a cookie is what it passes by.
    pub(super) fn is_session<'r>(&self, asked: impl Into<Asked<'r>>) -> bool {
        self.decide(asked.into()) == Decision::Session
    }

    /// Lets pages of this host pass, and of no other.
    pub(super) fn check_page(&self, asked: Asked<'_>) -> Result<(), Problem> {
        let public = self.public_base_url.as_deref().and_then(same_site::site_of);
        same_site::check_page(asked, [self.outside(asked).host, public])
    }

    /// Who sent a request, how and to which host, as far as the proxies in between are believed.
    pub(super) fn outside<'r>(&self, asked: Asked<'r>) -> Outside<'r> {
        forwarded::outside(asked, &self.trusted_proxies)
    }

    /// Who sent a request, as far as the proxies in between are believed.
    pub(super) fn client<'r>(&self, asked: impl Into<Asked<'r>>) -> Option<IpAddr> {
        self.outside(asked.into()).client
    }

    /// Whether the browser reaches the host by an encrypted way alone.
    pub(super) fn is_https(&self, asked: Asked<'_>) -> bool {
        let is_public_https = self.public_base_url.as_deref().is_some_and(|url| url.starts_with("https://"));
        is_public_https || self.outside(asked).is_https
    }

    /// Whether it is the token that somebody gives at the login.
    pub(super) fn try_token(&self, lock: &Lock, asked: Asked<'_>, given: &str) -> Result<(), Problem> {
        let client = self.outside(asked).client;
        if !lock.token.is(given.trim().as_bytes()) {
            lock.logins.wrong(client, (self.clock)()).map_err(too_many)?;
            return Err(Problem::unauthorized("this is not the operator's token", WHERE_IT_IS));
        }
        lock.logins.forget(client);
        Ok(())
    }

    fn refusal(&self, lack: Lack, asked: Asked<'_>) -> Problem {
        let lock = self.lock().filter(|_| lack == Lack::Token);
        let guesses = lock.as_ref().map(|lock| &lock.bearers);
        let counted = guesses.map(|guesses| guesses.wrong(self.outside(asked).client, (self.clock)()));
        match counted {
            Some(Err(wait)) => too_many(wait),
            _ => refusal(lack),
        }
    }

    fn decide(&self, asked: Asked<'_>) -> Decision {
        let (mut bearer, mut session) = (Proof::Absent, Proof::Absent);
        let lock = self.lock();
        if let Some(lock) = &lock {
            bearer = asked.bearer().map_or(Proof::Absent, |given| proof(lock.token.is(given)));
            for value in asked.sessions() {
                let is_right = session == Proof::Right || lock.sessions.holds(value, (self.clock)());
                session = proof(is_right);
            }
        }
        let is_from_here = asked.peer().is_some_and(|peer| peer.is_loopback());
        let is_forwarded = forwarded::is_forwarded(asked.headers);
        let policy = Policy { has_token: lock.is_some(), is_exposed: self.is_exposed };
        policy::decide(policy, Facts { is_from_here, is_forwarded, bearer, session })
    }
}

impl Lock {
    fn new(token: Token) -> Self {
        let (logins, bearers) = (Guesses::at_most(LOGINS), Guesses::at_most(BEARERS));
        Self { sessions: Sessions::new(&token), logins, bearers, token }
    }
}

fn too_many(wait: SignedDuration) -> Problem {
    let seconds = wait.as_secs().max(1).unsigned_abs();
    let hint = format!("send the right token, which is accepted at any time, or wait {seconds} s");
    Problem::too_many("too many wrong tokens from this address", hint).retry_after(seconds)
}

/// The detail of a refusal that no token could change.
pub const NO_TOKEN: &str = "only operators may ask for this, and the host has no operator's token";

const GIVE_TOKEN: &str = "set `token_file`, or `SWITCHBOARD_TOKEN` in `.env`, and reload it (`SIGHUP`), or ask on this machine \
                          without a proxy";

const WHERE_IT_IS: &str = "it is the value of `SWITCHBOARD_TOKEN`, or is in the file that `token_file` names";

fn proof(is_right: bool) -> Proof {
    if is_right { Proof::Right } else { Proof::Wrong }
}

fn refusal(lack: Lack) -> Problem {
    match lack {
        Lack::Absent => Problem::unauthorized(
            "only operators may ask for this",
            "send `Authorization: Bearer <token>`; in a browser, open `/login`",
        ),
        Lack::Session => Problem::unauthorized(
            "the session has ended",
            "log in again at `/login`; programs send `Authorization: Bearer <token>`",
        ),
        Lack::Token => Problem::unauthorized("the bearer token is not the operator's token", WHERE_IT_IS),
        Lack::Unset => Problem::unauthorized(NO_TOKEN, GIVE_TOKEN),
    }
}
