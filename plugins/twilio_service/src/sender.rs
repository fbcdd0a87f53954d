//! A draft -> its outcome, and never two messages out of one idempotency key, whatever happens in between.
//!
//! A caller that goes away before anything is sent takes it along. From then on the sending ends by itself, and its
//! outcome is in the ledger: a repeat with the same key learns it, on this host or another one. Whether Twilio has it is
//! asked only when the request is over here, and judged by Twilio's clock alone.

use plugin_api::{
    lease::Working,
    prelude::*,
    process,
    requests::{
        twilio::{Identify, Identity, RestRequest, TwilioTrouble},
        twilio_service::{FoundMessage, UnknownSend},
    },
    serde_json::{self, Value},
    tokio::{
        self,
        time::{Instant, sleep, timeout_at},
    },
    tracing,
    worker::{Pulse, Worker},
};

use crate::{
    TWILIO,
    deliveries::Deliveries,
    draft::{Draft, Kind, hex},
    ledger::{Claim, Entry, Ledger, State, random_id},
    patience,
    reconcile::{self, Verdict},
    status::StatusReport,
};

/// The answer leaves this long before the caller's deadline, so that it still reaches the caller.
const MARGIN: Duration = Duration::from_millis(300);
/// With less than this left nothing is sent: the caller could not learn what became of it.
const LEAST: Duration = Duration::from_millis(500);
/// A caller without a deadline.
const PATIENCE: Duration = Duration::from_secs(25);
/// Between the entry and the request. A host that stood still for longer may have been taken for dead.
const BEGINNING: Duration = Duration::from_secs(10);
/// How long Twilio may take.
const SENDING: Duration = Duration::from_secs(15);
/// A claim that has not begun to send by then is void.
const CLAIM_LEASE_MS: i64 = 10_000;
/// What is not settled by then has no owner any more.
const SENDING_LEASE_MS: i64 = 20_000;
/// How often a call looks whether another one with the same key has ended.
const LOOK: Duration = Duration::from_millis(100);
/// How often open entries are looked into, and for how long; later only when they are repeated.
const SWEEP: Duration = Duration::from_secs(30);
const SWEPT_MS: i64 = 60 * 60 * 1000;
/// Between two entries: a few questions to Twilio and the database.
const LONGEST_TURN: Duration = Duration::from_secs(120);
/// What `twilio` opens its words with, and ours say already.
const MAYBE: &str = "it may have been done: ";
/// Twilio's codes for a sender that is not there or cannot send: <https://www.twilio.com/docs/api/errors>.
const NO_SENDER: [u32; 9] = [21212, 21606, 21659, 21660, 21701, 21703, 21705, 21712, 63007];
/// Twilio's code for a recipient who opted out.
const OPTED_OUT: u32 = 21610;

/// Sends.
pub struct Sender {
    context: Context,
    ledger: Ledger,
    deliveries: Deliveries,
    /// The entries that this process is sending, whatever the clock says of their leases.
    in_flight: Working<String>,
}

/// Who wants something sent, and until when.
pub struct Asker {
    caller: String,
    key: Option<String>,
    trace: Option<String>,
    deadline: Instant,
}

/// What Twilio took over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub sid: String,
    pub status: String,
    pub repeated: bool,
}

/// How an entry that another call made stands.
enum Standing {
    Sent(Sent),
    /// It may be claimed.
    NotSent,
    UnderWay,
    /// Twilio does not show yet whether it went.
    Undecided(OperationError),
}

impl Asker {
    /// The asker behind a call.
    pub fn of(call: &Call) -> Self {
        Self {
            caller: call.caller().unwrap_or_default().to_owned(),
            key: call.idempotency_key().map(str::to_owned),
            trace: call.trace().map(str::to_owned),
            deadline: Instant::now() + call.remaining().unwrap_or(PATIENCE).saturating_sub(MARGIN),
        }
    }

    /// Until when it waits for the outcome.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The name of the entry. Keys of different callers never meet.
    fn entry(&self, draft: &Draft) -> String {
        match &self.key {
            Some(key) => entry_of(draft.kind, &self.caller, key),
            None => random_id(),
        }
    }
}

fn entry_of(kind: Kind, caller: &str, key: &str) -> String {
    hex(&format!("{}\n{caller}\n{key}", kind.as_str()))
}

/// Begins to look into what earlier sendings left open.
pub fn start_to_sweep(sender: &Arc<Sender>) -> Worker {
    let sweeping = sender.clone();
    Worker::start(&sender.context, "sweeping", LONGEST_TURN, move |pulse| sweeping.clone().sweep(pulse))
}

impl Sender {
    pub fn new(context: Context) -> Self {
        let deliveries = Deliveries::new(context.clone());
        Self { ledger: Ledger::new(context.clone()), deliveries, context, in_flight: Working::default() }
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Who we are at Twilio.
    pub async fn identity(&self) -> Result<Identity, OperationError> {
        self.context.dependency(TWILIO)?.call(Identify {}).await
    }

    /// Twilio's clock, if it is known: ours may be wrong by any time.
    async fn twilio_ms(&self) -> Option<i64> {
        self.identity().await.ok().and_then(|identity| identity.now_ms)
    }

    fn is_in_flight(&self, id: &str) -> bool {
        self.in_flight.all().contains(id)
    }

    /// Asks Twilio.
    pub async fn ask(&self, request: RestRequest) -> Result<Value, OperationError> {
        Ok(self.context.dependency(TWILIO)?.call(request).await?.body)
    }

    /// Sends it, unless its idempotency key says that it went already.
    pub async fn send(self: &Arc<Self>, draft: Draft, asker: Asker) -> Result<Sent, OperationError> {
        let id = asker.entry(&draft);
        patience::while_busy(asker.deadline(), || self.try_to_send(&draft, &id, &asker)).await
    }

    async fn try_to_send(
        self: &Arc<Self>,
        draft: &Draft,
        id: &str,
        asker: &Asker,
    ) -> Result<Sent, OperationError> {
        loop {
            let owner = format!("{}{}", process::name(), random_id());
            let entry = Entry::new(id.to_owned(), owner, draft, CLAIM_LEASE_MS);
            let known = match self.ledger.claim(&entry).await? {
                Claim::Fresh => return self.deliver(draft.clone(), entry, asker).await,
                Claim::Taken(known) => known,
            };
            if known.fingerprint != draft.fingerprint {
                let key = asker.key.as_deref().unwrap_or_default();
                let kind = draft.kind.as_str();
                return Err(OperationError::conflict(format!(
                    "the idempotency key `{key}` was used for another {kind}: use a new key for a new {kind}"
                )));
            }
            match self.standing(known).await? {
                Standing::Sent(sent) => return Ok(sent),
                Standing::NotSent => continue,
                Standing::UnderWay => {}
                Standing::Undecided(doubt) => return Err(doubt),
            }
            if asker.left() < LOOK {
                return Err(OperationError::deadline(
                    "another call with the same idempotency key is under way: repeat it to learn its outcome",
                ));
            }
            sleep(LOOK).await;
        }
    }

    /// Whether a message went out under this key of this caller. Nothing is sent.
    pub async fn find(&self, caller: &str, key: &str) -> Result<FoundMessage, OperationError> {
        let Some(known) = self.ledger.entry(&entry_of(Kind::Message, caller, key)).await? else {
            return Ok(FoundMessage::NotSent);
        };
        Ok(match self.standing(Box::new(known)).await? {
            Standing::Sent(Sent { sid, status, .. }) => FoundMessage::Sent { sid, status },
            Standing::NotSent => FoundMessage::NotSent,
            Standing::UnderWay => FoundMessage::Open { why: "it is being sent".to_owned() },
            Standing::Undecided(doubt) => FoundMessage::Open { why: doubt.message },
        })
    }

    /// How an entry stands, after a look at Twilio if it is in doubt.
    async fn standing(&self, known: Box<Entry>) -> Result<Standing, OperationError> {
        let sent = |sid, status| Standing::Sent(Sent { sid, status, repeated: true });
        if known.state == State::Sent {
            return Ok(sent(known.sid, known.status));
        }
        if known.is_free() {
            return Ok(Standing::NotSent);
        }
        if !known.is_open() || self.is_in_flight(&known.id) {
            return Ok(Standing::UnderWay);
        }
        match self.reconcile(&known).await? {
            Verdict::Sent { sid, status } => Ok(sent(sid, status)),
            Verdict::NotSent => Ok(Standing::NotSent),
            Verdict::Undecided(candidates) => {
                Ok(Standing::Undecided(unknown(&known, "no answer of Twilio came", candidates)))
            }
        }
    }

    /// Notes a report. Where it names an entry whose answer was lost, that one is settled.
    pub async fn take_report(&self, report: StatusReport) -> Result<(), OperationError> {
        self.ledger.record(&report).await?;
        self.deliveries.heard(&self.ledger, &report).await;
        if let Some(to) = report.to.as_deref().filter(|_| report.error_code == Some(OPTED_OUT)) {
            self.ledger.record_opt_out(to, true).await?;
        }
        let Some(entry) = &report.entry else { return Ok(()) };
        match self.ledger.sent(entry, &report.sid, &report.status).await {
            // Another entry was taken for this one; the report itself is noted.
            Err(error) if error.kind == ErrorKind::Conflict => Ok(()),
            settled => settled.map(drop),
        }
    }

    /// Looks into what is open, again and again.
    async fn sweep(self: Arc<Self>, pulse: Pulse) {
        loop {
            pulse.turn();
            self.deliveries.look(&self.ledger).await;
            if let Err(error) = self.look_into_open_entries(&pulse).await {
                tracing::debug!(%error, "the outcomes of open messages and calls cannot be checked at the moment");
            }
            pulse.rest();
            sleep(SWEEP).await;
        }
    }

    async fn look_into_open_entries(&self, pulse: &Pulse) -> Result<(), OperationError> {
        let open = self.ledger.open_entries(SWEPT_MS, self.twilio_ms().await).await?;
        for entry in open.into_iter().filter(|entry| !self.is_in_flight(&entry.id)) {
            pulse.turn();
            let kind = entry.kind.as_str();
            match self.reconcile(&entry).await? {
                Verdict::Sent { sid, .. } => {
                    tracing::info!(entry = entry.id, sid, "a {kind} without an answer was sent");
                }
                Verdict::NotSent => {
                    tracing::info!(entry = entry.id, "a {kind} without an answer was not sent")
                }
                Verdict::Undecided(_) => {}
            }
        }
        self.ledger.forget_old().await
    }

    async fn deliver(
        self: &Arc<Self>,
        draft: Draft,
        entry: Entry,
        asker: &Asker,
    ) -> Result<Sent, OperationError> {
        if asker.left() < LEAST {
            self.ledger.not_sent(&entry, State::Failed).await?;
            return Err(OperationError::deadline("not sent: the caller's time is over"));
        }
        let sender = self.clone();
        let (task_entry, deadline, trace) = (entry.clone(), asker.deadline, asker.trace.clone());
        let task = tokio::spawn(async move { sender.hand_over(draft, task_entry, trace).await });
        match timeout_at(deadline, task).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(unknown(&entry, "the sending did not complete", Vec::new())),
            Err(_) => {
                Err(unknown(&entry, "Twilio had not answered when the caller's time ended", Vec::new()))
            }
        }
    }

    /// From the first line on it may go.
    async fn hand_over(
        &self,
        draft: Draft,
        mut entry: Entry,
        trace: Option<String>,
    ) -> Result<Sent, OperationError> {
        let create = RestRequest::post(draft.kind.path(), draft.form(&entry.id));
        // Part of the call that wants it, and not bound to its time.
        let twilio = trace.into_iter().fold(self.context.dependency(TWILIO)?, Dependency::trace);
        let _in_flight = self.in_flight.begin(entry.id.clone());
        let begun = Instant::now();
        match self.identity().await {
            Ok(identity) => entry.sending_ms = identity.now_ms.unwrap_or_default(),
            // Nothing was begun, whatever kind of error it is.
            Err(error) => {
                let error = OperationError { kind: ErrorKind::Unavailable, ..error };
                return Err(self.note_refused(&entry, &draft, error).await);
            }
        }
        if !self.ledger.begin(&entry, SENDING_LEASE_MS).await? {
            return Err(OperationError::unavailable("not sent: the ledger took too long"));
        }
        // The last look before the wire: nothing may wait between the two.
        if let Err(error) = self.check_opt_out(&draft).await {
            return Err(self.note_refused(&entry, &draft, error).await);
        }
        if begun.elapsed() > BEGINNING {
            let late = OperationError::unavailable("the ledger took too long");
            return Err(self.note_refused(&entry, &draft, late).await);
        }
        let answer = twilio.deadline(SENDING).call(create).await;
        match answer.map(|answer| sid_and_status(&answer.body)) {
            Ok(Some((sid, status))) => {
                self.note_sent(&entry, &sid, &status).await;
                Ok(Sent { sid, status, repeated: false })
            }
            Ok(None) => self.look_at_once(&entry, "Twilio's answer has no SID").await,
            Err(error) if is_certain(error.kind) => Err(self.note_refused(&entry, &draft, error).await),
            Err(error) => self.look_at_once(&entry, error.message.trim_start_matches(MAYBE)).await,
        }
    }

    /// A person who wants no messages may be called: that is asked elsewhere.
    async fn check_opt_out(&self, draft: &Draft) -> Result<(), OperationError> {
        match draft.kind {
            Kind::Message if self.ledger.is_opted_out(&draft.to).await? => Err(opted_out(&draft.to)),
            Kind::Message | Kind::Call => Ok(()),
        }
    }

    /// It went, whether or not the ledger learns it; if not, it is found at Twilio later.
    async fn note_sent(&self, entry: &Entry, sid: &str, status: &str) {
        match self.ledger.sent(&entry.id, sid, status).await {
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(entry = entry.id, sid, %error, "sent, but not recorded in the ledger yet")
            }
        }
    }

    async fn note_refused(&self, entry: &Entry, draft: &Draft, error: OperationError) -> OperationError {
        let code = error.details.clone().and_then(|details| serde_json::from_value(details).ok());
        let code = code.and_then(|trouble: TwilioTrouble| trouble.code);
        let noted = async {
            if code == Some(OPTED_OUT) {
                self.ledger.record_opt_out(&entry.to, true).await?;
            }
            self.ledger.not_sent(entry, State::Failed).await
        };
        if let Err(error) = noted.await {
            tracing::warn!(entry = entry.id, %error, "not sent, but not recorded in the ledger yet");
        }
        let error = OperationError { message: format!("not sent: {}", error.message), ..error };
        match draft.own_sender {
            Some(setting) if code.is_some_and(|code| NO_SENDER.contains(&code)) => {
                error.with_trouble(ReasonCode::ConfigInvalid).with_fix(FixHint::setting(setting))
            }
            _ => error,
        }
    }

    /// No answer: perhaps Twilio has it all the same.
    async fn look_at_once(&self, entry: &Entry, why: &str) -> Result<Sent, OperationError> {
        if let Err(error) = self.ledger.not_sent(entry, State::Unknown).await {
            tracing::warn!(entry = entry.id, %error, "the outcome is unknown, which is not recorded in the ledger yet");
        }
        match self.reconcile(entry).await {
            Ok(Verdict::Sent { sid, status }) => Ok(Sent { sid, status, repeated: false }),
            Ok(Verdict::Undecided(candidates)) => Err(unknown(entry, why, candidates)),
            Ok(Verdict::NotSent) | Err(_) => Err(unknown(entry, why, Vec::new())),
        }
    }

    /// Reads what Twilio has, decides, and writes the decision down.
    async fn reconcile(&self, entry: &Entry) -> Result<Verdict, OperationError> {
        let asked_ms = self.twilio_ms().await;
        let answer = self.ask(reconcile::question(entry)).await?;
        let (found, are_all) = reconcile::candidates(entry, &answer).ok_or_else(|| {
            OperationError::internal("Twilio's list cannot be read: check `TWILIO_API_BASE_URL`")
        })?;
        let mut free = Vec::new();
        for candidate in found {
            if !self.ledger.has_sid(&candidate.sid).await? {
                free.push(candidate);
            }
        }
        let verdict = reconcile::decide(entry, &free, are_all, asked_ms);
        match &verdict {
            Verdict::Sent { sid, status } => {
                if !self.ledger.sent(&entry.id, sid, status).await? {
                    return self.settled_meanwhile(entry).await;
                }
            }
            Verdict::NotSent => self.ledger.not_sent(entry, State::Failed).await?,
            // A report may have told in between.
            Verdict::Undecided(_) => {
                if let Some(Entry { state: State::Sent, sid, status, .. }) =
                    self.ledger.entry(&entry.id).await?
                {
                    return Ok(Verdict::Sent { sid, status });
                }
            }
        }
        Ok(verdict)
    }

    async fn settled_meanwhile(&self, entry: &Entry) -> Result<Verdict, OperationError> {
        match self.ledger.entry(&entry.id).await? {
            Some(Entry { state: State::Sent, sid, status, .. }) => Ok(Verdict::Sent { sid, status }),
            _ => Ok(Verdict::Undecided(Vec::new())),
        }
    }
}

/// Whether an error of this kind says that nothing was done.
fn is_certain(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::Invalid | ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::Conflict => true,
        ErrorKind::Overloaded | ErrorKind::Unavailable => true,
        ErrorKind::Cancelled | ErrorKind::Panicked | ErrorKind::Internal => false,
        ErrorKind::UnknownOutcome | ErrorKind::Deadline => false,
    }
}

fn sid_and_status(body: &Value) -> Option<(String, String)> {
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    text("sid").zip(text("status"))
}

fn opted_out(to: &str) -> OperationError {
    OperationError::denied(format!(
        "`{to}` opted out; only they can change that, by writing START to the sender"
    ))
}

fn unknown(entry: &Entry, why: &str, candidates: Vec<String>) -> OperationError {
    let kind = entry.kind.as_str();
    let (id, to) = (entry.id.clone(), entry.to.clone());
    let details = UnknownSend { entry: id, to, since_ms: entry.since_ms(), candidates };
    let message = format!(
        "the {kind} may have been sent: {why}; its outcome is being looked for, and a repeat with the same idempotency key \
         learns it"
    );
    OperationError::unknown_outcome(message)
        .details(serde_json::to_value(details).expect("text and numbers are always JSON"))
}
