//! The account and its number as Twilio tells of them -> connected, or why not: suspended, closed, wrong token and a
//! number of somebody else are told apart.

use plugin_api::{prelude::*, requests::twilio::RestRequest, serde_json::Value};

use crate::{
    client::{Answer, Client},
    errors::refusal::{Refusal, inactive_account, wrong_credentials},
    settings::Config,
};

/// Reads the account, then the number.
pub async fn account_and_number(client: &Client) -> Result<(), Failure> {
    let config = client.config();
    let account = exchange(client, RestRequest::get("")).await?;
    judge_account(&account, config)?;
    let number =
        RestRequest::get("IncomingPhoneNumbers.json").query("PhoneNumber", config.phone_number.as_str());
    judge_numbers(&exchange(client, number).await?, config)
}

async fn exchange(client: &Client, request: RestRequest) -> Result<Answer, Failure> {
    client.exchange(&request, client.config().timeout).await.map_err(|broken| broken.failure().clone())
}

/// An API key may be forbidden to read the account; then the number alone decides.
fn judge_account(answer: &Answer, config: &Config) -> Result<(), Failure> {
    if answer.status != 200 {
        let refusal = Refusal::of(answer);
        let may_be_a_limited_key = config.credentials.is_api_key() && matches!(answer.status, 401 | 403);
        if may_be_a_limited_key && !refusal.is_about_account() {
            return Ok(());
        }
        return Err(unverified(refusal, config));
    }
    match member(answer, "status").and_then(Value::as_str) {
        Some("active") => Ok(()),
        Some(status @ ("suspended" | "closed")) => Err(inactive_account(&format!("it is {status}"))),
        _ => Err(no_twilio(config)),
    }
}

fn judge_numbers(answer: &Answer, config: &Config) -> Result<(), Failure> {
    if answer.status != 200 {
        return Err(unverified(Refusal::of(answer), config));
    }
    let numbers = member(answer, "incoming_phone_numbers")
        .and_then(Value::as_array)
        .ok_or_else(|| no_twilio(config))?;
    if numbers.iter().any(|number| number["phone_number"] == config.phone_number.as_str()) {
        return Ok(());
    }
    Err(no_number(config))
}

pub fn no_number(config: &Config) -> Failure {
    Failure::config_invalid(format!(
        "the account has no number `{}`: Twilio's console lists those it has under \"Active numbers\"",
        config.phone_number
    ))
    .setting("phone_number")
}

pub fn unverified(refusal: Refusal, config: &Config) -> Failure {
    if refusal.is_about_account() {
        return inactive_account(&format!("Twilio says that it is not active ({refusal})"));
    }
    match refusal.status {
        401 => wrong_credentials(refusal, config),
        403 => Failure::forbidden(format!(
            "the credentials are good, but may not read account and numbers ({refusal})"
        ))
        .setting(config.credentials.setting),
        404 => Failure::config_invalid(format!(
            "Twilio knows no account `{}`, or the credentials belong to another one ({refusal})",
            config.account_sid
        ))
        .setting("account_sid"),
        429 => {
            let failure = Failure::rate_limited(format!("Twilio asks to slow down ({refusal})"));
            refusal.retry_after.map_or(failure.clone(), |wait| failure.retry_after(wait))
        }
        500.. => Failure::unavailable(format!("Twilio does not serve at the moment ({refusal})")),
        _ => no_twilio(config),
    }
}

fn no_twilio(config: &Config) -> Failure {
    Failure::protocol(format!(
        "`{}` does not answer as Twilio does: check `TWILIO_API_BASE_URL`",
        config.address()
    ))
    .setting("api_base_url")
}

fn member<'a>(answer: &'a Answer, name: &str) -> Option<&'a Value> {
    answer.json.as_ref().and_then(|json| json.get(name))
}
