//! Why a plugin is not connected becomes its reason, the fix to offer, and the settings to look at.

use plugin_api::error::{Failure, FixAction, Policy, ReasonCode};

use super::{
    model::{Fix, Reason, Settings},
    spec::PluginSpec,
};

/// What a reader is told beside the status; empty when there is nothing to explain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Explanation {
    pub(super) reason: Option<Reason>,
    pub(super) fix: Option<Fix>,
    pub(super) settings: Settings,
}

impl Explanation {
    pub(super) fn held(causes: &[String]) -> Self {
        let message = format!("cannot start before {}", listed(causes));
        let label = format!("See {}", causes.join(", "));
        Self::new(ReasonCode::DependencyUnhealthy, message, label, None)
    }

    pub(super) fn not_configured(missing: Vec<String>, message: Option<String>) -> Self {
        let be = if missing.len() == 1 { "is" } else { "are" };
        let message = message.unwrap_or_else(|| format!("{} {be} not set", listed(&missing)));
        let label = format!("Set {}", missing.join(", "));
        let explanation = Self::new(ReasonCode::ConfigMissing, message, label, None);
        Self { settings: Settings { missing, invalid: Vec::new() }, ..explanation }
    }

    pub(super) fn config_invalid(invalid: Vec<String>, message: String) -> Self {
        let label = correct(&invalid);
        let explanation = Self::new(ReasonCode::ConfigInvalid, message, label, None);
        Self { settings: Settings { missing: Vec::new(), invalid }, ..explanation }
    }

    pub(super) fn load_failed(message: String) -> Self {
        let label = "Rebuild or upgrade the library".to_owned();
        Self::new(ReasonCode::LoadFailed, message, label, None)
    }

    /// What the plugin itself, or the host on its behalf, found wrong.
    pub(super) fn failure(spec: &PluginSpec, failure: Failure) -> Self {
        let invalid: Vec<_> = failure.setting.iter().map(|key| shown_setting(spec, key)).collect();
        let label = match failure.code.fix() {
            FixAction::SetVariables | FixAction::CorrectSetting => correct(&invalid),
            FixAction::Authorize => format!("Connect {}", title(&spec.name)),
            FixAction::SeeVendor => format!("See the account of {} at its vendor", title(&spec.name)),
            FixAction::Retry => "Wait, or verify it now".to_owned(),
            FixAction::Upgrade => "Rebuild or upgrade the library".to_owned(),
            FixAction::SeeDependency => "See what it depends on".to_owned(),
        };
        let explanation = Self::new(failure.code, failure.message, label, failure.href);
        Self { settings: Settings { missing: Vec::new(), invalid }, ..explanation }
    }

    fn new(code: ReasonCode, message: String, label: String, href: Option<String>) -> Self {
        let retryable = matches!(code.policy(), Policy::NotReady | Policy::Dependency);
        Self {
            reason: Some(Reason { code, message, retryable }),
            fix: Some(Fix { action: code.fix(), label, href }),
            settings: Settings::default(),
        }
    }
}

/// The environment variable that a setting may come from, else its place in plugins.toml.
fn shown_setting(spec: &PluginSpec, key: &str) -> String {
    let variable = spec.variables.get(key).cloned();
    variable.unwrap_or_else(|| format!("plugins.{}.settings.{key}", spec.name))
}

fn correct(settings: &[String]) -> String {
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

/// `` `a`, `b` and `c` ``.
fn listed(names: &[String]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(explanation: Explanation, expected: Expect) {
        let (reason, fix) = (explanation.reason.unwrap(), explanation.fix.unwrap());
        let Settings { missing, invalid } = explanation.settings;
        expected.assert_eq(&format!(
            "{}: {}\nretryable {}, missing {missing:?}, invalid {invalid:?}\n{:?}: {} -> {:?}",
            reason.code, reason.message, reason.retryable, fix.action, fix.label, fix.href
        ));
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn missing_settings_are_named() {
        check(
            Explanation::not_configured(names(&["SMTP_SERVER", "SMTP_FROM_EMAIL"]), None),
            expect![[r#"
                config_missing: `SMTP_SERVER` and `SMTP_FROM_EMAIL` are not set
                retryable false, missing ["SMTP_SERVER", "SMTP_FROM_EMAIL"], invalid []
                SetVariables: Set SMTP_SERVER, SMTP_FROM_EMAIL -> None"#]],
        );
    }

    #[test]
    fn what_holds_it_is_named() {
        check(
            Explanation::held(&names(&["a", "b", "c"])),
            expect![[r#"
                dependency_unhealthy: cannot start before `a`, `b` and `c`
                retryable true, missing [], invalid []
                SeeDependency: See a, b, c -> None"#]],
        );
    }

    #[test]
    fn a_wrong_setting_is_named_by_its_variable() {
        let mut spec = PluginSpec::new("smtp");
        spec.variables.insert("password".to_owned(), "SMTP_PASSWORD".to_owned());
        let failure = Failure::auth_invalid("the server rejects the login");
        check(
            Explanation::failure(&spec, failure.clone().setting("password")),
            expect![[r#"
                auth_invalid: the server rejects the login
                retryable false, missing [], invalid ["SMTP_PASSWORD"]
                CorrectSetting: Correct SMTP_PASSWORD -> None"#]],
        );
        check(
            Explanation::failure(&spec, failure.setting("user")),
            expect![[r#"
                auth_invalid: the server rejects the login
                retryable false, missing [], invalid ["plugins.smtp.settings.user"]
                CorrectSetting: Correct plugins.smtp.settings.user -> None"#]],
        );
    }

    #[test]
    fn consent_carries_its_link() {
        check(
            Explanation::failure(
                &PluginSpec::new("google_calendar"),
                Failure::consent_required("nobody has authorised it yet").href("/api/calendar/oauth/start"),
            ),
            expect![[r#"
                consent_required: nobody has authorised it yet
                retryable false, missing [], invalid []
                Authorize: Connect Google Calendar -> Some("/api/calendar/oauth/start")"#]],
        );
    }
}
