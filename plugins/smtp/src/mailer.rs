//! A request -> its outcome, and never two mails out of one. Nothing here tries again: whether a repeat is safe, the
//! kind of the error tells, and the caller decides.
//!
//! A caller that goes away before the mail is handed over takes the mail with it. From then on the sending ends by
//! itself, and its outcome is remembered.

use std::sync::Arc;

use plugin_api::{
    prelude::*,
    requests::{
        email::{SendEmail, Sent},
        host::Report,
    },
    serde_json,
    tokio::{
        self,
        task::{JoinError, JoinHandle},
        time::{Instant, timeout_at},
    },
    tracing,
};
use ring::digest::{SHA256, digest};

use crate::{
    client::{
        Client, NoSession,
        session::{NotTaken, Session},
    },
    errors::sending,
    ledger::{Claim, Fingerprint, Key, Ledger, Outcome, Place},
    message::Letter,
    message_id,
    settings::Config,
};

/// The answer leaves this long before the caller's deadline, so that it still reaches the caller.
const MARGIN: Duration = Duration::from_millis(200);

const NO_END: &str = "the sending did not complete";

/// Sends mails.
pub struct Mailer {
    config: Arc<Config>,
    client: Client,
    ledger: Arc<Ledger>,
    reporter: Reporter,
}

/// Who wants a mail sent, and until when.
pub struct Asker {
    key: Option<Key>,
    deadline: Option<Instant>,
}

impl Asker {
    /// The asker behind a call. Keys of different callers never meet.
    pub fn of(call: &Call) -> Self {
        let caller = call.caller().unwrap_or_default();
        Self {
            key: call.idempotency_key().map(|key| (caller.to_owned(), key.to_owned())),
            deadline: call.remaining().map(|left| Instant::now() + left.saturating_sub(MARGIN)),
        }
    }
}

impl Mailer {
    pub fn new(config: Config, context: Context) -> Self {
        let config = Arc::new(config);
        let client = Client::new(config.clone(), &context);
        Self { config, client, ledger: Arc::default(), reporter: Reporter(context) }
    }

    /// Where mail is handed over, and in whose name.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether the server lets us in.
    pub async fn verify(&self) -> Result<(), Failure> {
        self.client.verify().await
    }

    /// Closes what is idle.
    pub async fn close(&self) {
        self.client.close().await;
    }

    /// Sends one mail, unless its idempotency key says that it went already.
    pub async fn send(&self, request: &SendEmail, asker: Asker) -> Outcome {
        let letter = Letter::write(
            request,
            &self.config.from,
            self.message_id(asker.key.as_ref())?,
            self.config.max_message_size,
        )?;
        let Some(key) = asker.key else {
            return self.deliver(letter, Claim::without_key(), asker.deadline).await;
        };
        let fingerprint = fingerprint(request)?;
        loop {
            let mut earlier = match self.ledger.claim(key.clone(), fingerprint)? {
                Place::Free(claim) => return self.deliver(letter, claim, asker.deadline).await,
                Place::Taken(earlier) => earlier,
            };
            // An error says that the earlier call went away before its mail was handed over: the key is free again.
            if let Ok(outcome) = earlier.wait_for(Option::is_some).await {
                let outcome = outcome.clone().expect("it was waited for");
                return outcome.map(|sent| Sent { repeated: true, ..sent });
            }
        }
    }

    async fn deliver(&self, letter: Letter, mut claim: Claim, deadline: Option<Instant>) -> Outcome {
        let session = match self.client.session().await {
            Ok(session) => session,
            Err(NoSession::Busy(error)) => return claim.settle(Err(error)),
            Err(NoSession::Failed(failure)) => return claim.settle(Err(self.out_of_reach(failure))),
        };
        let mut session = match self.announce(session, &letter).await {
            Ok(session) => session,
            Err(error) => return claim.settle(Err(error)),
        };
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return claim.settle(Err(sending::out_of_time()));
        }

        let message_id = letter.message_id.clone();
        claim.begin(sending::unknown(&message_id, NO_END));
        let reporter = self.reporter.clone();
        let sending = tokio::spawn(async move {
            let outcome = match session.hand_over(&letter).await {
                Ok(()) => {
                    session.keep();
                    reporter.report(Report::Success);
                    Ok(sent(&letter))
                }
                Err(not_taken) => Err(reporter.account_for(not_taken)),
            };
            claim.settle(outcome)
        });
        match until(deadline, sending).await {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err(sending::unknown(&message_id, NO_END)),
            None => {
                Err(sending::unknown(&message_id, "the server had not answered when the caller's time ended"))
            }
        }
    }

    /// Says who the mail is from and for. A server may end a connection that was kept at any command, such as after so many
    /// mails; nothing was sent until then, so that it is tried once more, on a fresh one.
    async fn announce(&self, mut session: Session, letter: &Letter) -> Result<Session, OperationError> {
        let announced = match session.announce(letter).await {
            Err(not_taken) if not_taken.ended && session.was_kept() => {
                session = self.client.renew(session).await.map_err(|failure| self.out_of_reach(failure))?;
                session.announce(letter).await
            }
            announced => announced,
        };
        announced.map(|()| session).map_err(|not_taken| self.reporter.account_for(not_taken))
    }

    fn out_of_reach(&self, failure: Failure) -> OperationError {
        self.reporter.report(failure.clone().into());
        sending::out_of_reach(failure)
    }

    fn message_id(&self, key: Option<&Key>) -> Result<String, OperationError> {
        let domain = self.config.from.email.domain();
        match key {
            Some((caller, key)) => {
                Ok(message_id::derived(&[self.reporter.0.instance(), caller, key], domain))
            }
            None => message_id::random(domain),
        }
    }
}

/// Tells the host what a mail showed of the plugin as a whole.
#[derive(Clone)]
struct Reporter(Context);

impl Reporter {
    /// Does not wait: no mail depends on it.
    fn report(&self, report: Report) {
        let context = self.0.clone();
        tokio::spawn(async move {
            if let Err(error) = context.host().report(report).await {
                tracing::debug!(%error, "the host did not accept the health report");
            }
        });
    }

    /// The error for the caller; a login at fault concerns the host too.
    fn account_for(&self, not_taken: NotTaken) -> OperationError {
        if let Some(failure) = not_taken.login {
            self.report(failure.into());
        }
        not_taken.error
    }
}

fn sent(letter: &Letter) -> Sent {
    Sent {
        message_id: letter.message_id.clone(),
        accepted: letter.recipients.iter().map(ToString::to_string).collect(),
        repeated: false,
    }
}

fn fingerprint(request: &SendEmail) -> Result<Fingerprint, OperationError> {
    let json = serde_json::to_vec(request)
        .map_err(|_| OperationError::internal("the request cannot be written as JSON"))?;
    Ok(digest(&SHA256, &json).as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

/// `None` if the deadline came first; then the task goes on without us.
async fn until<T>(deadline: Option<Instant>, task: JoinHandle<T>) -> Option<Result<T, JoinError>> {
    match deadline {
        Some(deadline) => timeout_at(deadline, task).await.ok(),
        None => Some(task.await),
    }
}
