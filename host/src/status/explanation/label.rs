//! A reason's code, and the settings that it blames, become the words of its fix. Each has to mend what it stands beside:
//! the table in the tests goes through all of them.

use plugin_api::{error::ReasonCode, manifest::Kind};

use crate::status::spec::PluginSpec;

/// What a person does about a failure with this code; `settings` are those that it blames.
pub(super) fn of(code: ReasonCode, spec: &PluginSpec, settings: &[String]) -> String {
    let it = title(&spec.name);
    // A service has no vendor: what it may not do, it may not do with what it requires.
    let vendor = match spec.kind {
        Some(Kind::Service) => "of what it requires".to_owned(),
        _ => format!("of {it} at its vendor"),
    };
    let all = settings.join(", ");
    let blames = !settings.is_empty();
    match code {
        ReasonCode::Timeout | ReasonCode::Unavailable if blames => {
            format!("Wait, or correct {all}; verify it to try again now")
        }
        ReasonCode::Timeout | ReasonCode::Unavailable => "Wait, or verify it now".to_owned(),
        ReasonCode::RateLimited => "Wait: it tries again by itself".to_owned(),
        ReasonCode::Dns if blames => format!("Correct {all}, or wait until the name resolves"),
        ReasonCode::Dns => {
            "Check the name and this machine's DNS, or wait until the name resolves".to_owned()
        }
        ReasonCode::Refused if blames => format!("Start the server there, or correct {all}"),
        ReasonCode::Refused => "Start the server there, or correct its address".to_owned(),
        ReasonCode::Tls if blames => format!("Correct {all}, or the certificate of the server"),
        ReasonCode::Tls => {
            "Check the certificate of the server and the certificate authorities of this machine".to_owned()
        }
        ReasonCode::AuthInvalid if !blames => "Correct its credentials".to_owned(),
        ReasonCode::AuthInvalid | ReasonCode::ConfigInvalid => correct(settings),
        ReasonCode::Forbidden => format!("Grant the missing permission in the account {vendor}"),
        ReasonCode::Account => format!("Reactivate the account {vendor}"),
        ReasonCode::Quota => format!("Raise the quota of the account {vendor}, or wait until it renews"),
        ReasonCode::ConsentRequired => format!("Connect {it}"),
        ReasonCode::AuthExpired => format!("Connect {it} again"),
        ReasonCode::Protocol if blames => {
            format!("Check that {all} leads to the right server, then verify it")
        }
        ReasonCode::Protocol => "Check that its address leads to the right server, then verify it".to_owned(),
        ReasonCode::Panicked => {
            format!("Report the panic to the author of {it}, or upgrade it; verify it to try again")
        }
        ReasonCode::Crashed => {
            format!("Report the crash to the author of {it}, or upgrade it; verify it to try again")
        }
        ReasonCode::Internal => {
            format!("Report this to the author of {it}, or upgrade it; verify it to try again")
        }
        ReasonCode::ConfigMissing if blames => format!("Set {all}"),
        ReasonCode::ConfigMissing => "Set its missing settings".to_owned(),
        ReasonCode::LoadFailed => "Rebuild or upgrade the library, then restart the host".to_owned(),
        ReasonCode::DependencyUnhealthy => "See what it requires".to_owned(),
    }
}

/// The same for what fails in use.
pub(super) fn in_use(code: ReasonCode, spec: &PluginSpec, settings: &[String]) -> String {
    let it = title(&spec.name);
    match code {
        ReasonCode::Panicked | ReasonCode::Internal | ReasonCode::Crashed => {
            format!("Read the log of {it}, and report this to its author or upgrade it")
        }
        ReasonCode::Protocol => "Check that its address leads to the right server".to_owned(),
        ReasonCode::Timeout | ReasonCode::Unavailable | ReasonCode::RateLimited if settings.is_empty() => {
            format!("Wait until what it uses recovers; if it lasts, read the log of {it}")
        }
        _ => of(code, spec, settings),
    }
}

pub(super) fn correct(settings: &[String]) -> String {
    if settings.is_empty() {
        "Correct its settings".to_owned()
    } else {
        format!("Correct {}", settings.join(", "))
    }
}

/// `google_calendar` as a person writes it: `Google Calendar`.
fn title(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect::<String>()
    };
    name.split('_').map(word).collect::<Vec<_>>().join(" ")
}
