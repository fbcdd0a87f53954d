//! The answers quoted in host/docs/troubleshooting.md are those of a real host.

use std::fs;

use libtest_mimic::Trial;
use switchboard_tests::{
    Setup, TestHost,
    artifacts::repository,
    guide::{Step, steps},
    trials,
    wait::{LIMIT, poll},
};

use crate::shipped;

pub fn tests() -> Vec<Trial> {
    trials![every_quotation_is_true]
}

/// Configured as the page says.
fn host() -> TestHost {
    let variables = "SMTP_SERVER=127.0.0.1\nSMTP_PORT=1\nSMTP_TLS=none\nSMTP_FROM_EMAIL=bot@example.com\n\
                     OPENAI_API_KEY=sk-test\nOPENAI_BASE_URL=http://127.0.0.1:1/v1\n";
    Setup::new(&shipped::text()).file(".env", variables).start()
}

fn every_quotation_is_true() {
    let page =
        fs::read_to_string(repository().join("host/docs/troubleshooting.md")).expect("there is the page");
    let host = host();
    for name in ["smtp", "openai"] {
        host.wait_for_status(name, "error");
    }
    let mut typed = String::new();
    let mut compared = 0;
    for step in steps(&page) {
        match step {
            Step::Type(command) => typed = command,
            Step::See(text) => {
                // Health is the host's own at that moment: it may be about to try again.
                let seen =
                    poll(LIMIT, || does(&host, typed.trim()), |output| missing(output, &text).is_none());
                if let Err(output) = seen {
                    let line = missing(&output, &text);
                    panic!("the page quotes {line:?} of `{}`, which answers\n{output}", typed.trim());
                }
                compared += 1;
            }
            Step::Write { path, .. } => panic!("nothing is written here, but `{path}` is"),
        }
    }
    assert!(compared >= 9, "only {compared} quotations were found");
}

/// The output of a command of the page.
fn does(host: &TestHost, command: &str) -> String {
    if let Some(url) = command.strip_prefix("curl -s http://127.0.0.1:8080") {
        return host.get(url).body;
    }
    let arguments = command
        .strip_prefix("cargo run")
        .unwrap_or_else(|| panic!("`{command}` is neither curl nor cargo run"));
    let Some(arguments) = arguments.strip_prefix(" -- ") else { return host.output() };
    // A text in quotes is one argument.
    let (words, quoted) = arguments.split_once(" '").unwrap_or((arguments, ""));
    let mut arguments: Vec<&str> = words.split_whitespace().collect();
    arguments.extend(quoted.strip_suffix('\'').filter(|quoted| !quoted.is_empty()));
    let finished = host.command(&arguments);
    format!("{}{}", finished.stdout, finished.stderr)
}

/// The first line of a quotation that the output lacks. `…` stands for anything within a line.
fn missing<'t>(output: &str, text: &'t str) -> Option<&'t str> {
    let is_there = |line: &&str| {
        output.lines().any(|seen| {
            let mut rest = Some(seen);
            for part in line.split('…').map(str::trim) {
                rest = rest.and_then(|rest| rest.split_once(part)).map(|(_, after)| after);
            }
            rest.is_some()
        })
    };
    text.lines().filter(|line| !line.is_empty()).find(|line| !is_there(line))
}
