//! `switchboard status --watch`: the health of a running host as it changes: redrawn on a terminal, else a line for each
//! change, or a line of JSON. Told by the host's events where it has them; otherwise it asks, and is answered by a 304
//! while nothing changed.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use reqwest::Response;
use serde_json::Value;

use super::{
    Failed,
    client::HostClient,
    show,
    status::{overall, plugins, table},
};

const CONNECTIONS: &str = "/api/health/connections";
const EVENTS: &str = "/api/health/events";
/// How often is asked where no events come. Reads are answered from memory.
const INTERVAL: Duration = Duration::from_secs(1);
/// After so many questions, one looks whether there are events by now.
const BETWEEN_LOOKS: u32 = 15;
/// With events, something is asked all the same: they may be lost on the way.
const PATIENCE: Duration = Duration::from_secs(15);
/// To the upper left, and nothing below.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Shows every change until the host is gone.
pub async fn watch(host: &HostClient, json: bool) -> Result<std::convert::Infallible, Failed> {
    let mut screen = Screen { json, is_terminal: std::io::stdout().is_terminal(), shown: None };
    let mut tag = None;
    let mut events = host.listen(EVENTS).await;
    let mut asked: u32 = 0;
    loop {
        if let Some((new, connections)) = host.get_if_changed(CONNECTIONS, tag.as_deref()).await? {
            tag = new;
            screen.show(connections);
        }
        events = match events {
            Some(stream) => next(stream).await,
            None => {
                tokio::time::sleep(INTERVAL).await;
                asked += 1;
                if asked.is_multiple_of(BETWEEN_LOOKS) { host.listen(EVENTS).await } else { None }
            }
        };
    }
}

/// Waits for a sign that something changed; gives the stream back as long as it lasts.
async fn next(mut stream: Response) -> Option<Response> {
    loop {
        match tokio::time::timeout(PATIENCE, stream.chunk()).await {
            Ok(Ok(Some(piece))) if is_comment(&piece) => {}
            Ok(Ok(Some(_))) | Err(_) => return Some(stream),
            Ok(Ok(None) | Err(_)) => return None,
        }
    }
}

/// What only keeps a connection alive.
fn is_comment(piece: &[u8]) -> bool {
    let mut lines = piece.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    lines.all(|line| line.starts_with(b":"))
}

/// Where changes are shown.
struct Screen {
    json: bool,
    is_terminal: bool,
    shown: Option<Value>,
}

impl Screen {
    fn show(&mut self, connections: Value) {
        if self.json {
            show(&connections);
        } else if self.is_terminal {
            show(format_args!("{CLEAR}{}", table(&connections)));
        } else {
            changes(self.shown.as_ref(), &connections).iter().for_each(show);
        }
        // A pipe gets each line when it is there.
        let _ = std::io::stdout().flush();
        self.shown = Some(connections);
    }
}

/// One line for the host if it changed, and one for each plugin that did.
fn changes(before: Option<&Value>, now: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    if before.map(overall) != Some(overall(now)) {
        lines.push(format!("the host is {}", overall(now)));
    }
    let of = |connections: Option<&Value>, name: &str| {
        let found = connections.into_iter().flat_map(plugins).find(|plugin| text(plugin, "name") == name);
        found.map(told)
    };
    for plugin in plugins(now) {
        let name = text(plugin, "name");
        let (was, is) = (of(before, name), told(plugin));
        match was {
            Some(was) if was == is => {}
            Some(was) => lines.push(format!("{name}: {} -> {is}", status_of(&was))),
            None => lines.push(format!("{name}: {is}")),
        }
    }
    let gone = before.into_iter().flat_map(plugins).map(|plugin| text(plugin, "name"));
    let gone = gone.filter(|name| of(Some(now), name).is_none());
    lines.extend(gone.map(|name| format!("{name}: gone")));
    let at = text(now, "checked_at");
    lines.into_iter().map(|line| format!("{at} {line}")).collect()
}

/// The status, and why.
fn told(plugin: &Value) -> String {
    let status = text(plugin, "status");
    match plugin.pointer("/reason/message").and_then(Value::as_str) {
        Some(why) => format!("{status} ({why})"),
        None => status.to_owned(),
    }
}

fn status_of(told: &str) -> &str {
    told.split(' ').next().unwrap_or(told)
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
            let reason = why.map(|why| json!({ "message": why }));
            ((*name).to_owned(), json!({ "name": name, "status": status, "reason": reason }))
        };
        let integrations: serde_json::Map<String, Value> = plugins.iter().map(plugin).collect();
        json!({ "status": overall, "checked_at": "T", "integrations": integrations, "services": {} })
    }

    fn check(before: Option<&Value>, now: &Value, expected: Expect) {
        expected.assert_eq(&changes(before, now).join("\n"));
    }

    #[test]
    fn the_first_look_tells_everything_and_later_ones_what_changed() {
        let first = connections("healthy", &[("a", "connected", None), ("b", "connected", None)]);
        check(
            None,
            &first,
            expect![[r#"
                T the host is healthy
                T a: connected
                T b: connected"#]],
        );
        check(Some(&first), &first, expect![""]);
        let later = connections("degraded", &[("a", "error", Some("gone away")), ("c", "connected", None)]);
        check(
            Some(&first),
            &later,
            expect![[r#"
                T the host is degraded
                T a: connected -> error (gone away)
                T c: connected
                T b: gone"#]],
        );
        let worse = connections("degraded", &[("a", "error", Some("refused")), ("c", "connected", None)]);
        check(Some(&later), &worse, expect!["T a: error -> error (refused)"]);
    }

    #[test]
    fn what_keeps_a_connection_alive_is_no_event() {
        assert!(is_comment(b": still here\n\n"));
        assert!(!is_comment(b"event: transition\ndata: {}\n\n"));
        assert!(!is_comment(b": still here\n\nevent: transition\n"));
    }
}
