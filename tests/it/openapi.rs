//! The OpenAPI document: a validator finds nothing in it, and what it documents answers as documented.

use std::collections::BTreeSet;

use libtest_mimic::Trial;
use serde_json::{Map, Value, json};
use switchboard_tests::{
    Setup, TestHost, artifacts::repository, events::EventClient, http::Response, partners::openapi,
    trial::Outcome, trials,
};

pub fn tests() -> Vec<Trial> {
    trials![
        a_validator_finds_nothing_in_the_document,
        what_is_documented_answers_as_documented,
        so_do_the_plugins_that_ship,
        without_the_token_less_is_answered_and_as_documented,
        the_page_for_people_tells_the_same,
    ]
}

/// One operation of `dependent` blocks its thread for ever, and all others with it.
const PLUGINS: &str = "[plugins.faulty]\n[plugins.dependent]\ncalls = { timeout = \"1s\" }\n[plugins.web]\n[plugins.database]\n";
const TOKEN: &str = "correct-horse-battery-staple";
const BEARER: (&str, &str) = ("authorization", "Bearer correct-horse-battery-staple");

/// The operation that answers otherwise than its manifest says: that it is found shows that others would be.
const LIAR: &str = "/api/operations/faulty/lie";

fn shipped() -> TestHost {
    let text = std::fs::read_to_string(repository().join("plugins.toml")).expect("the repository ships one");
    let host = Setup::new(&text).start();
    host.wait_until_ready();
    host
}

fn a_validator_finds_nothing_in_the_document() -> Outcome {
    // Not `faulty`, whose manifest is wrong on purpose.
    for host in [Setup::new("[plugins.web]\n").start(), shipped()] {
        assert_eq!(openapi::complaints(&Document::of(&host, &[]).json)?, "");
    }
    Ok(())
}

fn what_is_documented_answers_as_documented() {
    let host = Setup::new(PLUGINS).start();
    host.wait_for_status("web", "connected");
    let document = Document::of(&host, &[]);
    let misfits: Vec<_> = document.ask_all(&host, &[]).into_iter().collect();
    assert_eq!(misfits.len(), 1, "{misfits:#?}");
    assert!(misfits[0].starts_with(&format!("post {LIAR}: ")), "{misfits:?}");

    let echo = &document.json["paths"]["/api/operations/faulty/echo"]["post"];
    let request = json!({ "text": "x" });
    document
        .check_schema(&echo["requestBody"]["content"]["application/json"]["schema"], &request)
        .expect("it fits");
    let answer = host.call("faulty", "echo", &request);
    document.check(echo, &answer).expect("as documented");
    assert_eq!(answer.status, 200);
    let refused = host.call("faulty", "echo", &json!({ "text": 1 }));
    assert_eq!(refused.status, 400);
    document.check(echo, &refused).expect("as documented");
}

fn so_do_the_plugins_that_ship() {
    let host = shipped();
    let document = Document::of(&host, &[]);
    assert!(document.endpoints().count() > 60, "it knows the operations of all plugins");
    assert_eq!(document.ask_all(&host, &[]), BTreeSet::new());
}

fn without_the_token_less_is_answered_and_as_documented() {
    let host =
        Setup::new(PLUGINS).env("SWITCHBOARD_TOKEN", TOKEN).env("SWITCHBOARD_LISTEN", "0.0.0.0:0").start();
    host.wait_for_status("web", "connected");
    let (less, full) = (Document::of(&host, &[]), Document::of(&host, &[BEARER]));
    let paths = |document: &Document| -> BTreeSet<String> {
        document.json["paths"].as_object().expect("an object").keys().cloned().collect()
    };
    assert!(paths(&full).is_superset(&paths(&less)) && paths(&full).len() > paths(&less).len());
    assert!(paths(&less).iter().all(|path| !path.contains("faulty") && !path.contains("web")));
    assert_eq!(full.ask_all(&host, &[]), BTreeSet::new(), "what is refused is refused as documented");
}

fn the_page_for_people_tells_the_same() {
    let host = Setup::new(PLUGINS).start();
    let page = host.get("/api/docs");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    for (_, path, _) in Document::of(&host, &[]).endpoints() {
        assert!(page.body.contains(&format!("<code>{path}</code>")), "{path} is not on the page");
    }
}

/// The document of a host.
struct Document {
    json: Value,
}

impl Document {
    #[track_caller]
    fn of(host: &TestHost, headers: &[(&str, &str)]) -> Self {
        let answer = host.request("GET", "/api/openapi.json", headers, None);
        assert_eq!(answer.status, 200, "{}", answer.body);
        Self { json: answer.json() }
    }

    /// Method, path and what is documented of it.
    fn endpoints(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        let paths = self.json["paths"].as_object().expect("paths").iter();
        paths.flat_map(|(path, methods)| {
            let methods = methods.as_object().expect("methods").iter();
            methods.map(move |(method, endpoint)| (method.as_str(), path.as_str(), endpoint))
        })
    }

    /// Asks for everything there is; gives what is not answered as documented.
    fn ask_all(&self, host: &TestHost, headers: &[(&str, &str)]) -> BTreeSet<String> {
        let mut misfits = BTreeSet::new();
        for (method, path, endpoint) in self.endpoints() {
            let outcome = match endpoint["responses"]["200"]["content"].get("text/event-stream") {
                Some(stream) => self.follow(host, headers, &stream["schema"]),
                None => self.check(endpoint, &ask(host, headers, method, path, endpoint)),
            };
            misfits.extend(outcome.err().map(|misfit| format!("{method} {path}: {misfit}")));
        }
        misfits
    }

    /// Events do not end: the first is a picture, as `/connections` answers it.
    fn follow(&self, host: &TestHost, headers: &[(&str, &str)], stream: &Value) -> Result<(), String> {
        let first = EventClient::new(host.address(), headers).next_event();
        let connections = &self.json["paths"]["/api/health/connections"]["get"]["responses"]["200"];
        self.check_schema(&connections["content"]["application/json"]["schema"], &first.data)?;
        let name = first.data["integrations"].as_object().and_then(|all| all.values().next());
        // A change is an outline of a plugin and more.
        let outline = name.map_or(json!({}), Value::clone);
        self.check_schema(&stream["x-switchboard-transition"], &outline)
    }

    /// Whether an answer is one of those that are documented: status, content type and body.
    fn check(&self, endpoint: &Value, answer: &Response) -> Result<(), String> {
        let documented = &endpoint["responses"];
        let status = answer.status.to_string();
        let known = documented.get(&status).or(documented.get("default"));
        let known = known.ok_or_else(|| format!("{status} is not documented"))?;
        let Some(content) = known["content"].as_object() else {
            let is_empty = answer.body.is_empty();
            return is_empty.then_some(()).ok_or_else(|| format!("{status} has a body: {}", answer.body));
        };
        self.check_content(content, answer).map_err(|misfit| format!("{status}: {misfit}"))
    }

    fn check_content(&self, content: &Map<String, Value>, answer: &Response) -> Result<(), String> {
        let given = answer.header("content-type").unwrap_or_default();
        let Some(kind) = content.get(given).or(content.get("*/*")) else {
            return Err(format!("the content type {given:?} is not documented: {}", answer.body));
        };
        if !given.ends_with("json") {
            return Ok(());
        }
        self.check_schema(&kind["schema"], &answer.json())
    }

    /// Whether a value fits a schema of the document.
    fn check_schema(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let whole = json!({ "allOf": [schema], "components": self.json["components"] });
        let validator = jsonschema::draft202012::new(&whole).map_err(|error| error.to_string())?;
        let misfits: Vec<_> = validator
            .iter_errors(value)
            .map(|error| format!("{error} at {}", error.instance_path()))
            .collect();
        if misfits.is_empty() { Ok(()) } else { Err(format!("{} in {value}", misfits.join("; "))) }
    }
}

/// Asks as the document says, with nothing much in it.
fn ask(host: &TestHost, headers: &[(&str, &str)], method: &str, path: &str, endpoint: &Value) -> Response {
    let segments = path.split('/').map(|segment| match segment {
        "{name}" if path.contains("/services") => "dependent",
        "{name}" => "faulty",
        "{plugin}" => "host",
        "{operation}" => "operations",
        segment if segment.starts_with('{') => "x",
        segment => segment,
    });
    let path = segments.collect::<Vec<_>>().join("/");
    let body = endpoint["requestBody"]["content"].as_object().and_then(|content| content.keys().next());
    let (kind, body) = match body.map(String::as_str) {
        Some("application/x-www-form-urlencoded") => ("application/x-www-form-urlencoded", Some("token=x")),
        Some(_) => ("application/json", Some("{}")),
        None => ("application/json", None),
    };
    host.request(&method.to_uppercase(), &path, &[headers, &[("content-type", kind)]].concat(), body)
}
