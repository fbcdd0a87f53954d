//! Takes the picture of the dashboard that README.md and host/docs/dashboard.md show: the shipped plugins, with an OpenAI
//! server and a mail server that refuse connections. `cargo run -p switchboard-tests --example picture`.

use std::fs;

use serde_json::json;
use switchboard_tests::{Setup, artifacts::repository, partners::browser::Browser};

/// Relative to the repository.
const PICTURE: &str = "host/docs/dashboard.png";

const VARIABLES: &str = "SMTP_SERVER=127.0.0.1\nSMTP_PORT=1\nSMTP_TLS=none\nSMTP_FROM_EMAIL=bot@example.com\n\
                         OPENAI_API_KEY=sk-example\nOPENAI_BASE_URL=http://127.0.0.1:1/v1\n";

fn main() {
    let browser =
        Browser::start().unwrap_or_else(|missing| panic!("{missing:?}: run tests/run once to install it"));
    let plugins =
        fs::read_to_string(repository().join("plugins.toml")).expect("the repository ships a plugins.toml");
    let host = Setup::new(&plugins).file(".env", VARIABLES).start();
    host.wait_for_status("openai", "error");
    host.wait_for_status("smtp", "error");
    browser.open(host.address(), &json!({ "viewport": { "width": 1100, "height": 900 } }));
    browser.wait("document.querySelector('#graph .node.root[data-name=openai]')");
    browser.wait("document.querySelector('#line').innerText === 'live'");
    let path = repository().join(PICTURE);
    browser.run(&format!("await page.screenshot({{ path: {} }})", json!(path)));
    println!("{PICTURE}");
}
