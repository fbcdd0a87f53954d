//! A request to ring somebody up -> an order in the database, a call at Twilio, and what a machine is told that answers.

use plugin_api::{
    error::OperationError,
    level::Level,
    phone::is_number,
    prelude::Call,
    requests::{
        twilio_service::{MachineDetection, PlaceCall, UpdateCall},
        voice::{CallPerson, CalledPerson, VOICE_PATH},
    },
    tracing,
};

use crate::{
    TWILIO_SERVICE,
    desk::Desk,
    speech,
    store::{NewCall, Order, Written, hash_of, random_id},
    twiml,
    webhook::Webhook,
};

const LONGEST_OBJECTIVE: usize = 4000;

impl Desk {
    /// Rings somebody up, once a key. The order is written down before Twilio is asked.
    ///
    /// # Errors
    /// As [`CallPerson`] says.
    pub async fn call_person(
        &self,
        request: CallPerson,
        call: &Call,
    ) -> Result<CalledPerson, OperationError> {
        let person = whom(&request, call)?;
        let Some(base) = &self.config.public_base_url else {
            return Err(OperationError::unavailable(
                "nobody can be called while the public address of this host is not known: set PUBLIC_BASE_URL",
            ));
        };
        let order = order(&request, &person, call)?;
        self.journal.store.order(&order).await?;
        let message = self.message_of(&order);
        let place = PlaceCall {
            to: Some(person.clone()),
            url: Some(format!("{base}{VOICE_PATH}?order={}", order.reference)),
            ring_seconds: request.ring_seconds,
            time_limit_seconds: Some(self.config.call_time_limit.as_secs().try_into().unwrap_or(86_400)),
            machine_detection: Some(match message {
                Some(_) => MachineDetection::DetectMessageEnd,
                None => MachineDetection::Enable,
            }),
            machine_detection_callback: Some(format!("{base}{VOICE_PATH}/machine?order={}", order.reference)),
            ..PlaceCall::default()
        };
        let twilio = self.context.dependency(TWILIO_SERVICE)?.idempotency_key(&order.reference);
        let placed = twilio.call(place).await?;
        self.journal
            .write(vec![Written::Begun(placed_call(
                &placed.sid,
                person,
                &order,
                self.journal.store.now_ms(),
            ))])
            .await;
        Ok(CalledPerson { call: placed.sid, status: placed.status, repeated: placed.repeated })
    }

    /// Who answered is known: a machine is left a message, or hung up on.
    pub async fn machine(&self, hook: &Webhook, is_first: bool) {
        let who = hook.get("AnsweredBy").unwrap_or("unknown").replace('\0', "");
        let call = hook.call.clone();
        self.journal.write(vec![Written::AnsweredBy { call: call.clone(), who: who.clone() }]).await;
        let is_machine = who.starts_with("machine") || who == "fax";
        if !is_machine || !is_first {
            return;
        }
        let order = self.order_for(hook).await;
        let message = order.as_ref().and_then(|order| self.message_of(order)).filter(|_| who != "fax");
        let (outcome, update) = match message {
            Some(text) => {
                let twiml = twiml::document(&speech::ending(&self.config, &text));
                ("a machine answered, and was left a message", UpdateCall { twiml: Some(twiml), ..of(&call) })
            }
            None => ("a machine answered", UpdateCall { hang_up: true, ..of(&call) }),
        };
        let updated = async { self.context.dependency(TWILIO_SERVICE)?.call(update).await };
        match updated.await {
            Ok(_) => self.outcome(&call, outcome).await,
            Err(error) => {
                tracing::warn!(call, %error, "a machine answered, and the call could not be changed");
                self.note(&call, &format!("a machine answered, and was spoken with: {}", error.message))
                    .await;
            }
        }
    }

    fn message_of(&self, order: &Order) -> Option<String> {
        order.message.clone().or_else(|| self.config.machine_message.clone())
    }
}

/// On behalf of a person, they and nobody else.
fn whom(request: &CallPerson, call: &Call) -> Result<String, OperationError> {
    let person = match (call.person(), request.to.as_deref()) {
        (Some(person), Some(to)) if person != to => {
            return Err(OperationError::denied(format!(
                "on behalf of `{person}` nobody but them can be called, not `{to}`"
            )));
        }
        (Some(person), _) => person,
        (None, Some(to)) => to,
        (None, None) => {
            return Err(OperationError::invalid(
                "`to` is missing, and the request is not on behalf of a person with a number",
            ));
        }
    };
    if is_number(person) {
        return Ok(person.to_owned());
    }
    Err(OperationError::invalid(format!(
        "`{person}` is no phone number: expected `+`, the country and the number, such as `+15551234567`"
    )))
}

fn order(request: &CallPerson, person: &str, call: &Call) -> Result<Order, OperationError> {
    let length = request.objective.chars().count();
    if request.objective.trim().is_empty() || length > LONGEST_OBJECTIVE {
        return Err(OperationError::invalid(format!(
            "`objective` has {length} characters: expected 1 to {LONGEST_OBJECTIVE}"
        )));
    }
    let (caller, objective) = (call.caller().unwrap_or_default(), request.objective.replace('\0', ""));
    let key = call.idempotency_key().map(|key| hash_of(&format!("{caller}\n{person}\n{key}")));
    let clean = |text: &Option<String>| text.as_ref().map(|text| text.replace('\0', ""));
    Ok(Order {
        reference: key.unwrap_or_else(random_id),
        fingerprint: hash_of(&format!("{person}\n{:?}\n{:?}\n{objective}", request.opening, request.message)),
        person: person.to_owned(),
        objective,
        opening: clean(&request.opening),
        message: clean(&request.message),
    })
}

fn placed_call(call: &str, person: String, order: &Order, started_ms: i64) -> NewCall {
    NewCall {
        call: call.to_owned(),
        is_outbound: true,
        number: Some(person.clone()),
        person: Some(person),
        objective: Some(order.objective.clone()),
        level: Some(Level::Attested),
        started_ms,
    }
}

fn of(call: &str) -> UpdateCall {
    UpdateCall { sid: call.to_owned(), ..UpdateCall::default() }
}
