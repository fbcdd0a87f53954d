//! Hosts in the states that a dashboard must show.

use std::fmt::Write as _;

use serde_json::json;
use switchboard_tests::{Setup, TestHost};

/// A cause that takes down three, one that waits for a person, and one that works; checked often.
pub const TROUBLED: &str = r#"
[plugins.mail]
library = "faulty"
probe = { interval = "200ms", timeout = "2s" }
[plugins.openai]
library = "faulty"
required = true
settings = { init = { fail = { code = "auth_invalid", message = "no answer within 10 s" } } }
[plugins.calendar]
library = "faulty"
settings = { init = { fail = { code = "consent_required" } } }
[plugins.memory]
library = "dependent"
bind = { faulty = "openai" }
[plugins.voice]
library = "dependent"
bind = { faulty = "openai" }
[plugins.bridge]
library = "dependent"
bind = { faulty = "voice" }
"#;

/// Such a host, once everything has settled.
#[track_caller]
pub fn troubled() -> TestHost {
    let host = Setup::new(TROUBLED).start();
    host.wait_until_ready();
    host.wait_for_status("openai", "error");
    host.wait_for_status("calendar", "disconnected");
    host
}

/// So many plugins: every eleventh is leaned on by the ten behind it, and the seventh of those is in error.
pub fn many(count: usize) -> String {
    let mut text = String::new();
    for number in 0..count {
        let (group, place) = (number / 11, number % 11);
        // Writing to a string cannot fail.
        let _ = match place {
            0 if group == 7 => writeln!(
                text,
                "[plugins.base_{group:03}]\nlibrary = \"faulty\"\nsettings = {{ init = {{ fail = {{ code = \"auth_invalid\" }} }} }}"
            ),
            0 => writeln!(text, "[plugins.base_{group:03}]\nlibrary = \"faulty\""),
            _ => writeln!(
                text,
                "[plugins.service_{group:03}_{place:02}]\nlibrary = \"dependent\"\nbind = {{ faulty = \"base_{group:03}\" }}"
            ),
        };
    }
    text
}

/// From now on probes of a faulty plugin fail with this code.
#[track_caller]
pub fn become_faulty(host: &TestHost, name: &str, code: &str) {
    let told = host.call(name, "become", &json!({ "probe": { "fail": { "code": code } } }));
    assert_eq!(told.status, 200, "{}", told.body);
}
