//! Account, number and rights as Twilio tells of them -> a check each, with the place in Twilio's console where it is
//! mended. Reads only.

use plugin_api::{
    prelude::*,
    requests::{
        doctor::{Check, Clock, Examination},
        twilio::RestRequest,
    },
    serde_json::Value,
};

use crate::{
    client::{Answer, Client},
    errors::refusal::Refusal,
    verify,
};

const CONSOLE: &str = "in Twilio's console";
/// What many numbers cannot do.
const BESIDE_SMS: [(&str, &str); 2] = [("mms", "MMS"), ("voice", "calls")];

/// Looks at all of it.
pub async fn examine(client: &Client) -> Examination {
    let config = client.config();
    let verified = verify::account_and_number(client).await;
    let mut checks = vec![Check::of("account", verified.map(|()| "it is active".to_owned()))];
    let account = read(client, RestRequest::get("")).await;
    let server = config.address();
    let date = account.as_ref().ok().and_then(|answer| answer.date.as_deref());
    let clock = date.and_then(|date| Clock::read(&server, date));
    if let Ok(answer) = &account
        && text(answer, "type") == Some("Trial")
    {
        checks.push(
            Check::skipped("account_type", "a trial account: it reaches only numbers that were verified")
                .fix(format!(
                    "{CONSOLE}: Upgrade, or add the people under Phone Numbers > Verified Caller IDs"
                )),
        );
    }
    let number =
        RestRequest::get("IncomingPhoneNumbers.json").query("PhoneNumber", config.phone_number.as_str());
    checks.push(capabilities(&config.phone_number, read(client, number).await));
    for (name, path) in [("reads_messages", "Messages.json"), ("reads_calls", "Calls.json")] {
        let answer = read(client, RestRequest::get(path).query("PageSize", "1")).await;
        checks.push(right(name, path.trim_end_matches(".json"), answer));
    }
    checks.push(webhook_key(client));
    Examination { checks, clock }
}

async fn read(client: &Client, request: RestRequest) -> Result<Answer, Failure> {
    let answer = client.exchange(&request, client.config().timeout).await;
    answer.map_err(|broken| broken.failure().clone())
}

/// What the number can do. Twilio tells it of every number; a stand-in may not.
fn capabilities(number: &str, answer: Result<Answer, Failure>) -> Check {
    const NAME: &str = "number";
    let answer = match answer {
        Ok(answer) if answer.status == 200 => answer,
        Ok(answer) => return refused(NAME, "the numbers", &answer),
        Err(failure) => return Check::of(NAME, Err(failure)),
    };
    let numbers = answer.json.as_ref().and_then(|json| json["incoming_phone_numbers"].as_array());
    let found = numbers.into_iter().flatten().find(|known| known["phone_number"] == number);
    let Some(found) = found else {
        return Check::failed(NAME, format!("the account has no number `{number}`")).setting("phone_number");
    };
    let lacks = |key: &str| found["capabilities"][key] == Value::Bool(false);
    if lacks("sms") {
        return Check::failed(NAME, format!("`{number}` can send no SMS")).fix(format!(
            "{CONSOLE}, Phone Numbers > Manage > Buy a number: take one that can, and set `TWILIO_PHONE_NUMBER`"
        ));
    }
    let beside: Vec<&str> = BESIDE_SMS.iter().filter(|(key, _)| lacks(key)).map(|(_, name)| *name).collect();
    let without =
        if beside.is_empty() { String::new() } else { format!(", and takes no {}", beside.join(", no ")) };
    Check::ok(NAME, format!("`{number}` can send and receive SMS{without}"))
}

fn right(name: &str, what: &str, answer: Result<Answer, Failure>) -> Check {
    match answer {
        Ok(answer) if answer.status == 200 => Check::ok(name, format!("the credentials may read {what}")),
        Ok(answer) => refused(name, what, &answer),
        Err(failure) => Check::of(name, Err(failure)),
    }
}

fn refused(name: &str, what: &str, answer: &Answer) -> Check {
    let refusal = Refusal::of(answer);
    if !matches!(refusal.status, 401 | 403) {
        return Check::failed(name, format!("Twilio does not tell of {what} ({refusal})"))
            .fix("try again later");
    }
    Check::failed(name, format!("the credentials may not read {what} ({refusal})")).fix(format!(
        "{CONSOLE}, Account > API keys & tokens: give the key read and write of Messages, Calls and Incoming Phone \
         Numbers, or use a Standard key"
    ))
}

fn webhook_key(client: &Client) -> Check {
    const NAME: &str = "webhook_key";
    if client.config().webhook_keys.are_there() {
        return Check::ok(NAME, "there is a secret to verify webhooks with");
    }
    let seen = "only an API key is set, with which no webhook can be verified: all are refused";
    Check::failed(NAME, seen)
        .fix(format!("set `TWILIO_AUTH_TOKEN`, too: {CONSOLE}, first page, Account Info > Auth Token"))
}

fn text<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.json.as_ref()?.get(name)?.as_str()
}
