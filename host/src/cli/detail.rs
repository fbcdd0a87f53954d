//! What stands beside a plugin's status: why it does not work, what it waits for, and what is wrong though it is
//! connected. Read from the JSON of its health, as every command gets it.

use serde_json::Value;

/// All of it in one line.
pub(super) fn detail(plugin: &Value) -> String {
    let reason = plugin.pointer("/reason/message").and_then(Value::as_str).map(str::to_owned);
    let marks = marks(plugin).into_iter().map(|(_, told)| told);
    let parts: Vec<String> = reason.into_iter().chain(blocked(plugin)).chain(marks).collect();
    if parts.is_empty() {
        let latency = plugin.get("latency_ms").and_then(Value::as_f64);
        return latency.map(|latency| format!("answered in {latency} ms")).unwrap_or_default();
    }
    parts.join("; ")
}

/// Which required dependencies keep it from working; `None` if the reason says it.
pub(super) fn blocked(plugin: &Value) -> Option<String> {
    let (by, roots) = (names(plugin, "blocked_by"), names(plugin, "root_causes"));
    let is_said = plugin.pointer("/reason/code").and_then(Value::as_str) == Some("dependency_unhealthy");
    if by.is_empty() || is_said {
        return None;
    }
    let others: Vec<&str> =
        roots.into_iter().filter(|root| !by.contains(root) && !is_named(plugin, root)).collect();
    let because =
        if others.is_empty() { String::new() } else { format!(", because of {}", others.join(", ")) };
    Some(format!("blocked by {}{because}", by.join(", ")))
}

/// What is wrong beside the status: a word for each, and how it is told.
pub(super) fn marks(plugin: &Value) -> Vec<(&'static str, String)> {
    let is = |key: &str| plugin.get(key).and_then(Value::as_bool) == Some(true);
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut marks = Vec::new();
    if is("stale") {
        let since = text(plugin, "checked_at").unwrap_or_else(|| "it started".to_owned());
        marks.push(("stale", format!("stale: no check has ended since {since}")));
    }
    if is("flapping") {
        let told = "flapping: its status changed more than five times in ten minutes";
        marks.push(("flapping", told.to_owned()));
    }
    let failing = plugin.get("failing").and_then(Value::as_array).into_iter().flatten();
    let failing: Vec<String> = failing
        .map(|entry| {
            let what = text(entry, "operation").or(text(entry, "key")).unwrap_or_default();
            format!("{what}: {}", text(entry, "message").unwrap_or_default())
        })
        .collect();
    if !failing.is_empty() {
        marks.push(("failing", format!("failing: {}", failing.join(", "))));
    }
    if let Some(pending) = plugin.get("pending").filter(|pending| pending.is_object()) {
        marks.push(("pending", format!("pending: {}", text(pending, "reason").unwrap_or_default())));
    }
    marks
}

fn names<'a>(plugin: &'a Value, key: &str) -> Vec<&'a str> {
    let names = plugin.get(key).and_then(Value::as_array).into_iter().flatten();
    names.filter_map(Value::as_str).collect()
}

fn is_named(plugin: &Value, name: &str) -> bool {
    plugin.get("name").and_then(Value::as_str) == Some(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(more: Value, expected: &str) {
        let mut plugin = json!({ "name": "messages", "status": "connected", "reason": null, "stale": false,
            "flapping": false, "latency_ms": 1.5, "checked_at": "T", "blocked_by": [], "root_causes": [] });
        plugin.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(detail(&plugin), expected);
    }

    #[test]
    fn what_works_says_how_fast() {
        check(json!({}), "answered in 1.5 ms");
    }

    #[test]
    fn a_victim_is_told_as_a_victim() {
        check(json!({ "blocked_by": ["openai"], "root_causes": ["openai"] }), "blocked by openai");
        check(
            json!({ "blocked_by": ["memory"], "root_causes": ["openai"] }),
            "blocked by memory, because of openai",
        );
        let held = json!({ "code": "dependency_unhealthy", "message": "cannot start before `openai`" });
        check(
            json!({ "reason": held, "blocked_by": ["openai"], "root_causes": ["openai"] }),
            "cannot start before `openai`",
        );
        check(
            json!({ "reason": { "code": "refused", "message": "nobody listens" }, "blocked_by": ["openai"],
                    "root_causes": ["openai"] }),
            "nobody listens; blocked by openai",
        );
    }

    #[test]
    fn what_is_wrong_though_it_is_connected_is_told() {
        check(json!({ "stale": true }), "stale: no check has ended since T");
        check(
            json!({ "flapping": true }),
            "flapping: its status changed more than five times in ten minutes",
        );
        check(
            json!({ "failing": [{ "operation": "chat", "key": null, "message": "the model is gone" },
                                { "operation": null, "key": "batch", "message": "refused" }] }),
            "failing: chat: the model is gone, batch: refused",
        );
    }
}
