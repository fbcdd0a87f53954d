//! Twilio's events of a call beside what is said -> what is noted of it, and what Twilio is to do next. An event told
//! twice is noted once.

use plugin_api::{phone::is_harmless_sid, requests::voice::CallWay, tracing};

use crate::{
    DATABASE,
    call::{CallBrief, Next},
    desk::Desk,
    speech::{self, Turn},
    store::{HUNG_UP, NewCall, Order, UNANSWERED, Written, now_us},
    twiml::Verb,
    webhook::Webhook,
};

impl Desk {
    /// A call is to be answered. Only the first time there may be a token for its audio.
    pub async fn voice(&self, hook: &Webhook, is_first: bool) -> Vec<Verb> {
        let order = self.order_for(hook).await;
        let call = new_call(hook, order.as_ref(), self.journal.store.now_ms());
        let opening = order.and_then(|order| order.opening);
        let way = self.way().await;
        let token = match way {
            CallWay::Realtime if is_first && self.is_up(DATABASE).await => {
                self.token(&call, opening.as_deref()).await
            }
            _ => None,
        };
        let mut verbs = speech::record_call(&self.config);
        match (token, &self.config.public_base_url) {
            (Some(token), Some(base)) => {
                self.begin(&call, CallWay::Realtime, is_first).await;
                // The model's socket opens while the webhook is being answered.
                self.sessions.prepare(&CallBrief { opening, ..call.brief() });
                verbs.extend(speech::connect(&self.config, base, &token));
            }
            _ if way == CallWay::Voicemail => {
                self.begin(&call, CallWay::Voicemail, is_first).await;
                verbs.extend(self.give_up(&call.call, "openai is not connected").await);
            }
            _ => {
                self.begin(&call, CallWay::Turns, is_first).await;
                let text = opening.as_deref().unwrap_or(&self.config.texts.greeting);
                if is_first {
                    self.note_opening(&call, text, opening.is_some()).await;
                }
                verbs.extend(speech::listen(&self.config, text, Turn { n: now_us(), ..Turn::default() }));
            }
        }
        verbs
    }

    /// A webhook that comes again says nothing of how the call is going by now.
    async fn begin(&self, call: &NewCall, way: CallWay, is_first: bool) {
        let mut written = vec![Written::Begun(call.clone())];
        if is_first {
            written.push(Written::Way { call: call.call.clone(), way, at_ms: self.journal.store.now_ms() });
            self.journal.count("calls", 1).await;
        }
        self.journal.write(written).await;
    }

    /// The right to carry the call's audio, if the database can keep it.
    async fn token(&self, call: &NewCall, opening: Option<&str>) -> Option<String> {
        match self.journal.store.mint(call, opening).await {
            Ok(token) => token,
            Err(error) => {
                tracing::warn!(call = call.call, %error, "a call cannot be answered in real time");
                None
            }
        }
    }

    /// What a call of ours is to reach.
    pub async fn order_for(&self, hook: &Webhook) -> Option<Order> {
        let reference = hook.named("order")?;
        self.journal.store.order_of(reference).await.unwrap_or_else(|error| {
            tracing::warn!(call = hook.call, %error, "nobody knows what this call is to reach");
            None
        })
    }

    /// The media stream is over, and the call perhaps not.
    pub async fn stream_ended(&self, hook: &Webhook) -> Vec<Verb> {
        let next = self.known_or_new(hook).await.next;
        if !hook.is_live() {
            self.ended(&hook.call, HUNG_UP).await;
            return vec![Verb::new("Hangup")];
        }
        let turn = Turn { n: now_us(), ..Turn::default() };
        if matches!(next, Some(Next::HangUp { .. } | Next::Transfer { .. })) {
            return self.go_on(&hook.call, "", next, turn).await;
        }
        let (call, at_ms) = (hook.call.clone(), self.journal.store.now_ms());
        self.journal.write(vec![Written::Way { call, way: CallWay::Turns, at_ms }]).await;
        match self.way().await {
            CallWay::Voicemail => self.give_up(&hook.call, "openai is not connected").await,
            _ => speech::listen(&self.config, &self.config.texts.failure, turn),
        }
    }

    /// How the media stream goes, as Twilio sees it.
    pub async fn stream_status(&self, hook: &Webhook) {
        if hook.get("StreamEvent") == Some("stream-error") {
            let why = hook.get("StreamError").unwrap_or("no reason given").replace('\0', "");
            self.note(&hook.call, &format!("the media stream failed: {why}")).await;
            self.journal.media_failed(&hook.call, &why).await;
        }
    }

    /// Who the call was transferred to has hung up, or never answered.
    pub async fn dial_ended(&self, hook: &Webhook) -> Vec<Verb> {
        let status = hook.get("DialCallStatus").unwrap_or("unknown").replace('\0', "");
        if status == "completed" {
            return vec![Verb::new("Hangup")];
        }
        self.note(&hook.call, &format!("the transfer failed: {status}")).await;
        if !hook.is_live() {
            self.outcome(&hook.call, HUNG_UP).await;
            self.ended(&hook.call, HUNG_UP).await;
            return vec![Verb::new("Hangup")];
        }
        self.outcome(&hook.call, UNANSWERED).await;
        let reason = "nobody answered there".to_owned();
        let (call, at_ms) = (hook.call.clone(), self.journal.store.now_ms());
        let way = Written::Way { call: call.clone(), way: CallWay::Voicemail, at_ms };
        self.journal.write(vec![Written::Decided { call, next: Next::Turns { reason } }, way]).await;
        speech::voicemail(&self.config, &self.config.texts.unreachable)
    }

    /// A message was left, or the caller hung up instead.
    pub async fn voicemail(&self, hook: &Webhook) -> Vec<Verb> {
        self.recorded(hook, true).await;
        speech::ending(&self.config, &self.config.texts.thanks)
    }

    /// A recording is there.
    pub async fn recorded(&self, hook: &Webhook, is_voicemail: bool) {
        let Some((recording, url)) = hook.get("RecordingSid").zip(hook.get("RecordingUrl")) else { return };
        if !is_harmless_sid(recording)
            || hook.get("RecordingStatus").is_some_and(|status| status != "completed")
        {
            return;
        }
        let known = self.journal.known(&hook.call).await;
        let number = known.and_then(|known| known.number).or(hook.number.clone());
        let call = hook.call.clone();
        let mut written = vec![Written::Recorded {
            call: call.clone(),
            recording: recording.to_owned(),
            is_voicemail,
            url: url.to_owned(),
            number,
            seconds: hook.get("RecordingDuration").and_then(|text| text.parse().ok()).unwrap_or(0),
            is_announced: !is_voicemail || self.config.owner_number.is_none(),
            at_ms: self.journal.store.now_ms(),
        }];
        if is_voicemail {
            written.push(Written::Outcome { call, outcome: "a message was left".to_owned() });
        }
        self.journal.write(written).await;
        self.wake();
    }

    /// How far a call is, as Twilio reports it.
    pub async fn status(&self, hook: &Webhook) {
        if hook.is_live() {
            return;
        }
        self.ended(&hook.call, outcome_of(&hook.status)).await;
    }

    pub async fn ended(&self, call: &str, outcome: &str) {
        self.sessions.discard(call);
        let (call, outcome, at_ms) = (call.to_owned(), outcome.to_owned(), self.journal.store.now_ms());
        self.journal.write(vec![Written::Ended { call, outcome, at_ms }]).await;
        self.wake();
    }
}

/// How a call went that ended so, where nothing else is known.
pub fn outcome_of(status: &str) -> &'static str {
    match status {
        "busy" => "the line was busy",
        "no-answer" => "nobody answered",
        "canceled" => "it was given up before anybody answered",
        "failed" => "it could not be put through",
        _ => HUNG_UP,
    }
}

fn new_call(hook: &Webhook, order: Option<&Order>, started_ms: i64) -> NewCall {
    NewCall {
        call: hook.call.clone(),
        is_outbound: hook.is_outbound,
        number: hook.number.clone(),
        person: hook.person.clone(),
        objective: order.map(|order| order.objective.clone()),
        level: Some(hook.level),
        started_ms,
    }
}
