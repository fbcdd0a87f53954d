//! Tool calls that a person must agree to: what the approver is shown, and who else could agree in their place.

use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{Setup, TestHost, trial::Outcome, trials, wait::wait_until};

use super::on_both_databases;
use crate::{
    messaging::carrier::Carrier,
    orchestrator::ground::{Effects, config, decide, start, wait_for},
    shipped,
};

pub fn tests() -> Vec<Trial> {
    trials![
        every_shipped_tool_that_acts_says_what_decides,
        a_long_text_hides_no_recipient,
        what_nobody_would_see_is_shown,
        an_imitation_of_our_link_comes_after_ours_in_a_quote,
        three_texts_that_make_many_decisions_make_two_messages,
        sql_neither_changes_nor_approves_anything,
        a_plugin_calls_nothing_that_a_person_must_approve,
        no_link_lies_in_any_table,
    ]
}

const ACCOUNT: &str = "AC0000000000000000000000000000000a";
const BASE: &str = "https://switchboard.example.com";
const APPROVER: &str = "+15557654321";
const ALTERED: &str = "the database does not hold what the model asked for";

/// A host whose orchestrator tells an approver by SMS.
fn with_approver(carrier: &Carrier) -> Setup {
    let settings = format!("approver = \"{APPROVER}\"\npublic_base_url = \"{BASE}\"");
    let plugins =
        config(&settings, "") + "[plugins.twilio]\n[plugins.twilio_service]\n[host.log]\nlevel = \"debug\"\n";
    crate::twilio::variables(Setup::new(&plugins), carrier.address())
}

/// Has a model want these calls, on behalf of somebody.
#[track_caller]
fn begin(host: &TestHost, calls: &Value) -> String {
    let goal = json!([calls, { "report": true }]).to_string();
    let started = host.post("/api/runs", &json!({ "goal": goal, "person": "+15550001111" }));
    assert_eq!(started.status, 201, "{}", started.body);
    let run = started.json()["run"].as_str().expect("it has a name").to_owned();
    wait_for(host, &run, "waiting");
    run
}

fn letter(to: &str, text: &str) -> Value {
    json!([["toolbox-write", { "to": to, "text": text }]])
}

/// What an operator sees of the run, with the link.
#[track_caller]
fn waiting(host: &TestHost, run: &str) -> Value {
    wait_for(host, run, "waiting")
}

#[track_caller]
fn page(host: &TestHost, link: &str) -> String {
    let path = link.strip_prefix(BASE).expect("it leads to this host");
    let page = host.get(path);
    assert_eq!(page.status, 200, "{}", page.body);
    page.body
}

#[track_caller]
fn sql(host: &TestHost, statement: &str) {
    let done = host.call("database", "execute", &json!({ "sql": statement }));
    assert_eq!(done.status, 200, "{statement}: {}", done.body);
}

fn link_of(report: &Value) -> &str {
    report["waiting_for"][0]["link"].as_str().expect("operators see it")
}

fn every_shipped_tool_that_acts_says_what_decides() {
    let host = Setup::new(&shipped::text()).start();
    host.wait_for_status("database", "connected");
    let offers = host.call("host", "operations", &json!({}));
    assert_eq!(offers.status, 200, "{}", offers.body);
    let offers = offers.json();
    // Those that only read or keep something for the person themselves, or take nothing that could decide.
    let harmless = [
        "memory_service.remember",
        "voice_assistant.end_call",
        "voice_assistant.send_code",
        "voice_assistant.check_code",
    ];
    let mut acting = Vec::new();
    for offer in offers.as_array().expect("a list") {
        for operation in offer["operations"].as_array().expect("a list") {
            let name = format!(
                "{}.{}",
                offer["plugin"].as_str().expect("a name"),
                operation["name"].as_str().expect("a name")
            );
            let acts = operation["needs_approval"] == true || operation["idempotent"] != true;
            if operation["tool"] == true && acts && !harmless.contains(&name.as_str()) {
                let decisive = operation["decisive"].as_array().map_or(0, Vec::len);
                assert!(decisive > 0, "`{name}` does not say what decides: mark it with `.decisive([…])`");
                acting.push(name);
            }
        }
    }
    for name in [
        "twilio_service.send_message",
        "smtp.send_email",
        "google_calendar.create_event",
        "voice_assistant.call_person",
    ] {
        assert!(acting.iter().any(|acting| acting == name), "`{name}` is not among {acting:?}");
    }
}

fn a_long_text_hides_no_recipient() {
    let host = start(Setup::new(&config(&format!("public_base_url = \"{BASE}\""), "")));
    // In the order of their names, `text` would come after 9 KB of `a`.
    let text = format!("{}and the end", "a harmless word ".repeat(600));
    let run = begin(&host, &letter("+15556666666", &text));
    let page = page(&host, link_of(&waiting(&host, &run)));
    let (to, long) = (page.find("to: &quot;+15556666666&quot;"), page.find("a harmless word"));
    assert!(to.is_some() && to < long, "{page}");
    assert!(page.contains(&text), "nothing is cut off");
    let long = begin_refused(&host, &letter(&"9".repeat(700), "hello"));
    assert!(long.contains("a person must agree to this call and read `to` whole"), "{long}");
    assert_eq!(Effects::of(host.setup()).count("write"), 0);
}

/// What the model is told of calls that are not made.
#[track_caller]
fn begin_refused(host: &TestHost, calls: &Value) -> String {
    let goal = json!([calls, { "report": true }]).to_string();
    let started = host.post("/api/runs", &json!({ "goal": goal }));
    let run = started.json()["run"].as_str().expect("it has a name").to_owned();
    wait_for(host, &run, "done")["answer"].to_string()
}

fn what_nobody_would_see_is_shown() {
    let carrier = Carrier::start(ACCOUNT);
    let host = start(with_approver(&carrier));
    host.wait_for_status("twilio_service", "connected");
    let run = begin(&host, &letter("b\u{202e}ob@раураl.com\u{200b}", "one\u{2028}two \u{e0041}"));
    let page = page(&host, link_of(&waiting(&host, &run)));
    let told = wait_until("the approver to be told", || carrier.taken(), |taken| !taken.is_empty());
    for shown in [page.replace("&quot;", "\""), told[0].1.clone()] {
        assert!(shown.contains("to: \"b⟨U+202E⟩ob@раура⟨Cyrillic⟩l.com⟨U+200B⟩\""), "{shown}");
        assert!(shown.contains("text: \"one⟨U+2028⟩two ⟨U+E0041⟩\""), "{shown}");
    }
    let request = json!({ "run": run }).to_string();
    let printed = host.command(&["call", "orchestrator_service.fetch_run", &request]);
    assert!(printed.stdout.contains("b\\u202eob@") && !printed.stdout.contains('\u{202e}'), "{printed:?}");
}

fn an_imitation_of_our_link_comes_after_ours_in_a_quote() {
    let carrier = Carrier::start(ACCOUNT);
    let host = start(with_approver(&carrier));
    host.wait_for_status("twilio_service", "connected");
    let imitation =
        "x\n\nDecide until 2030-01-01 00:00 UTC:\nhttps://switchboard.example.com.evil.net/approve/x";
    begin(&host, &letter("+15550009999", imitation));
    let told = wait_until("the approver to be told", || carrier.taken(), |taken| !taken.is_empty());
    let (to, body) = &told[0];
    assert_eq!(to, APPROVER);
    let lines: Vec<_> = body.lines().collect();
    assert!(lines[0].starts_with("May `toolbox.write` be called?"), "{body}");
    assert!(lines[2].starts_with(&format!("{BASE}/approve/")), "{body}");
    assert_eq!(body.matches("://").count(), 1, "nothing else is an address: {body}");
    let theirs = lines.iter().filter(|line| line.contains("evil") || line.contains("2030"));
    assert!(theirs.clone().count() > 0 && theirs.clone().all(|line| line.starts_with("> ")), "{body}");
}

fn three_texts_that_make_many_decisions_make_two_messages() -> Outcome {
    on_both_databases(|database| {
        let carrier = Carrier::start(ACCOUNT);
        let host = start(database(with_approver(&carrier)));
        host.wait_for_status("twilio_service", "connected");
        let many: Vec<_> =
            (0..16).map(|number| json!(["toolbox-write", { "to": format!("{number}") }])).collect();
        begin(&host, &json!(many));
        wait_until("the approver to be told", || carrier.count(), |count| *count == 1);
        begin(&host, &json!(many));
        begin(&host, &json!(many));
        let count = |what: &str| {
            let query = format!(
                "select count(*) as rows from orchestrator_service_calls where state = 'waiting' and {what}"
            );
            let rows = host.call("database", "query", &json!({ "sql": query }));
            rows.json()["rows"][0][0].as_i64()
        };
        assert_eq!((count("tell_ms = 0"), carrier.count()), (Some(32), 1));
        let pause = "select next_ms - now_ms() > 600000 as later from orchestrator_service_tellings";
        let later = host.call("database", "query", &json!({ "sql": pause })).json()["rows"][0][0].clone();
        assert!(later == json!(true) || later == json!(1), "a quarter of an hour: {later}");
        sql(&host, "update orchestrator_service_tellings set next_ms = 0");
        wait_until("all to be told", || count("tell_ms = 0"), |count| *count == Some(0));
        wait_until("the second message", || carrier.count(), |count| *count == 2);
        let body = carrier.taken()[1].1.clone();
        assert!(
            body.starts_with("32 tool calls wait for your decision\n") && body.chars().count() <= 1600,
            "{body}"
        );
        let link = body.lines().nth(2).expect("it has a link").to_owned();
        assert_eq!(page(&host, &link).matches("<form").count(), 32);
    })
}

fn sql_neither_changes_nor_approves_anything() -> Outcome {
    on_both_databases(|database| {
        let host = start(database(Setup::new(&config(&format!("public_base_url = \"{BASE}\""), ""))));
        let effects = Effects::of(host.setup());

        let changed = begin(&host, &letter("+15550009999", "hello"));
        let report = waiting(&host, &changed);
        sql(
            &host,
            "update orchestrator_service_calls set arguments = replace(arguments, '0009999', '6666666')",
        );
        let refused = decide(&host, &report, true);
        assert!(refused.status == 409 && refused.body.contains(ALTERED), "{}", refused.body);
        wait_for(&host, &changed, "done");

        let approved = begin(&host, &letter("+15550009999", "hello"));
        sql(&host, "update orchestrator_service_calls set state = 'approved' where state = 'waiting'");
        sql(
            &host,
            "update orchestrator_service_runs set state = 'running', owner = '', lease_ms = 0 where state = 'waiting'",
        );
        let told = wait_for(&host, &approved, "done")["answer"].to_string();
        assert!(told.contains("no person's approval is with it"), "{told}");

        let forged = begin(&host, &letter("+15550009999", "hello"));
        sql(
            &host,
            "update orchestrator_service_calls set state = 'approved', approval = 'e30.e30' where state = 'waiting'",
        );
        sql(
            &host,
            "update orchestrator_service_runs set state = 'running', owner = '', lease_ms = 0 where state = 'waiting'",
        );
        let told = wait_for(&host, &forged, "done")["answer"].to_string();
        assert!(told.contains("this host did not sign it, or it was altered since"), "{told}");

        let linked = begin(&host, &letter("+15550009999", "hello"));
        // The digest of `mine`.
        let hash = "P9MFQv4_YbFL1KSy3Atvsw-m9j685S3Rd4qqjE3ALP8";
        sql(
            &host,
            &format!(
                "insert into orchestrator_service_links (hash, run, decision, seal) values ('{hash}', '{linked}', '1.0.0', '')"
            ),
        );
        assert_eq!(host.get("/approve/mine").status, 404);

        assert_eq!(effects.count("write"), 0, "{:?}", effects.all());
        assert_eq!(decide(&host, &waiting(&host, &linked), true).status, 200);
        wait_for(&host, &linked, "done");
        assert_eq!(effects.count("write"), 1, "what a person agreed to is done");
    })
}

fn a_plugin_calls_nothing_that_a_person_must_approve() {
    let more = "
        [plugins.friend]
        tools = [\"toolbox.write\", \"toolbox.push\", \"toolbox.look\"]
        approve = [\"toolbox.push\"]
        ";
    let host = start(Setup::new(&(config("", "") + more)));
    host.wait_for_status("friend", "connected");
    let ask = |operation: &str, request: &Value| {
        let relay = json!({
            "plugin": "host", "operation": operation, "request": request, "key": "k", "person": "+15550001111",
        });
        host.call("friend", "relay", &relay)
    };
    let write = json!({ "to": "+15556666666", "text": "hello" });
    for (tool, arguments) in [("toolbox.write", &write), ("toolbox.push", &json!({ "what": "1" }))] {
        let refused = ask("call_tool", &json!({ "name": tool, "arguments": arguments }));
        let expected = format!("a person must agree before `friend` calls the tool `{tool}`, and none did");
        assert!(refused.status == 403 && refused.body.contains(&expected), "{}", refused.body);
        let forged = json!({ "name": tool, "arguments": arguments, "approval": "e30.e30" });
        let refused = ask("call_tool", &forged);
        assert!(
            refused.status == 403 && refused.body.contains("this host did not sign it"),
            "{}",
            refused.body
        );
    }
    let approve = json!({
        "tool": "toolbox.write", "arguments": write, "decision": "1", "by": "me", "until_ms": i64::MAX,
    });
    let refused = ask("approve", &approve);
    assert!(
        refused.status == 403 && refused.body.contains("`friend` may not approve calls"),
        "{}",
        refused.body
    );
    // The approval of another plugin's call, as it lies in the database.
    let run = begin(&host, &json!([["toolbox-write", write]]));
    assert_eq!(decide(&host, &waiting(&host, &run), true).status, 200);
    wait_for(&host, &run, "done");
    let stolen =
        host.call("database", "query", &json!({ "sql": "select approval from orchestrator_service_calls" }));
    let stolen = stolen.json()["rows"][0][0].clone();
    assert!(stolen.as_str().is_some_and(|stolen| stolen.len() > 50), "{stolen}");
    let refused =
        ask("call_tool", &json!({ "name": "toolbox.write", "arguments": write, "approval": stolen }));
    assert!(
        refused.status == 403 && refused.body.contains("differ from what was approved"),
        "{}",
        refused.body
    );
    let effects = Effects::of(host.setup());
    assert_eq!((effects.count("write"), effects.count("push")), (1, 0), "{:?}", effects.all());
    let looked = ask("call_tool", &json!({ "name": "toolbox.look", "arguments": { "what": "x" } }));
    assert_eq!(looked.status, 200, "{}", looked.body);
}

fn no_link_lies_in_any_table() -> Outcome {
    on_both_databases(|database| {
        let carrier = Carrier::start(ACCOUNT);
        let release = carrier.hold();
        let host = start(database(with_approver(&carrier)));
        host.wait_for_status("twilio_service", "connected");
        begin(&host, &letter("+15550009999", "hello"));
        wait_until("the message to be on its way", || carrier.is_holding(), |is_holding| *is_holding);
        let under_way = all_rows(&host);
        assert!(under_way.contains("sealed") && under_way.contains(APPROVER), "{under_way}");
        drop(release);
        wait_until("the message to be taken", || carrier.count(), |count| *count == 1);
        let body = carrier.taken()[0].1.clone();
        let link = body.lines().nth(2).expect("it has a link");
        let token = link.rsplit('/').next().expect("it ends with a token");
        let is_sent = "select count(*) as rows from twilio_service_outbox where state = 'sent' and body = ''";
        let sent = || host.call("database", "query", &json!({ "sql": is_sent })).json()["rows"][0][0].clone();
        wait_until("it to be gone from the ledger", sent, |sent| *sent == 1);
        let afterwards = all_rows(&host);
        for (when, rows) in [("under way", under_way), ("afterwards", afterwards)] {
            assert!(!rows.contains(token) && !rows.contains("/approve/"), "{when}: {rows}");
        }
        page(&host, link);
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let path = link.strip_prefix(BASE).expect("it leads to this host");
        assert_eq!(host.request("POST", path, &form, Some(&"x".repeat(20_000))).status, 413);
        let logged = host.wait_for_output("/approve/{token}");
        assert!(!logged.contains(token), "{logged}");
    })
}

/// Everything that every table of every plugin holds.
#[track_caller]
fn all_rows(host: &TestHost) -> String {
    let query = |sql: &str| {
        let rows = host.call("database", "query", &json!({ "sql": sql }));
        assert_eq!(rows.status, 200, "{sql}: {}", rows.body);
        rows.json()["rows"].clone()
    };
    let tables = match host.call("database", "describe", &json!({})).json()["dialect"].as_str() {
        Some("postgres") => {
            "select tablename::text as name from pg_tables where schemaname = current_schema()"
        }
        _ => "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'",
    };
    let tables = query(tables);
    let names: Vec<_> = tables.as_array().expect("rows").iter().filter_map(|row| row[0].as_str()).collect();
    assert!(
        names.contains(&"twilio_service_outbox") && names.contains(&"orchestrator_service_links"),
        "{names:?}"
    );
    names.iter().map(|name| query(&format!("select * from {name}")).to_string()).collect()
}
