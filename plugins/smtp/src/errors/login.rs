//! A login that is missing, refused or not offered -> a `Failure` with the setting to mend. Providers refuse a right
//! password too, and say by an enhanced code what they want instead.

use plugin_api::{prelude::*, tracing};

use super::reply::{Hint, Reply};
use crate::settings::{self, Config, Proof, TlsMode};

/// How to enable what Microsoft switches off.
const SMTP_AUTH: &str = "https://aka.ms/smtp_auth_disabled";
const GOOGLE_APP_PASSWORD: &str = "https://support.google.com/accounts/answer/185833";
const GOOGLE_UNLOCK: &str = "https://accounts.google.com/DisplayUnlockCaptcha";

/// The server answers that the login is missing, wrong, or of the wrong kind.
pub fn refused(reply: &Reply, config: &Config) -> Failure {
    tracing::debug!(%reply, words = reply.lines.join(" "), "the mail server refuses the login");
    let server = config.address();
    let Some(credentials) = &config.credentials else {
        return Failure::auth_invalid(format!(
            "`{server}` wants a login ({reply}): set `SMTP_USERNAME` and `SMTP_PASSWORD`"
        ))
        .setting("username")
        .advise(FixAction::CorrectSetting, "Set `SMTP_USERNAME` and `SMTP_PASSWORD`");
    };
    if reply.hint() == Some(Hint::LoginSwitchedOff) {
        return Failure::auth_invalid(format!(
            "`{server}` lets no program log in for this mailbox ({reply}): SMTP AUTH is switched off for it, or for the \
             whole organisation"
        ))
        .setting("username")
        .advise(FixAction::SeeVendor, "Enable \"Authenticated SMTP\" for the mailbox in Microsoft 365's admin center")
        .href(SMTP_AUTH);
    }
    if reply.code == 538 {
        return Failure::auth_invalid(format!(
            "`{server}` takes a login only over an encrypted connection ({reply}): set `SMTP_TLS`"
        ))
        .setting("tls");
    }
    match &credentials.proof {
        Proof::Password(_) => password(reply, config),
        proof => token(reply, &server, proof),
    }
}

fn password(reply: &Reply, config: &Config) -> Failure {
    let server = config.address();
    let failure = |why: &str| Failure::auth_invalid(format!("`{server}` {why}")).setting("password");
    match (reply.code, reply.enhanced()) {
        (_, "5.7.30" | "5.7.139") if reply.hint() != Some(Hint::WrongPassword) => {
            wants_oauth(format!("`{server}` takes no password any more ({reply}): it wants OAuth 2"))
        }
        (534, "5.7.9") => {
            let failure = failure(&format!("wants a password made for one application ({reply})")).advise(
                FixAction::CorrectSetting,
                "Make an app password at the provider, and set it as `SMTP_PASSWORD`",
            );
            if settings::is_google(&config.server) { failure.href(GOOGLE_APP_PASSWORD) } else { failure }
        }
        (534, "5.7.14") => failure(&format!("wants a person to log in with a browser first ({reply})"))
            .advise(FixAction::SeeVendor, "Log in to the account with a browser, and allow the access there")
            .href(GOOGLE_UNLOCK),
        (534, _) => failure(&format!(
            "refuses this kind of login ({reply}): many providers want a password made for one application"
        )),
        _ => failure(&format!("refuses the user name or the password ({reply})")),
    }
}

fn wants_oauth(message: String) -> Failure {
    Failure::auth_invalid(message).setting("oauth_refresh_token").advise(
        FixAction::CorrectSetting,
        "Unset `SMTP_PASSWORD`, and set `SMTP_OAUTH_REFRESH_TOKEN` with `SMTP_OAUTH_CLIENT_ID`",
    )
}

fn token(reply: &Reply, server: &str, proof: &Proof) -> Failure {
    let setting = if matches!(proof, Proof::Token(_)) { "oauth_token" } else { "oauth_refresh_token" };
    Failure::auth_invalid(format!(
        "`{server}` refuses the access token ({reply}): it has ended, is of another user than `SMTP_USERNAME`, or was not \
         granted for SMTP"
    ))
    .setting(setting)
    .advise(
        FixAction::CorrectSetting,
        "Consent again as `SMTP_USERNAME`, with the scope `https://mail.google.com/` at Google or \
         `https://outlook.office.com/SMTP.Send` at Microsoft",
    )
}

/// The server offers these ways to log in alone, and none of them fits what the settings hold.
pub fn not_offered(mechanisms: &[String], config: &Config) -> Failure {
    let server = config.address();
    let is_password =
        config.credentials.as_ref().is_none_or(|known| matches!(known.proof, Proof::Password(_)));
    if !is_password {
        return Failure::config_invalid(format!(
            "`{server}` offers no login with an access token (XOAUTH2): set `SMTP_PASSWORD` instead of it"
        ))
        .setting("password");
    }
    if mechanisms.iter().any(|offered| offered == "XOAUTH2") {
        return wants_oauth(format!(
            "`{server}` offers no login with a password (PLAIN or LOGIN): it wants OAuth 2"
        ));
    }
    match config.tls {
        TlsMode::None => Failure::config_invalid(format!(
            "`{server}` offers no login with a password over an unencrypted connection: set `SMTP_TLS`, or unset \
             `SMTP_USERNAME` and `SMTP_PASSWORD`"
        ))
        .setting("tls"),
        TlsMode::Implicit | TlsMode::Starttls => Failure::config_invalid(format!(
            "`{server}` offers no login with a password (PLAIN or LOGIN): unset `SMTP_USERNAME` and `SMTP_PASSWORD` \
             if it wants none"
        ))
        .setting("username"),
    }
}
