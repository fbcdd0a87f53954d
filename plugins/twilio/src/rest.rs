//! A request -> its answer: a read is tried again while there is time, anything else is sent once. Even a 429, which says
//! that Twilio did nothing, is the caller's to wait for: during the wait a person may say STOP, and only the caller asks.

use plugin_api::{
    prelude::*,
    requests::twilio::{RestMethod, RestRequest, RestResponse},
    serde_json::Value,
    tokio::time::{Instant, sleep},
};

use crate::{
    client::{Answer, Client},
    errors::{codes, refusal::Refusal, transport::Broken},
    evidence::Reporter,
};

/// The answer leaves this long before the caller's deadline, so that it still reaches the caller.
const MARGIN: Duration = Duration::from_millis(200);
/// With less than this left, nothing is begun whose outcome the caller could not learn.
const LEAST: Duration = Duration::from_millis(200);
const TRIES: u32 = 4;
const BACKOFF_BASE: Duration = Duration::from_millis(500);
const BACKOFF_CAP: Duration = Duration::from_secs(8);
/// A caller without a deadline.
const PATIENCE: Duration = Duration::from_secs(30);

/// Talks to Twilio, and tells the host how it went.
pub struct Rest {
    client: Client,
    reporter: Reporter,
}

/// Until when a caller waits.
#[derive(Clone, Copy)]
pub struct Until(Instant);

impl Until {
    pub fn of(call: &Call) -> Self {
        Self(Instant::now() + call.remaining().unwrap_or(PATIENCE).saturating_sub(MARGIN))
    }

    /// How much is left; the error if that is too little to begin anything.
    pub fn left(self) -> Result<Duration, OperationError> {
        let left = self.0.saturating_duration_since(Instant::now());
        if left < LEAST {
            return Err(OperationError::deadline("nothing was sent: the caller's time is over"));
        }
        Ok(left)
    }

    fn allows(self, wait: Duration) -> bool {
        Instant::now() + wait + LEAST < self.0
    }
}

/// Why a try did not succeed.
enum Trouble {
    Refused(Refusal),
    Broken(Broken),
    Nonsense,
}

impl Rest {
    pub fn new(client: Client, reporter: Reporter) -> Self {
        Self { client, reporter }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn reporter(&self) -> &Reporter {
        &self.reporter
    }

    /// Asks: a read as often as there is time for, anything else once.
    pub async fn request(&self, request: &RestRequest, until: Until) -> Result<RestResponse, OperationError> {
        check_path(&request.path)?;
        let reads = request.method == RestMethod::Get;
        let mut tries = 0;
        loop {
            let limit = until.left()?.min(self.client.config().timeout);
            let trouble = match self.client.exchange(request, limit).await {
                Ok(Answer { status: status @ 200..300, json: Some(body), .. }) => {
                    self.reporter.success();
                    return Ok(RestResponse { status, body });
                }
                Ok(Answer { status: 204, .. }) => return Ok(RestResponse { status: 204, body: Value::Null }),
                Ok(answer) if answer.status < 400 => Trouble::Nonsense,
                Ok(answer) => Trouble::Refused(Refusal::of(&answer)),
                Err(broken) => Trouble::Broken(broken),
            };
            tries += 1;
            let wait = trouble.wait(tries);
            if reads && tries < TRIES && trouble.may_pass() && until.allows(wait) {
                sleep(wait).await;
                continue;
            }
            return Err(self.account_for(trouble, request));
        }
    }

    /// The error for the caller; what concerns more than one request is told to the host.
    fn account_for(&self, trouble: Trouble, request: &RestRequest) -> OperationError {
        let reads = request.method == RestMethod::Get;
        let config = self.client.config();
        match trouble {
            Trouble::Refused(refusal) => {
                if let Some(failure) = refusal.failure(config) {
                    self.reporter.failure(failure);
                }
                if refusal.is_server_error() && !reads {
                    return codes::unknown(refusal);
                }
                let from = request.form.iter().find(|(name, _)| name == "From");
                codes::refused(refusal, config, from.map(|(_, from)| from.as_str()))
            }
            Trouble::Broken(broken) => {
                self.reporter.failure(broken.failure().clone());
                codes::unanswered(broken, reads)
            }
            Trouble::Nonsense => nonsense(&config.address(), reads),
        }
    }
}

impl Trouble {
    /// Whether another try may find it gone.
    fn may_pass(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_too_many() || refusal.is_server_error(),
            Self::Broken(_) => true,
            Self::Nonsense => false,
        }
    }

    /// As long as Twilio asks for and a little more at random, else by backoff with full jitter.
    fn wait(&self, tries: u32) -> Duration {
        let asked = match self {
            Self::Refused(refusal) => refusal.retry_after,
            _ => None,
        };
        match asked {
            Some(asked) => asked + BACKOFF_BASE.mul_f64(rand::random::<f64>()),
            None => BACKOFF_CAP.min(BACKOFF_BASE * 2_u32.pow(tries)).mul_f64(rand::random::<f64>()),
        }
    }
}

/// Something that is no JSON, or a redirect, where Twilio's answer should be.
fn nonsense(server: &str, reads: bool) -> OperationError {
    let message = format!("`{server}` does not answer as Twilio does: check `TWILIO_API_BASE_URL`");
    if reads { OperationError::internal(message) } else { OperationError::unknown_outcome(message) }
}

/// Nothing that leads out of the account.
fn check_path(path: &str) -> Result<(), OperationError> {
    let is_segment = |segment: &str| {
        !segment.is_empty()
            && !segment.starts_with('.')
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    };
    if path.ends_with(".json") && path.split('/').all(is_segment) {
        return Ok(());
    }
    Err(OperationError::invalid(format!(
        "`{path}` is no path below the account: expected one such as `Messages.json` or `Calls/CA….json`"
    )))
}
