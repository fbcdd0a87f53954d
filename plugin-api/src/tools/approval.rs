//! The arguments of a tool call -> what a person reads who must agree to it: the decisive ones first and whole, then
//! everything else. Pure.

use serde_json::{Map, Value};

use crate::visible::visible;

/// The decisive arguments of a call take so many characters at most, as they are shown: they fit into an SMS beside a
/// link.
pub const LONGEST_DECISIVE: usize = 600;

/// One argument as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// Its value as JSON, whole, with everything in it made visible.
    pub value: String,
}

impl Shown {
    fn of(name: &str, value: &Value) -> Self {
        Self { name: visible(name), value: visible(&value.to_string()) }
    }

    /// Both, in a line.
    pub fn line(&self) -> String {
        format!("{}: {}", self.name, self.value)
    }
}

/// The arguments that decide, in the order in which the tool names them; those that are left out decide, too, and come
/// last in one line.
pub fn decisive(names: &[String], arguments: &Value) -> Vec<Shown> {
    let (mut shown, mut left_out) = (Vec::new(), Vec::new());
    for name in names {
        match name
            .split('.')
            .try_fold(arguments, |of, member| of.get(member))
            .filter(|value| !value.is_null())
        {
            Some(value) => shown.push(Shown::of(name, value)),
            None => left_out.push(visible(name)),
        }
    }
    if !left_out.is_empty() {
        shown.push(Shown { name: "left out".to_owned(), value: left_out.join(", ") });
    }
    shown
}

/// All others, and those of which a member decides.
pub fn others(names: &[String], arguments: &Value) -> Vec<Shown> {
    let none = Map::new();
    let arguments = arguments.as_object().unwrap_or(&none).iter();
    let others = arguments.filter(|(name, _)| !names.contains(name));
    others.map(|(name, value)| Shown::of(name, value)).collect()
}

/// Whether a person can be shown what decides.
///
/// # Errors
/// It is too long, in words for the model.
pub fn check(names: &[String], arguments: &Value) -> Result<(), String> {
    let length: usize = decisive(names, arguments).iter().map(|shown| shown.line().chars().count() + 1).sum();
    if length <= LONGEST_DECISIVE {
        return Ok(());
    }
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    Err(format!(
        "a person must agree to this call and read {} whole, which take {length} characters: at most {LONGEST_DECISIVE} \
         can be shown; make them shorter, or make several calls of it",
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_decides_stands_first_and_in_the_order_of_the_tool() {
        let arguments = json!({ "mail": { "text": "x", "to": ["bob"] }, "subject": "Pay\u{202e}", "amount": 3, "at": null });
        let names = names(&["mail.to", "subject", "amount", "mail.cc", "at"]);
        let lines: Vec<_> = decisive(&names, &arguments).iter().map(Shown::line).collect();
        let expected =
            [r#"mail.to: ["bob"]"#, r#"subject: "Pay⟨U+202E⟩""#, "amount: 3", "left out: mail.cc, at"];
        assert_eq!(lines, expected);
        let others: Vec<_> = others(&names, &arguments).iter().map(Shown::line).collect();
        assert_eq!(others, [r#"mail: {"text":"x","to":["bob"]}"#]);
    }

    #[test]
    fn what_is_too_long_to_be_read_is_refused_in_words_for_the_model() {
        let refused = check(&names(&["to", "subject"]), &json!({ "to": "b", "subject": "x".repeat(600) }));
        assert_eq!(
            refused.unwrap_err(),
            "a person must agree to this call and read `to`, `subject` whole, which take 620 characters: at most 600 can be \
             shown; make them shorter, or make several calls of it"
        );
        assert_eq!(check(&names(&["to"]), &json!({ "to": "b", "text": "x".repeat(100_000) })), Ok(()));
    }

    proptest! {
        #[test]
        fn every_argument_is_shown_whole_and_once(
            arguments in prop::collection::btree_map("[a-d]{1,2}", "[ -~]{0,40}", 0..8),
            decides in prop::collection::vec("[a-d]{1,2}", 0..4),
        ) {
            let value = json!(arguments);
            let all = [decisive(&decides, &value), others(&decides, &value)].concat();
            for (name, text) in &arguments {
                let shown = Shown { name: name.clone(), value: json!(text).to_string() };
                let times = all.iter().filter(|found| **found == shown).count();
                prop_assert_eq!(times, decides.iter().filter(|decides| *decides == name).count().max(1));
            }
        }

        #[test]
        fn what_passes_can_be_shown(text in any::<String>(), to in any::<String>()) {
            let (decides, value) = (names(&["to", "text"]), json!({ "to": to, "text": text }));
            let length: usize = decisive(&decides, &value).iter().map(|shown| shown.line().chars().count() + 1).sum();
            prop_assert_eq!(check(&decides, &value).is_ok(), length <= LONGEST_DECISIVE);
        }
    }
}
