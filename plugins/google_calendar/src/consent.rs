//! The walk to Google and back: `start` sends a browser there, `callback` takes it back and keeps what it brings. A
//! `state` is good once, for ten minutes, in the browser that began; it lies in the database, so that any host can
//! finish what another began.

use std::sync::Arc;

use plugin_api::{prelude::*, requests::http::HttpRequest};
use reqwest::Url;

use crate::{
    account::Account,
    client::Deadline,
    oauth::{Google, NoTokens, Tokens},
    pages, random,
    settings::CALLBACK_PATH,
    store::{Claim, Consent},
    tokens::{Grant, unsealed},
};

const COOKIE: &str = "switchboard_calendar_consent";
/// The cookie goes nowhere else.
const COOKIE_PATH: &str = "/api/calendar/oauth";
const LIFETIME: Duration = Duration::from_secs(600);
/// Longer values come from nobody who was sent by us.
const LONGEST: usize = 2048;

/// What a browser brings back from Google.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Code { code: String, state: String },
    Error { code: String, state: Option<String> },
    Incomplete,
}

impl Answer {
    /// Reads the query. A parameter that comes twice counts as missing.
    pub fn read(query: &[(String, String)]) -> Self {
        let one = |name: &str| {
            let mut values = query.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
            let value = values.next().filter(|value| !value.is_empty() && value.len() <= LONGEST);
            value.filter(|_| values.next().is_none()).cloned()
        };
        match (one("error"), one("code"), one("state")) {
            (Some(code), _, state) => Self::Error { code, state },
            (None, Some(code), Some(state)) => Self::Code { code, state },
            _ => Self::Incomplete,
        }
    }
}

/// The value of our cookie, if it is one that we may have set.
pub fn cookie(request: &HttpRequest) -> Option<String> {
    let headers = request.headers.iter().filter(|(name, _)| name == "cookie");
    let pairs =
        headers.flat_map(|(_, value)| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut ours = pairs.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value);
    let fits = |value: &&str| {
        value.len() == 43 && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    ours.next().filter(fits).map(str::to_owned)
}

/// Sends the browser to Google.
pub async fn start(account: &Account, request: &HttpRequest) -> Result<HttpResponse, OperationError> {
    let google = match account.ready().await {
        Ok(google) => google,
        Err(failure) => return Ok(pages::trouble(503, &failure.message)),
    };
    let back_to = back_to(account, request)?;
    if !google.secrets.may_return_to(&back_to) {
        let why = google.secrets.how_to_return_to(&back_to);
        return Ok(pages::not_registered(&why, &google.secrets.redirect_uris));
    }
    let question = google.question(&account.config.scopes, &back_to);
    let browser = random::token()?;
    let consent = Consent {
        state: random::hash(&question.state),
        browser: random::hash(&browser),
        sealed: account.context.host().seal(question.verifier.expose()).await?.sealed,
        back_to: back_to.to_string(),
    };
    account.store.begin(&consent, LIFETIME).await?;
    let cookie = set_cookie(&browser, LIFETIME, &back_to);
    Ok(pages::guarded(HttpResponse::redirect(question.url)).header("set-cookie", cookie))
}

/// Takes the browser back.
pub async fn callback(
    account: &Arc<Account>,
    request: &HttpRequest,
    deadline: Deadline,
) -> Result<HttpResponse, OperationError> {
    let google = match account.ready().await {
        Ok(google) => google,
        // Everybody may come here: what is wrong inside is not theirs to read.
        Err(_) => {
            return Ok(pages::trouble(503, "The calendar cannot be connected now; its health says why"));
        }
    };
    let (code, state) = match Answer::read(&request.query()) {
        Answer::Code { code, state } => (code, state),
        Answer::Error { code, state } => return declined(account, request, &code, state).await,
        Answer::Incomplete => return Ok(pages::incomplete()),
    };
    let consent = match claim(account, request, &state).await? {
        Claim::Good(consent) => consent,
        Claim::Unknown => return Ok(pages::unknown()),
        Claim::OtherBrowser => return Ok(pages::other_browser()),
        Claim::Used => return Ok(pages::used()),
        Claim::Expired => return Ok(pages::expired()),
    };
    let back_to = Url::parse(&consent.back_to)
        .map_err(|_| OperationError::internal("the consent in the database cannot be read"))?;
    let page = finish(account, &google, &consent, &code, &back_to, deadline).await?;
    Ok(page.header("set-cookie", set_cookie("", Duration::ZERO, &back_to)))
}

/// Ends the consent: at Google, and here in any case. Answers whether Google knows.
pub async fn disconnect(account: &Account, deadline: Deadline) -> Result<bool, OperationError> {
    let revoked = match (account.google().await, account.tokens.to_revoke().await) {
        (Ok(google), Some(token)) => google.revoke(&token, deadline).await.is_ok(),
        _ => false,
    };
    account.tokens.forget().await?;
    account.tell(crate::errors::consent_missing().into());
    // It looks for a new consent from now on.
    let _ = account.context.host().verify().await;
    Ok(revoked)
}

async fn declined(
    account: &Account,
    request: &HttpRequest,
    code: &str,
    state: Option<String>,
) -> Result<HttpResponse, OperationError> {
    // It cannot come back with a code after that.
    if let Some(state) = state {
        claim(account, request, &state).await?;
    }
    Ok(match code {
        "access_denied" => pages::denied(),
        code => pages::google_refused(&code.chars().take(100).collect::<String>()),
    })
}

async fn claim(account: &Account, request: &HttpRequest, state: &str) -> Result<Claim, OperationError> {
    let browser = cookie(request).map(|cookie| random::hash(&cookie)).unwrap_or_default();
    account.store.claim(&random::hash(state), &browser).await
}

/// A code becomes a grant, if it covers everything.
async fn finish(
    account: &Arc<Account>,
    google: &Google,
    consent: &Consent,
    code: &str,
    back_to: &Url,
    deadline: Deadline,
) -> Result<HttpResponse, OperationError> {
    let verifier = account.context.host().open(&consent.sealed).await.map_err(unsealed)?;
    let tokens = match google.exchange(code, &Secret::new(verifier), back_to).await {
        Ok(tokens) => tokens,
        Err(NoTokens::InvalidGrant) => return Ok(pages::code_refused()),
        Err(NoTokens::Failed(failure)) => {
            let page = pages::trouble(502, &failure.message);
            account.tell(failure.into());
            return Ok(page);
        }
    };
    let missing = missing(&account.config.scopes, &tokens);
    if !missing.is_empty() {
        return Ok(pages::missing_scopes(&missing));
    }
    let Some(grant) = Grant::new(&tokens) else { return Ok(pages::not_lasting()) };
    account.tokens.put(grant).await?;
    let read = account.verify(deadline).await;
    // The host sees for itself, at once.
    account.context.host().verify().await?;
    Ok(match read {
        Ok(()) => pages::connected(),
        Err(failure) => pages::connected_but(&failure.message),
    })
}

/// What was asked for and not granted: a person can leave boxes unticked.
fn missing<'a>(wanted: &'a [String], tokens: &Tokens) -> Vec<&'a str> {
    let Some(granted) = &tokens.scopes else { return Vec::new() };
    wanted.iter().filter(|scope| !granted.contains(scope)).map(String::as_str).collect()
}

/// The configured address, or that by which the browser knows this host.
fn back_to(account: &Account, request: &HttpRequest) -> Result<Url, OperationError> {
    if let Some(uri) = &account.config.redirect_uri {
        return Ok(uri.clone());
    }
    let url = Url::parse(&request.url).and_then(|url| url.join(CALLBACK_PATH));
    url.map_err(|_| OperationError::invalid("the address of this request cannot be read"))
}

fn set_cookie(value: &str, lifetime: Duration, back_to: &Url) -> String {
    let secure = if back_to.scheme() == "https" { "; Secure" } else { "" };
    let seconds = lifetime.as_secs();
    format!("{COOKIE}={value}; Path={COOKIE_PATH}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}
