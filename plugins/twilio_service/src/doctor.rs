//! A webhook to this host itself through its public address, and the addresses that Twilio has for the number -> a check
//! each, with the setting in Twilio's console where it is mended. Changes nothing.

use plugin_api::{
    prelude::*,
    requests::{
        doctor::Check,
        messaging::INBOUND_PATH,
        twilio::{Heard, Identify, RehearseWebhook, RestRequest},
        voice::VOICE_PATH,
    },
    serde_json::Value,
};

use crate::ledger::random_id;

/// Where the rehearsed webhook goes: guarded as all webhooks are, and without any effect.
pub const PATH: &str = "/webhooks/twilio/doctor";
const NONCE: &str = "Nonce";
const NO_BASE: &str = "`PUBLIC_BASE_URL` is not set: Twilio cannot reach this host";

/// What Twilio has for a number, and what this host has for it.
struct Wiring {
    check: &'static str,
    path: &'static str,
    url: &'static str,
    method: &'static str,
    application: &'static str,
    /// The line of the form in Twilio's console.
    line: &'static str,
    what: &'static str,
}

const WIRINGS: [Wiring; 2] = [
    Wiring {
        check: "sms_url",
        path: INBOUND_PATH,
        url: "sms_url",
        method: "sms_method",
        application: "sms_application_sid",
        line: "A message comes in",
        what: "messages",
    },
    Wiring {
        check: "voice_url",
        path: VOICE_PATH,
        url: "voice_url",
        method: "voice_method",
        application: "voice_application_sid",
        line: "A call comes in",
        what: "calls",
    },
];

/// Looks at all of it.
pub async fn examine(twilio: &Dependency, base: Option<&str>) -> Vec<Check> {
    let Some(base) = base else {
        let fix = "set `PUBLIC_BASE_URL` to the https address of this host, its tunnel or its proxy";
        let names = ["webhook_unsigned", "webhook_signed", "sms_url", "voice_url"];
        return names.map(|name| Check::skipped(name, NO_BASE).fix(fix)).to_vec();
    };
    let mut checks = vec![unsigned(twilio, base).await, signed(twilio, base).await];
    checks.extend(wirings(twilio, base).await);
    checks
}

/// What a rehearsed webhook is answered: its own nonce, so that one knows that it was understood here.
pub fn echo(request: &HttpRequest) -> Result<String, OperationError> {
    let form = request.form()?;
    let nonce = form.into_iter().find(|(name, _)| name == NONCE).map(|(_, nonce)| nonce);
    nonce.ok_or_else(|| OperationError::invalid(format!("the form has no `{NONCE}`")))
}

/// Nobody but Twilio may be let in.
async fn unsigned(twilio: &Dependency, base: &str) -> Check {
    const NAME: &str = "webhook_unsigned";
    match post(twilio, base, PATH, "", false).await {
        Ok(Heard { status: 403, .. }) => {
            Check::ok(NAME, format!("`{base}` refuses requests that Twilio did not sign"))
        }
        Ok(Heard { status: 200, .. }) => {
            Check::failed(NAME, format!("`{base}` accepts requests that Twilio did not sign: {ELSEWHERE}"))
                .fix(lead(base))
        }
        Ok(heard) => unexpected(NAME, base, &heard),
        Err(error) => unreached(NAME, base, &error),
    }
}

/// What Twilio signs must arrive as it was signed.
async fn signed(twilio: &Dependency, base: &str) -> Check {
    const NAME: &str = "webhook_signed";
    let nonce = random_id();
    match post(twilio, base, PATH, &nonce, true).await {
        Ok(Heard { status: 200, body }) if body == nonce => {
            Check::ok(NAME, format!("a signed webhook came through `{base}` and was understood"))
        }
        Ok(Heard { status: 403, .. }) => {
            Check::failed(NAME, format!("a signed webhook through `{base}` was refused")).fix(format!(
                "let the proxy pass path, query and body on unchanged, and let `PUBLIC_BASE_URL` (`{base}`) be the \
                 address that Twilio calls; if it leads to another host, give both the same `TWILIO_AUTH_TOKEN`"
            ))
        }
        Ok(heard) => unexpected(NAME, base, &heard),
        Err(error) => unreached(NAME, base, &error),
    }
}

/// What answers where this host should.
const ELSEWHERE: &str = "something else answers there";

fn unexpected(name: &str, base: &str, heard: &Heard) -> Check {
    let status = heard.status;
    let seen = match status {
        503 => format!("`{base}` answers 503: the guard cannot be reached, or a proxy has no backend"),
        200 | 404 => format!("`{base}{PATH}` answers {status} and not as this host does: {ELSEWHERE}"),
        _ => format!("`{base}{PATH}` answers {status}"),
    };
    Check::failed(name, seen).fix(lead(base))
}

fn unreached(name: &str, base: &str, error: &OperationError) -> Check {
    Check::failed(name, format!("`{base}` is not reached from here: {}", error.message)).fix(lead(base))
}

fn lead(base: &str) -> String {
    format!(
        "make `PUBLIC_BASE_URL` (`{base}`) lead to this host: its name, its certificate, the tunnel or the proxy"
    )
}

async fn post(
    twilio: &Dependency,
    base: &str,
    path: &str,
    nonce: &str,
    signed: bool,
) -> Result<Heard, OperationError> {
    let params = vec![(NONCE.to_owned(), nonce.to_owned())];
    twilio.call(RehearseWebhook { url: format!("{base}{path}"), params, signed }).await
}

async fn wirings(twilio: &Dependency, base: &str) -> Vec<Check> {
    let number = match number(twilio).await {
        Ok(number) => number,
        Err(error) => {
            return WIRINGS.iter().map(|wiring| Check::of_call(wiring.check, Err(error.clone()))).collect();
        }
    };
    let mut checks = Vec::new();
    for wiring in &WIRINGS {
        // Who is asked without a signature refuses; where nothing is, there is nothing to refuse.
        let is_served =
            !matches!(post(twilio, base, wiring.path, "", false).await, Ok(Heard { status: 404, .. }));
        checks.push(wiring.judge(&number, base, is_served));
    }
    checks
}

/// The number as Twilio has it.
async fn number(twilio: &Dependency) -> Result<Value, OperationError> {
    let identity = twilio.call(Identify {}).await?;
    let list =
        RestRequest::get("IncomingPhoneNumbers.json").query("PhoneNumber", identity.phone_number.as_str());
    let list = twilio.call(list).await?.body;
    let numbers = list.get("incoming_phone_numbers").and_then(Value::as_array);
    let mut numbers = numbers.into_iter().flatten();
    let number = numbers.find(|number| number["phone_number"] == identity.phone_number.as_str());
    number.cloned().ok_or_else(|| {
        OperationError::not_found(format!("the account has no number `{}`", identity.phone_number))
    })
}

impl Wiring {
    fn judge(&self, number: &Value, base: &str, is_served: bool) -> Check {
        let text = |name: &str| number[name].as_str().filter(|text| !text.is_empty());
        let Self { check, what, .. } = self;
        let expected = format!("{base}{}", self.path);
        let known = text("phone_number").unwrap_or_default();
        if let Some(application) = text(self.application) {
            let seen = format!("`{known}` hands its {what} to the application `{application}`");
            return Check::skipped(check, seen).fix(format!(
                "in Twilio's console, TwiML Apps: set `{expected}` as the Request URL of the application"
            ));
        }
        let found = text(self.url);
        if !is_served {
            return Check::skipped(check, format!("no plugin of this host takes {what}"));
        }
        let method = text(self.method).unwrap_or("POST");
        let found_there = found.map(|url| url.trim_end_matches('/'));
        if found_there == Some(expected.as_str()) && method.eq_ignore_ascii_case("POST") {
            return Check::ok(check, format!("`{known}` sends its {what} to `{expected}`"));
        }
        let seen = match found {
            Some(found) => {
                format!("`{known}` sends its {what} to `{found}` ({method}), not to `{expected}` (POST)")
            }
            None => format!("`{known}` sends its {what} nowhere"),
        };
        Check::failed(check, seen).fix(format!(
            "in Twilio's console, Phone Numbers > Manage > Active numbers > {known}: set \"{}\" to Webhook, \
             `{expected}`, HTTP POST",
            self.line
        ))
    }
}
