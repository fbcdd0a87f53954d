//! A plugin's messages to people -> a line each, for the table in its tests that goes through all that it can tell. A
//! `-` or nothing stands where the host words the advice by the code.

use crate::{
    error::{Failure, FixHint, OperationError},
    requests::host::Trouble,
};

/// `code [setting] -> href: message => advice`.
pub fn failure(failure: &Failure) -> String {
    let Failure { code, message, setting, href, advice, .. } = failure;
    let label = advice.as_ref().map(|advice| advice.label.clone());
    format!("{code}{}", told(message, &FixHint { label, setting: setting.clone(), href: href.clone() }))
}

/// `kind (code of the trouble) [setting] -> href: message => advice`.
pub fn error(error: &OperationError) -> String {
    let trouble = error.trouble.map(|code| format!(" ({code})")).unwrap_or_default();
    let fix = error.fix.as_deref().cloned().unwrap_or_default();
    format!("{}{trouble}{}", error.kind.as_str(), told(&error.message, &fix))
}

/// `key: code [setting] -> href: message => advice`.
pub fn trouble(trouble: &Trouble) -> String {
    let code = trouble.code.map_or("-", |code| code.as_str());
    let fix = trouble.fix.clone().unwrap_or_default();
    format!("{}: {code}{}", trouble.key, told(trouble.message.as_deref().unwrap_or_default(), &fix))
}

/// A line for each of them.
pub fn table<T>(told: impl IntoIterator<Item = T>, line: impl Fn(&T) -> String) -> String {
    told.into_iter().map(|told| line(&told)).collect::<Vec<_>>().join("\n")
}

fn told(message: &str, FixHint { label, setting, href }: &FixHint) -> String {
    let setting = setting.as_deref().unwrap_or("-");
    let href = href.as_ref().map(|href| format!(" -> {href}")).unwrap_or_default();
    let label = label.as_ref().map(|label| format!(" => {label}")).unwrap_or_default();
    format!(" [{setting}]{href}: {message}{label}")
}
