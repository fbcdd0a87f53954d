//! What people decide about tool calls: by an operator's call, or by a link that is good for one decision, once. Links go
//! to the approver of the settings, and to operators who ask for a run; never to the person of the run.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use plugin_api::{
    jiff::Timestamp,
    prelude::*,
    requests::{
        email::SendEmail,
        host::Trouble,
        orchestrator::{Decision, Question, ToolState},
        twilio_service::{NotDelivered, SendMessage},
    },
    serde_json::{Value, json},
    tools::{data::cut_off, toolbox},
    tracing,
    worker::Pulse,
};

use crate::{
    random,
    run::{Run, ToolRun},
    settings::Approver,
    shared::Shared,
    store::{Decided, Untold},
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

/// Decides.
pub struct Decisions {
    shared: Arc<Shared>,
    /// The tokens of links that this host has given out, by their decisions. They are kept nowhere else.
    tokens: Mutex<HashMap<String, String>>,
}

/// What stands behind a link.
pub struct Linked {
    pub run: Run,
    /// The call, if it still waits for this decision.
    pub call: Option<ToolRun>,
    pub decision: String,
}

impl Decisions {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, tokens: Mutex::default() }
    }

    /// What a person must decide, with the link if it may be shown.
    pub async fn of(&self, run: &str, call: &ToolRun, with_link: bool) -> Result<Decision, OperationError> {
        let link = if with_link { self.link(run, call).await? } else { None };
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
    ) -> Result<(), OperationError> {
        let call = self.shared.store.asked(run, decision).await?;
        let call = &call.ok_or_else(|| {
            OperationError::not_found(format!("the run `{run}` has no decision `{decision}`"))
        })?;
        if call.decision() != decision || call.state != ToolState::Waiting {
            return Err(made_before(decision));
        }
        let verdict = if approve { approved(call) } else { denied(call, "a person refused it", note) };
        match self.shared.store.decide(run, &verdict).await? {
            Decided::Now => self.go_on(),
            Decided::Before => return Err(made_before(decision)),
            Decided::TooLate => return Err(OperationError::conflict(format!("the run `{run}` is over"))),
        }
        Ok(())
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
        for untold in self.shared.store.take_untold(TELL_AGAIN).await? {
            pulse.turn();
            let Some(run) = self.shared.store.run(&untold.run).await? else { continue };
            match self.tell_of(&run, &untold).await {
                Ok(sid) => self.shared.store.told(&run.id, &untold.call, &sid).await?,
                Err(error) => {
                    tracing::warn!(run = run.id, %error, "the approver cannot be notified at the moment");
                    if is_refused(&error) {
                        self.shared.approver.raise(&self.shared.context, not_told(&error.message)).await;
                    }
                }
            }
        }
        Ok(())
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

    /// What is behind a link; `None` if nobody ever gave out such a link.
    pub async fn behind(&self, token: &str) -> Result<Option<Linked>, OperationError> {
        let Some(link) = self.shared.store.link(&random::hash(token)).await? else { return Ok(None) };
        let Some(run) = self.shared.store.run(&link.run).await? else { return Ok(None) };
        let call = self.shared.store.asked(&link.run, &link.decision).await?;
        let is_open = |call: &ToolRun| {
            call.state == ToolState::Waiting
                && call.decision() == link.decision
                && call.expires_ms > self.shared.store.now_ms()
        };
        Ok(Some(Linked { run, call: call.filter(is_open), decision: link.decision }))
    }

    /// Where a person decides, if people can reach this host.
    async fn link(&self, run: &str, call: &ToolRun) -> Result<Option<String>, OperationError> {
        let Some(base) = &self.shared.config.public_base_url else { return Ok(None) };
        let decision = format!("{run}/{}", call.decision());
        let known = self.tokens.lock().unwrap_or_else(PoisonError::into_inner).get(&decision).cloned();
        let token = match known {
            Some(token) => token,
            None => {
                let token = random::token()?;
                self.shared.store.add_link(&random::hash(&token), run, &call.decision()).await?;
                self.remember(decision, &token);
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
    async fn tell_of(&self, run: &Run, untold: &Untold) -> Result<String, OperationError> {
        let call = &untold.call;
        let context = &self.shared.context;
        // A new link after a restart makes another message: it may come twice, and is never left out.
        let link = self.link(&run.id, call).await?;
        // So does one that did not arrive.
        let link_text = link.as_deref().unwrap_or_default();
        let key = random::hash_of(&[&run.id, &call.decision(), link_text, &untold.lost]);
        match &self.shared.config.approver {
            Some(Approver::Email(address)) if context.has(SMTP) => {
                let mail = SendEmail {
                    to: vec![address.clone()],
                    subject: question(call),
                    text: Some(self.words(run, call, link.as_deref(), 4000)),
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
                    body: Some(self.words(run, call, link.as_deref(), 300)),
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

    fn words(&self, run: &Run, call: &ToolRun, link: Option<&str>, most: usize) -> String {
        let until = time(call.expires_ms);
        let how = link.map_or_else(
            || {
                let request = json!({ "run": run.id, "decision": call.decision(), "approve": true });
                format!("switchboard call {}.decide '{request}'", self.shared.context.instance())
            },
            str::to_owned,
        );
        let person = run.person.as_deref().unwrap_or("nobody in particular");
        format!(
            "{}\n\nOn behalf of {person}: {}\nArguments: {}\n\nDecide until {until}:\n{how}",
            question(call),
            cut_off(&run.goal, most / 2),
            cut_off(&call.arguments, most)
        )
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

/// The question in a line.
pub fn question(call: &ToolRun) -> String {
    match call.question {
        Some(Question::Approval) => format!("May `{}` be called?", call.tool),
        _ => format!("`{}` was begun, and nobody knows whether it took effect. Call it again?", call.tool),
    }
}

/// A moment for people.
pub fn time(ms: i64) -> String {
    let time = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// With what a tool would be, or was, called.
pub fn arguments(call: &ToolRun) -> Value {
    toolbox::arguments(&call.arguments).unwrap_or_else(|_| Value::from(call.arguments.as_str()))
}

fn approved(call: &ToolRun) -> ToolRun {
    ToolRun { state: ToolState::Approved, ..call.clone() }
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
