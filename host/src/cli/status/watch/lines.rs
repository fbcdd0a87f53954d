//! What the host tells becomes lines for who has no terminal: each change of a status as it was told, and of each picture
//! what no change told, such as what a plugin is blocked by.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::{super::detail, overall, plugins};

/// What was shown.
#[derive(Default)]
pub(super) struct Lines {
    overall: Option<String>,
    plugins: BTreeMap<String, Known>,
}

/// What was shown of a plugin.
#[derive(Default)]
struct Known {
    status: String,
    why: Option<String>,
    /// What is told beside the status: a word for each, which is said again when it ends.
    marks: BTreeMap<&'static str, String>,
}

impl Lines {
    /// One line for the host if it changed, and one for each plugin that did.
    pub(super) fn of_picture(&mut self, connections: &Value) -> Vec<String> {
        let mut lines: Vec<String> = self.whole(overall(connections)).into_iter().collect();
        let mut before = std::mem::take(&mut self.plugins);
        for plugin in plugins(connections) {
            let name = text(plugin, "name");
            let (was, is) = (before.remove(name), Known::of(plugin));
            lines.extend(is.status_line(name, was.as_ref()));
            lines.extend(is.mark_lines(name, was.as_ref()));
            self.plugins.insert(name.to_owned(), is);
        }
        lines.extend(before.keys().map(|name| format!("{name}: gone")));
        at(text(connections, "checked_at"), lines)
    }

    /// A change of a plugin's status, and of the host if there is one.
    pub(super) fn of_change(&mut self, change: &Value) -> Vec<String> {
        let mut lines: Vec<String> = self.whole(text(change, "overall")).into_iter().collect();
        let name = text(change, "name");
        let known = self.plugins.entry(name.to_owned()).or_default();
        // Not everybody is told where from, and why.
        let from = change.get("from").and_then(Value::as_str).unwrap_or(&known.status).to_owned();
        known.status = text(change, "status").to_owned();
        known.why = change.get("message").and_then(Value::as_str).map(str::to_owned);
        lines.push(arrow(name, &from, &known.told()));
        at(text(change, "since"), lines)
    }

    fn whole(&mut self, overall: &str) -> Option<String> {
        let is_news = self.overall.as_deref() != Some(overall);
        self.overall = Some(overall.to_owned());
        is_news.then(|| format!("the host is {overall}"))
    }
}

impl Known {
    fn of(plugin: &Value) -> Self {
        let reason =
            |key: &str| plugin.get("reason").and_then(|reason| reason.get(key)).and_then(Value::as_str);
        let blocked = detail::blocked(plugin).map(|told| ("blocked", told));
        Self {
            status: text(plugin, "status").to_owned(),
            why: reason("message").map(str::to_owned),
            marks: blocked.into_iter().chain(detail::marks(plugin)).collect(),
        }
    }

    /// The status, and why.
    fn told(&self) -> String {
        let Self { status, why, .. } = self;
        why.as_ref().map_or_else(|| status.clone(), |why| format!("{status} ({why})"))
    }

    fn status_line(&self, name: &str, was: Option<&Self>) -> Option<String> {
        match was {
            Some(was) if (&was.status, &was.why) == (&self.status, &self.why) => None,
            Some(was) => Some(arrow(name, &was.status, &self.told())),
            None => Some(arrow(name, "", &self.told())),
        }
    }

    /// What came, what is told otherwise, and what ended.
    fn mark_lines(&self, name: &str, was: Option<&Self>) -> Vec<String> {
        let none = BTreeMap::new();
        let was = was.map_or(&none, |was| &was.marks);
        let news = self.marks.iter().filter(|(mark, told)| was.get(*mark) != Some(told));
        let ended = was.keys().filter(|mark| !self.marks.contains_key(*mark));
        let news = news.map(|(_, told)| format!("{name}: {told}"));
        news.chain(ended.map(|mark| format!("{name}: not {mark} any more"))).collect()
    }
}

fn arrow(name: &str, from: &str, told: &str) -> String {
    if from.is_empty() { format!("{name}: {told}") } else { format!("{name}: {from} -> {told}") }
}

fn at(time: &str, lines: Vec<String>) -> Vec<String> {
    lines.into_iter().map(|line| format!("{time} {line}")).collect()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;

    fn connections(overall: &str, plugins: &[(&str, &str, Option<&str>)]) -> Value {
        let plugin = |(name, status, why): &(&str, &str, Option<&str>)| {
            let reason = why.map(|why| json!({ "code": "internal", "message": why }));
            ((*name).to_owned(), json!({ "name": name, "status": status, "reason": reason }))
        };
        let integrations: serde_json::Map<String, Value> = plugins.iter().map(plugin).collect();
        json!({ "status": overall, "checked_at": "T", "integrations": integrations, "services": {} })
    }

    fn check(lines: &[String], expected: Expect) {
        expected.assert_eq(&lines.join("\n"));
    }

    #[test]
    fn the_first_picture_tells_everything_and_later_ones_what_changed() {
        let mut lines = Lines::default();
        let first = connections("healthy", &[("a", "connected", None), ("b", "connected", None)]);
        check(
            &lines.of_picture(&first),
            expect![[r#"
                T the host is healthy
                T a: connected
                T b: connected"#]],
        );
        check(&lines.of_picture(&first), expect![""]);
        let later = connections("degraded", &[("a", "error", Some("gone away")), ("c", "connected", None)]);
        check(
            &lines.of_picture(&later),
            expect![[r#"
                T the host is degraded
                T a: connected -> error (gone away)
                T c: connected
                T b: gone"#]],
        );
        let worse = connections("degraded", &[("a", "error", Some("refused")), ("c", "connected", None)]);
        check(&lines.of_picture(&worse), expect!["T a: error -> error (refused)"]);
    }

    #[test]
    fn each_change_has_its_line_and_no_picture_repeats_it() {
        let change = |from: &str, to: &str, why: Option<&str>, overall: &str| {
            json!({ "name": "a", "kind": "integration", "status": to, "healthy": to == "connected", "since": "U",
                    "overall": overall, "revision": 7, "at": "U", "from": from, "to": to, "code": null, "message": why })
        };
        let mut lines = Lines::default();
        lines.of_picture(&connections("healthy", &[("a", "connected", None)]));
        check(
            &lines.of_change(&change("connected", "error", Some("refused"), "degraded")),
            expect![[r#"
                U the host is degraded
                U a: connected -> error (refused)"#]],
        );
        let known = connections("degraded", &[("a", "error", Some("refused"))]);
        check(&lines.of_picture(&known), expect![""]);
        check(
            &lines.of_change(&change("error", "connected", None, "healthy")),
            expect![[r#"
                U the host is healthy
                U a: error -> connected"#]],
        );
        // Who is not told details knows what it was.
        let public = json!({ "name": "a", "status": "disconnected", "since": "V", "overall": "degraded" });
        check(
            &lines.of_change(&public),
            expect![[r#"
                V the host is degraded
                V a: connected -> disconnected"#]],
        );
    }

    #[test]
    fn what_a_plugin_is_blocked_by_is_told_by_pictures() {
        let blocked = |by: Value| {
            let mut connections = connections("degraded", &[("a", "connected", None)]);
            connections["integrations"]["a"]["blocked_by"] = by;
            connections
        };
        let mut lines = Lines::default();
        lines.of_picture(&blocked(json!([])));
        check(&lines.of_picture(&blocked(json!(["b", "c"]))), expect!["T a: blocked by b, c"]);
        check(&lines.of_picture(&blocked(json!(["b", "c"]))), expect![""]);
        check(&lines.of_picture(&blocked(json!([]))), expect!["T a: not blocked any more"]);
        let mut odd = blocked(json!([]));
        odd["integrations"]["a"]["flapping"] = json!(true);
        check(
            &lines.of_picture(&odd),
            expect!["T a: flapping: its status changed more than five times in ten minutes"],
        );
        check(&lines.of_picture(&blocked(json!([]))), expect!["T a: not flapping any more"]);
        let mut held = blocked(json!(["b"]));
        held["integrations"]["a"]["reason"] =
            json!({ "code": "dependency_unhealthy", "message": "waits for b" });
        check(&lines.of_picture(&held), expect!["T a: connected -> connected (waits for b)"]);
    }
}
