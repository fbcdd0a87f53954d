//! Calls as they are shown, and what people and operators may do with them beside talking.

use plugin_api::{
    error::OperationError,
    prelude::Call,
    requests::{
        memory::{AddTurn, Medium, Speaker},
        orchestrator::RunState,
        twilio::{FetchMedia, Media},
        twilio_service::UpdateCall,
        voice::{
            CallList, CallRecord, CheckCode, CheckedCode, EndCall, FetchRecording, ListCalls, Respond,
            Responded, SentCode, ShowCall, TransferCall,
        },
    },
    tracing,
};

use crate::{
    MEMORY, TWILIO_SERVICE,
    call::{CallBrief, Ledger as _, Next, Proof},
    desk::{Desk, turn},
    mind,
    store::{HUNG_UP, Known, random_id},
};

const CALLS: u32 = 50;
const MOST: u32 = 200;
/// Where the answer of a conversation in text stands.
const ANSWER: &str = "answer";

type Outcome<T> = Result<T, OperationError>;

impl Desk {
    /// One turn in text.
    pub async fn respond(&self, request: Respond, call: &Call) -> Outcome<Responded> {
        let person = call.person().filter(|person| !person.trim().is_empty());
        let person = person.ok_or_else(|| OperationError::invalid("it is on behalf of nobody"))?;
        if request.text.trim().is_empty() {
            return Err(OperationError::invalid("`text` is empty"));
        }
        let key = call.idempotency_key().map_or_else(random_id, str::to_owned);
        let brief = CallBrief {
            call: format!("respond:{key}"),
            number: None,
            person: Some(person.to_owned()),
            objective: None,
            opening: None,
            started_ms: self.journal.store.now_ms(),
        };
        let said = turn(Speaker::Person, Medium::Other, &request.text, format!("{}:0", brief.call), None);
        self.remember_now(person, said).await;
        let about = (0, request.text.as_str());
        let question = mind::question(&self.context, &self.config, &brief, about, &[], true).await;
        let wait = call.remaining().map_or(self.config.patience, |left| left.mul_f32(0.8));
        let report = mind::run(&self.context, &question, wait).await?;
        if let Some(answer) = report.answer.as_ref().filter(|_| report.state == RunState::Done) {
            let source = format!("{}:{ANSWER}", brief.call);
            self.remember_now(person, turn(Speaker::Assistant, Medium::Other, answer, source, None)).await;
        }
        Ok(report.into())
    }

    /// What cannot be remembered is answered all the same.
    async fn remember_now(&self, person: &str, said: AddTurn) {
        let remembered = async { self.context.dependency(MEMORY)?.person(person).call(said).await };
        if let Err(error) = remembered.await {
            tracing::warn!(%error, "what was said is not remembered");
        }
    }

    /// To somebody whom the settings allow, once the assistant has spoken.
    pub async fn transfer_call(&self, request: TransferCall, call: &Call) -> Outcome<()> {
        let targets = &self.config.transfer;
        if !targets.contains_key(&request.to) {
            let names: Vec<_> = targets.keys().map(|name| format!("`{name}`")).collect();
            let names = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
            return Err(OperationError::not_found(format!(
                "a call cannot be transferred to `{}`, only to {names}",
                request.to
            )));
        }
        let live = self.live_call(call).await?;
        self.journal.decide(&live.call, Next::Transfer { to: request.to }).await;
        Ok(())
    }

    /// Once the assistant has spoken; for an operator, at once.
    pub async fn end_call(&self, request: EndCall, call: &Call) -> Outcome<()> {
        if call.person().is_some() {
            let live = self.live_call(call).await?;
            self.journal.decide(&live.call, Next::hang_up()).await;
            return Ok(());
        }
        let sid = request.call.ok_or_else(|| OperationError::invalid("`call` is missing"))?;
        let update = UpdateCall { sid: sid.clone(), hang_up: true, ..UpdateCall::default() };
        self.context.dependency(TWILIO_SERVICE)?.call(update).await?;
        // Twilio may have told of the end before this.
        self.outcome(&sid, "an operator ended it").await;
        self.ended(&sid, HUNG_UP).await;
        Ok(())
    }

    /// The call that the person is in.
    async fn live_call(&self, call: &Call) -> Outcome<Known> {
        let person = call.person().ok_or_else(|| OperationError::invalid("it is on behalf of nobody"))?;
        // A caller whose number is not verified is a person of one call.
        let live = match person.strip_prefix("unverified:") {
            Some(sid) => self.journal.known(sid).await.filter(|known| known.is_live),
            None => self.journal.store.live_call_of(person).await?,
        };
        live.ok_or_else(|| OperationError::conflict("the person is in no call"))
    }

    /// To the number of the unknown person of a call.
    pub async fn send_code(&self, call: &Call) -> Outcome<SentCode> {
        let live = self.live_call(call).await?;
        self.journal.send_code(&live.call).await?;
        Ok(SentCode {})
    }

    pub async fn check_code(&self, request: CheckCode, call: &Call) -> Outcome<CheckedCode> {
        let live = self.live_call(call).await?;
        Ok(match self.journal.check_code(&live.call, &request.code).await? {
            Proof::Proven(_) => CheckedCode { proven: true, attempts_left: None },
            Proof::Wrong { left } => CheckedCode { proven: false, attempts_left: left.try_into().ok() },
        })
    }

    pub async fn list_calls(&self, request: ListCalls, call: &Call) -> Outcome<CallList> {
        let limit = request.limit.unwrap_or(CALLS);
        if !(1..=MOST).contains(&limit) {
            return Err(OperationError::invalid(format!("`limit` is {limit}: expected 1 to {MOST}")));
        }
        let person = match (call.person(), request.person.as_deref()) {
            (Some(person), Some(asked)) if person != asked => {
                return Err(OperationError::denied(format!(
                    "the calls of `{asked}` are not those of the person of this call"
                )));
            }
            (person, asked) => person.or(asked),
        };
        let before = request.before.as_deref().map(cursor).transpose()?;
        self.journal.store.calls(person, request.live, before, limit).await
    }

    pub async fn show_call(&self, request: ShowCall, call: &Call) -> Outcome<CallRecord> {
        let record = self.journal.store.record_of(&request.call).await?;
        let may = |record: &CallRecord| {
            call.person().is_none_or(|person| record.call.person.as_deref() == Some(person))
        };
        record
            .filter(may)
            .ok_or_else(|| OperationError::not_found(format!("there is no call `{}`", request.call)))
    }

    pub async fn fetch_recording(&self, request: FetchRecording, call: &Call) -> Outcome<Media> {
        if call.person().is_some() {
            return Err(OperationError::denied("this is for operators, not on behalf of a person"));
        }
        let url = self.journal.store.recording_url(&request.recording).await?;
        let url = url.ok_or_else(|| {
            OperationError::not_found(format!("no call here has the recording `{}`", request.recording))
        })?;
        self.context.dependency(TWILIO_SERVICE)?.call(FetchMedia { url, max_bytes: None }).await
    }
}

fn cursor(text: &str) -> Outcome<(i64, String)> {
    let parts = text.split_once(':').and_then(|(moment, call)| Some((moment.parse().ok()?, call)));
    let (moment, call) =
        parts.ok_or_else(|| OperationError::invalid("`before` is not the `next` of an answer"))?;
    Ok((moment, call.to_owned()))
}
