//! Consent, its scopes, a read of the calendar and a question for free time -> a check each, with the place in Google's
//! console where it is mended. Changes nothing.

use std::sync::Arc;

use plugin_api::{
    jiff::{SignedDuration, Timestamp},
    prelude::*,
    requests::{
        calendar::FreeBusy,
        doctor::{Check, Examination},
    },
};

use crate::{
    account::Account,
    agenda::Agenda,
    client::Deadline,
    settings::{CALLBACK_PATH, START_PATH},
};

const CONSOLE: &str = "in Google's console, APIs & Services";

/// Looks at all of it.
pub async fn examine(account: &Arc<Account>, agenda: &Agenda, deadline: Deadline) -> Examination {
    let mut checks = vec![client(account).await];
    let verified = account.verify(deadline).await;
    let is_read = verified.is_ok();
    checks.push(calendar(account, verified));
    if is_read {
        checks.push(scopes(account).await);
        checks.push(free_busy(agenda, deadline).await);
    }
    Examination { checks, clock: account.clock() }
}

async fn client(account: &Account) -> Check {
    match account.ready().await {
        Ok(google) => Check::ok("oauth_client", format!("`{}`", google.secrets.client_id)),
        Err(failure) if failure.setting.is_some() => Check::of("oauth_client", Err(failure)).fix(format!(
            "{CONSOLE} > Credentials: download the JSON of an OAuth client of type Web application into the file of \
             `GOOGLE_OAUTH_CLIENT_SECRETS_FILE`, with `{CALLBACK_PATH}` of this host among its redirect URIs"
        )),
        Err(failure) => Check::of("oauth_client", Err(failure)),
    }
}

fn calendar(account: &Account, verified: Result<(), Failure>) -> Check {
    const NAME: &str = "calendar";
    let failure = match verified {
        Ok(()) => return Check::ok(NAME, format!("`{}` can be read", account.config.calendar)),
        Err(failure) => failure,
    };
    let code = failure.code;
    let check = Check::of(NAME, Err(failure));
    match code {
        ReasonCode::ConsentRequired | ReasonCode::AuthExpired => {
            check.fix(format!("follow {START_PATH} of this host in a browser, and agree to everything"))
        }
        ReasonCode::Forbidden => check.fix(format!(
            "{CONSOLE} > Enabled APIs: enable the Google Calendar API; on the consent screen, publish the app or add \
             the account as a test user"
        )),
        _ => check,
    }
}

async fn scopes(account: &Account) -> Check {
    const NAME: &str = "scopes";
    let granted = match account.tokens.scopes().await {
        Ok(Some(granted)) => granted,
        Ok(None) => return Check::skipped(NAME, "Google did not say what the consent covers"),
        Err(failure) => return Check::of(NAME, Err(failure)),
    };
    let wanted = &account.config.scopes;
    let missing: Vec<&str> =
        wanted.iter().filter(|scope| !granted.contains(scope)).map(String::as_str).collect();
    if missing.is_empty() {
        return Check::ok(NAME, format!("the consent covers all {} that are asked for", wanted.len()));
    }
    Check::failed(NAME, format!("the consent does not cover {}", missing.join(", "))).fix(format!(
        "{CONSOLE} > OAuth consent screen > Data access: add them; then follow {START_PATH} once more, and leave every \
         box ticked"
    ))
}

/// It needs a scope of its own, which a person may have left out.
async fn free_busy(agenda: &Agenda, deadline: Deadline) -> Check {
    let now = Timestamp::now();
    let later = now.saturating_add(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MAX);
    let question = FreeBusy { from: now.to_string(), to: later.to_string(), ..FreeBusy::default() };
    let answer = agenda.free_busy(question, deadline).await;
    Check::of_call("free_busy", answer.map(|_| "free time can be asked for".to_owned()))
}
