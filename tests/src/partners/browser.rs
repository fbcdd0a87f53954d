//! Chromium, driven by playwright: a script becomes what it gives back. Requests of a page to other hosts, violations
//! of its policy and errors of its scripts are heard.

use std::path::Path;

use serde_json::{Value, json};

use super::{Missing, node::NodeServer};
use crate::{artifacts::repository, http::request_within, wait::LIMIT};

/// Debian's.
const CHROMIUM: &str = "/usr/bin/chromium";

/// A running browser; ended when dropped.
pub struct Browser {
    server: NodeServer,
}

impl Browser {
    /// Starts it without a window.
    ///
    /// # Errors
    /// If Chromium or playwright is not there.
    ///
    /// # Panics
    /// If they are, and it does not start.
    pub fn start() -> Result<Self, Missing> {
        if !Path::new(CHROMIUM).is_file() {
            return Err(Missing::of("Chromium"));
        }
        let modules = repository().join(".partners/node/node_modules");
        if !modules.join("playwright-core").is_dir() || !modules.join("axe-core").is_dir() {
            return Err(Missing::of("playwright-core and axe-core"));
        }
        let program = repository().join("tests/partners/browser.mjs");
        let server = NodeServer::start(&program.to_string_lossy(), "/", |port, _| {
            vec![port.into(), modules.clone().into(), CHROMIUM.into()]
        })?;
        Ok(Self { server })
    }

    /// Opens an address in a new window with these options of playwright, and waits until it is loaded.
    #[track_caller]
    pub fn open(&self, address: &str, options: &Value) {
        self.run(&format!(
            "await (await tools.open({options})).goto('http://{address}/', {{ waitUntil: 'load' }})"
        ));
    }

    /// Runs a script with the open `page`, as playwright knows it, and gives what it returns.
    ///
    /// # Panics
    /// If it fails, or waits longer than anything may take.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        // What waits within the page gives up before.
        let answer = request_within(2 * LIMIT, self.server.address(), "POST", "/", &[], Some(script))
            .unwrap_or_else(|error| panic!("the browser does not answer: {error}\n{script}"));
        assert_eq!(answer.status, 200, "{script}\n{}", answer.body.replace("\\n", "\n"));
        answer.json()
    }

    /// Waits until an expression is true within the page; what it speaks of need not be there yet.
    #[track_caller]
    pub fn wait(&self, expression: &str) {
        let attempt = format!("() => {{ try {{ return {expression} }} catch {{ return false }} }}");
        self.run(&format!("await page.waitForFunction({attempt})"));
    }

    /// What an expression is within the page.
    #[track_caller]
    pub fn ask(&self, expression: &str) -> Value {
        self.run(&format!("return await page.evaluate(() => {expression})"))
    }

    /// What a reader sees of the first element that fits a selector.
    #[track_caller]
    pub fn text(&self, selector: &str) -> String {
        self.texts(selector).into_iter().next().unwrap_or_else(|| panic!("nothing fits `{selector}`"))
    }

    /// What a reader sees of every element that fits a selector.
    #[track_caller]
    pub fn texts(&self, selector: &str) -> Vec<String> {
        let script = "return await page.locator(SELECTOR).allInnerTexts()";
        let texts = self.run(&script.replace("SELECTOR", &json!(selector).to_string()));
        let texts = texts.as_array().into_iter().flatten().filter_map(Value::as_str);
        texts.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    /// Fails with what axe finds serious or critical, and with whatever else went wrong in the page.
    #[track_caller]
    pub fn check(&self, state: &str) {
        let found = self.run("return [...await tools.findings(), ...tools.heard()]");
        assert_eq!(found, json!([]), "{state}");
    }
}
