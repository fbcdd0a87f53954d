//! No access token -> a `Failure` that says which setting is at fault, or that the provider does not answer.

use plugin_api::prelude::*;

/// The provider does not honour the refresh token any more.
pub fn ended(host: &str) -> Failure {
    Failure::auth_invalid(format!(
        "`{host}` does not honour the refresh token any more: it has ended, or the consent was withdrawn"
    ))
    .setting("oauth_refresh_token")
    .advise(
        FixAction::CorrectSetting,
        "Consent again as `SMTP_USERNAME`, and set `SMTP_OAUTH_REFRESH_TOKEN` to the new refresh token",
    )
}

/// The provider does not know the client.
pub fn unknown_client(host: &str) -> Failure {
    Failure::auth_invalid(format!("`{host}` does not know the OAuth client, or its secret is wrong"))
        .setting("oauth_client_id")
        .advise(FixAction::CorrectSetting, "Correct `SMTP_OAUTH_CLIENT_ID` and `SMTP_OAUTH_CLIENT_SECRET`")
}

/// The provider gives no token, for a reason of its own.
pub fn refused(host: &str, code: &str) -> Failure {
    // A person sees it: a word, and nothing else.
    let code: String =
        code.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '_').take(60).collect();
    Failure::forbidden(format!("`{host}` gives no access token: `{code}`"))
        .advise(FixAction::SeeVendor, format!("Check the OAuth client and its permissions at `{host}`"))
}

/// The provider cannot serve now.
pub fn outage(host: &str, answer: &str) -> Failure {
    Failure::unavailable(format!("`{host}` gives no access token at the moment: it answers `{answer}`"))
}

/// The provider is asked too often.
pub fn slow_down(host: &str) -> Failure {
    Failure::rate_limited(format!("`{host}` gives no access token at the moment: it asks to slow down"))
}

/// The provider does not answer.
pub fn out_of_reach(host: &str, is_timeout: bool) -> Failure {
    match is_timeout {
        true => Failure::timeout(format!("`{host}` gave no access token in time")),
        false => Failure::unavailable(format!("`{host}` cannot be reached for an access token")),
    }
}

/// The host that answers is no token endpoint.
pub fn no_endpoint(host: &str) -> Failure {
    Failure::protocol(format!("`{host}` does not answer as a token endpoint: check `SMTP_OAUTH_TOKEN_URL`"))
        .setting("oauth_token_url")
}
