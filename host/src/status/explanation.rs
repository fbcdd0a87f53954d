//! Why a plugin is not connected becomes its reason, the fix to offer, and the settings to look at.

use plugin_api::error::{Failure, FixHint, Policy, ReasonCode};

use super::{
    model::{Fix, Reason, Settings},
    spec::PluginSpec,
};

mod label;

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
        let label = label::correct(&invalid);
        let explanation = Self::new(ReasonCode::ConfigInvalid, message, label, None);
        Self { settings: Settings { missing: Vec::new(), invalid }, ..explanation }
    }

    /// The loader knows best what brings the library in.
    pub(super) fn load_failed(message: String, fix: String) -> Self {
        Self::new(ReasonCode::LoadFailed, message, fix, None)
    }

    /// What the plugin itself, or the host on its behalf, found wrong.
    pub(super) fn failure(spec: &PluginSpec, failure: Failure) -> Self {
        let invalid: Vec<_> = failure.setting.iter().map(|key| shown_setting(spec, key)).collect();
        let label = label::of(failure.code, spec, &invalid);
        let mut explanation = Self::new(failure.code, failure.message, label, failure.href);
        if let (Some(advice), Some(fix)) = (failure.advice, &mut explanation.fix) {
            (fix.action, fix.label) = (advice.action, advice.label);
        }
        Self { settings: Settings { missing: Vec::new(), invalid }, ..explanation }
    }

    /// What mends something that fails in use. Verifying does not: the probe may succeed all the while.
    pub(super) fn fix_in_use(spec: &PluginSpec, code: ReasonCode, hint: Option<&FixHint>) -> Fix {
        let hint = hint.cloned().unwrap_or_default();
        let settings: Vec<_> = hint.setting.iter().map(|key| shown_setting(spec, key)).collect();
        let label = hint.label.unwrap_or_else(|| label::in_use(code, spec, &settings));
        Fix { action: code.fix(), label, href: hint.href }
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
mod tests;
