//! What people decide about tool calls: by an operator's call, or by a link that is good for one decision, once. Links go
//! to the approver of the settings, and to operators who ask for a run; never to the person of the run. That somebody
//! agreed is signed by the host, and what they agreed to is what the model wanted: see `seals`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use plugin_api::{
    lease::millis,
    prelude::*,
    requests::{
        email::SendEmail,
        host::{Approve, Trouble},
        orchestrator::{Decision, Question, ToolState},
        twilio_service::{NotDelivered, SendMessage},
    },
    serde_json::json,
    tools::data::cut_off,
    tracing,
    worker::Pulse,
};

use crate::{
    random,
    run::{Run, ToolRun},
    seals,
    settings::Approver,
    shared::Shared,
    store::{Decided, Telling},
    telling::{self, Waiting, arguments},
};

/// The trouble that the approver cannot be told.
pub const APPROVER: &str = "approver";
pub const SMTP: &str = "smtp";
pub const TWILIO_SERVICE: &str = "twilio_service";
/// Where a link leads, before its token.
pub const LINK_PATH: &str = "/approve";

/// When the approver is told again, if telling failed.
const TELL_AGAIN: Duration = Duration::from_secs(60);
const TELL_TIME: Duration = Duration::from_secs(30);
/// Links that this host gives out again as they are.
const REMEMBERED: usize = 10_000;
const LONGEST_NOTE: usize = 1000;
/// How far the clocks of hosts and database may lie apart.
const CLOCKS: Duration = Duration::from_secs(60 * 60);

/// Decides.
pub struct Decisions {
    shared: Arc<Shared>,
    /// The tokens of links that this host has given out, by what they lead to. They are kept nowhere else.
    tokens: Mutex<HashMap<String, String>>,
}

/// How an approval was given.
#[derive(Debug, Clone, Copy)]
pub enum By {
    Operator,
    Link,
}

impl By {
    fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "an operator",
            Self::Link => "a link",
        }
    }
}

impl Decisions {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, tokens: Mutex::default() }
    }

    /// What a person must decide, with the link if it may be shown.
    pub async fn of(&self, run: &str, call: &ToolRun, with_link: bool) -> Result<Decision, OperationError> {
        let link = if with_link { self.link(&[(run, call.decision())]).await? } else { None };
        Ok(Decision {
            id: call.decision(),
            question: call.question.unwrap_or(Question::UnknownOutcome),
            tool: call.tool.clone(),
            arguments: arguments(call),
            link,
            expires_ms: call.expires_ms,
        })
    }

    /// Decides, once.
    ///
    /// # Errors
    /// `not_found` if there is no such decision; `conflict` if it was made before, or the run is over.
    pub async fn decide(
        &self,
        run: &str,
        decision: &str,
        approve: bool,
        note: Option<&str>,
        by: By,
    ) -> Result<(), OperationError> {
        let unknown = || OperationError::not_found(format!("the run `{run}` has no decision `{decision}`"));
        let call = self.shared.store.asked(run, decision).await?.ok_or_else(unknown)?;
        if call.decision() != decision || call.state != ToolState::Waiting {
            return Err(made_before(decision));
        }
        let of = self.shared.store.run(run).await?.ok_or_else(unknown)?;
        let call = self.genuine(&of, call).await?.map_err(|doubt| {
            OperationError::conflict(format!("the decision `{decision}` cannot be made: {doubt}"))
        })?;
        let verdict = match approve {
            true => self.approved(&of, &call, by).await?,
            false => denied(&call, "a person refused it", note),
        };
        match self.shared.store.decide(run, &verdict).await? {
            Decided::Now => self.go_on(),
            Decided::Before => return Err(made_before(decision)),
            Decided::TooLate => return Err(OperationError::conflict(format!("the run `{run}` is over"))),
        }
        Ok(())
    }

    /// The call as it may be made, with the host's signature under it.
    async fn approved(&self, run: &Run, call: &ToolRun, by: By) -> Result<ToolRun, OperationError> {
        let store = &self.shared.store;
        // What was approved waits as long for its plugin as a person may take to decide.
        let allowed = self.shared.config.approval_time.saturating_mul(2).saturating_add(CLOCKS);
        let until_ms = store.now_ms().saturating_add(millis(allowed));
        let approve = Approve {
            tool: call.tool.clone(),
            arguments: arguments(call),
            decision: format!("{}/{}", run.id, call.decision()),
            by: by.as_str().to_owned(),
            until_ms,
        };
        let host = self.shared.context.host().idempotency_key(call.idempotency_key(&run.id));
        let host = match &run.person {
            Some(person) => host.person(person),
            None => host,
        };
        let approval = host.approve(approve).await?;
        Ok(ToolRun { state: ToolState::Approved, approval, ..call.clone() })
    }

    /// The call, if it is what the model wanted in this run. One that somebody altered in the database is refused for good.
    async fn genuine(
        &self,
        run: &Run,
        call: ToolRun,
    ) -> Result<Result<ToolRun, &'static str>, OperationError> {
        let Some(doubt) = seals::doubt(&self.shared.context, run, &call).await? else { return Ok(Ok(call)) };
        tracing::error!(
            run = run.id,
            tool = call.tool,
            "a call that waits for a decision is refused: {doubt}"
        );
        let refused = call.settled(false, format!("not called: {doubt}"));
        self.shared.store.decide(&run.id, &refused).await?;
        self.go_on();
        Ok(Err(doubt))
    }

    /// What nobody decided in time counts as denied.
    pub async fn expire(&self) -> Result<(), OperationError> {
        for (run, call) in self.shared.store.expired().await? {
            let verdict = denied(&call, "nobody allowed it in time", None);
            self.shared.store.decide(&run, &verdict).await?;
            tracing::info!(run, tool = call.tool, "nobody decided in time: it counts as refused");
        }
        self.go_on();
        Ok(())
    }

    /// Tells the approver of what there is to decide.
    pub async fn tell(&self, pulse: &Pulse) -> Result<(), OperationError> {
        // They are told if somebody is named later.
        if self.shared.config.approver.is_none() {
            return Ok(());
        }
        let (store, telling) = (&self.shared.store, self.telling());
        if !store.begin_telling(&telling).await? {
            return Ok(());
        }
        let (mut waiting, mut lost) = (Vec::new(), Vec::new());
        for untold in store.take_untold(TELL_AGAIN).await? {
            pulse.turn();
            let Some(run) = store.run(&untold.run).await? else { continue };
            if let Ok(call) = self.genuine(&run, untold.call).await? {
                waiting.push(Waiting { run, call });
                lost.push(untold.lost);
            }
        }
        if waiting.is_empty() {
            return store.end_telling(&telling, Duration::ZERO).await;
        }
        match self.tell_of(&waiting, &lost.concat()).await {
            Ok(sid) => {
                for Waiting { run, call } in &waiting {
                    store.told(&run.id, call, &sid).await?;
                }
                store.end_telling(&telling, telling.every).await?;
            }
            Err(error) => {
                tracing::warn!(decisions = waiting.len(), %error, "the approver cannot be notified at the moment");
                if is_refused(&error) {
                    self.shared.approver.raise(&self.shared.context, not_told(&error.message)).await;
                }
            }
        }
        Ok(())
    }

    /// How often the approver is told.
    pub fn telling(&self) -> Telling {
        let approver = match &self.shared.config.approver {
            Some(Approver::Email(address) | Approver::Phone(address)) => address.clone(),
            None => String::new(),
        };
        Telling { approver, every: self.shared.config.notify_every, again: TELL_AGAIN }
    }

    /// If it is the SMS that told the approver, they are told again later.
    pub async fn not_delivered(&self, report: &NotDelivered) -> Result<(), OperationError> {
        let NotDelivered { sid, why, .. } = report;
        let Some(run) = self.shared.store.not_delivered(sid).await? else { return Ok(()) };
        tracing::warn!(run, sid, "the approver was not told: the SMS was not delivered: {why}");
        let why = format!("the SMS was not delivered: {why}");
        self.shared.approver.raise(&self.shared.context, not_told(&why)).await;
        Ok(())
    }

    /// What waits behind a link; `None` if nobody ever gave out such a link.
    pub async fn behind(&self, token: &str) -> Result<Option<Vec<Waiting>>, OperationError> {
        let (store, hash) = (&self.shared.store, random::hash(token));
        let (mut is_known, mut waiting) = (false, Vec::new());
        for link in store.links(&hash).await? {
            if !seals::is_given_out(&self.shared.context, &hash, &link).await? {
                continue;
            }
            is_known = true;
            let Some(run) = store.run(&link.run).await? else { continue };
            let is_open = |call: &ToolRun| {
                call.state == ToolState::Waiting
                    && call.decision() == link.decision
                    && call.expires_ms > store.now_ms()
            };
            let call = store.asked(&link.run, &link.decision).await?.filter(is_open);
            let Some(call) = call.filter(|_| !run.state.is_over()) else { continue };
            if let Ok(call) = self.genuine(&run, call).await? {
                waiting.push(Waiting { run, call });
            }
        }
        Ok(is_known.then_some(waiting))
    }

    /// Where a person makes these decisions, by run and name, if people can reach this host.
    async fn link(&self, decisions: &[(&str, String)]) -> Result<Option<String>, OperationError> {
        let Some(base) = &self.shared.config.public_base_url else { return Ok(None) };
        let names: Vec<_> = decisions.iter().flat_map(|(run, decision)| [*run, decision.as_str()]).collect();
        let names = random::hash_of(&names);
        let known = self.tokens.lock().unwrap_or_else(PoisonError::into_inner).get(&names).cloned();
        let token = match known {
            Some(token) => token,
            None => {
                let token = random::token()?;
                let (context, hash) = (&self.shared.context, random::hash(&token));
                let mut links = Vec::new();
                for (run, decision) in decisions {
                    links.push(seals::link(context, &hash, run, decision).await?);
                }
                self.shared.store.add_links(&hash, &links).await?;
                self.remember(names, &token);
                token
            }
        };
        Ok(Some(format!("{base}{LINK_PATH}/{token}")))
    }

    fn remember(&self, decision: String, token: &str) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= REMEMBERED {
            tokens.clear();
        }
        tokens.insert(decision, token.to_owned());
    }

    /// Somebody may take the run up at once.
    fn go_on(&self) {
        self.shared.changed();
        self.shared.wake.notify_one();
    }

    /// The SID, if it goes by SMS.
    async fn tell_of(&self, waiting: &[Waiting], lost: &str) -> Result<String, OperationError> {
        let context = &self.shared.context;
        let decisions: Vec<_> =
            waiting.iter().map(|waiting| (waiting.run.id.as_str(), waiting.call.decision())).collect();
        // A new link after a restart makes another message: it may come twice, and is never left out.
        let link = self.link(&decisions).await?;
        let how = link.clone().unwrap_or_else(|| self.command(waiting));
        // So does one that did not arrive.
        let names: Vec<_> = decisions.iter().flat_map(|(run, decision)| [*run, decision.as_str()]).collect();
        let key = random::hash_of(&[&names[..], &[link.as_deref().unwrap_or_default(), lost]].concat());
        match &self.shared.config.approver {
            Some(Approver::Email(address)) if context.has(SMTP) => {
                let mail = SendEmail {
                    to: vec![address.clone()],
                    subject: telling::subject(waiting),
                    text: Some(telling::words(waiting, &how, telling::MAIL)),
                    ..SendEmail::default()
                };
                context
                    .dependency(SMTP)?
                    .deadline(TELL_TIME)
                    .idempotency_key(key)
                    .call(mail)
                    .await
                    .map(|_| String::new())
            }
            Some(Approver::Phone(number)) if context.has(TWILIO_SERVICE) => {
                let message = SendMessage {
                    to: Some(number.clone()),
                    body: Some(telling::words(waiting, &how, telling::SMS)),
                    // Anyone with the link may decide.
                    sensitive: true,
                    ..SendMessage::default()
                };
                let twilio = context.dependency(TWILIO_SERVICE)?.deadline(TELL_TIME).idempotency_key(key);
                twilio.call(message).await.map(|sent| sent.sid)
            }
            Some(Approver::Email(_)) => Err(unnamed("an email address", SMTP)),
            Some(Approver::Phone(_)) => Err(unnamed("a number", TWILIO_SERVICE)),
            None => Ok(String::new()),
        }
    }

    /// How an operator decides without a link.
    fn command(&self, waiting: &[Waiting]) -> String {
        let name = self.shared.context.instance();
        match waiting {
            [Waiting { run, call }] => {
                let request = json!({ "run": run.id, "decision": call.decision(), "approve": true });
                format!("switchboard call {name}.decide '{request}'")
            }
            _ => format!("switchboard call {name}.list_runs '{}'", json!({ "state": "waiting" })),
        }
    }
}

/// Another try fails until a person mends something.
fn is_refused(error: &OperationError) -> bool {
    matches!(error.kind, ErrorKind::Invalid | ErrorKind::Denied | ErrorKind::Conflict | ErrorKind::NotFound)
}

fn unnamed(what: &str, plugin: &str) -> OperationError {
    OperationError::not_found(format!("`approver` is {what}, and plugins.toml does not name `{plugin}`"))
}

/// Decisions wait, and their approver cannot be told, for this reason.
pub fn not_told(why: &str) -> Trouble {
    let message = format!("decisions wait, and the approver cannot be notified: {why}");
    Trouble::raised(APPROVER, Failure::config_invalid(message).setting("approver")).label(
        "Correct `ORCHESTRATOR_APPROVER`, or what the reason names; then they are notified within a minute",
    )
}

fn denied(call: &ToolRun, who: &str, note: Option<&str>) -> ToolRun {
    let what = match call.question {
        Some(Question::Approval) => format!("not called: {who}"),
        _ => format!("it was begun, nobody knows whether it took effect, and it is not called again: {who}"),
    };
    let note = note.map(|note| format!(", saying: {}", cut_off(note, LONGEST_NOTE))).unwrap_or_default();
    call.clone().settled(false, what + &note)
}

fn made_before(decision: &str) -> OperationError {
    OperationError::conflict(format!(
        "the decision `{decision}` was made before, or is not asked for any more"
    ))
}
