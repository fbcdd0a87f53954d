//! The health API: shapes, codes, and what pollers rely on.

use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{
    Setup, TestHost, http,
    partners::{openmetrics, prometheus::Prometheus, promtool},
    trial::Outcome,
    trials,
    wait::wait_until,
};

pub fn tests() -> Vec<Trial> {
    trials![
        overall_tells_what_counts,
        overall_is_503_when_a_required_plugin_is_not_healthy,
        an_optional_not_configured_plugin_degrades_nothing,
        a_plugin_has_every_field,
        integrations_and_services_are_kept_apart,
        connections_show_every_edge_and_the_start,
        the_summary_counts_and_says_what_needs_a_person,
        strict_turns_bad_news_into_503,
        an_etag_saves_the_body_until_something_changes,
        head_answers_as_get_without_the_body,
        a_wrong_method_is_405_with_allow,
        unknown_paths_and_names_are_problems_with_a_hint,
        livez_and_readyz_speak_of_the_process_alone,
        verify_probes_once_however_many_ask,
        ten_thousand_reads_cause_no_probe,
        nor_do_they_while_every_plugin_hangs,
        metrics_are_clean,
        metrics_are_openmetrics_for_who_asks,
        a_real_prometheus_scrapes_them,
        malformed_requests_harm_nobody,
        oversized_requests_are_refused,
    ]
}

/// Six plugins in five states: one that works, one unconfigured, one in error with a dependent, one that needs a person.
fn mixed() -> TestHost {
    let host = Setup::new(
        r#"
        [plugins.database]
        required = true
        [plugins.smtp]
        [plugins.faulty]
        settings = { init = { fail = { code = "auth_invalid" } } }
        [plugins.dependent]
        [plugins.consent]
        library = "faulty"
        settings = { init = { fail = { code = "consent_required" } } }
        [plugins.absent]
        library = "./absent.so"
        "#,
    )
    .start();
    host.wait_until_ready();
    host
}

#[track_caller]
fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn overall_tells_what_counts() {
    let host = mixed();
    let response = host.get("/api/health");
    assert_eq!(response.status, 200);
    let health = response.json();
    assert_eq!(
        keys(&health),
        [
            "blocked",
            "boot_id",
            "causes",
            "checked_at",
            "counts",
            "links",
            "revision",
            "stale",
            "started_at",
            "status",
            "total",
            "uptime_s",
            "version",
        ]
    );
    assert_eq!(health["status"], "degraded");
    assert_eq!(health["total"], 6);
    assert_eq!(
        health["counts"],
        json!({"connected": 2, "disconnected": 1, "not_configured": 1, "error": 2, "initializing": 0,
               "not_initialized": 0})
    );
    assert_eq!(health["blocked"], 1);
    let causes = health["causes"].as_array().expect("causes");
    let cause = causes.iter().find(|cause| cause["name"] == "faulty").expect("it is a cause");
    assert_eq!((&cause["status"], &cause["code"]), (&json!("error"), &json!("auth_invalid")));
    assert_eq!(cause["affects"], json!(["dependent"]));
    let links = health["links"].as_object().expect("links");
    assert!(links.contains_key("integrations") && links.contains_key("connections"), "{links:?}");
    for link in links.values().filter_map(Value::as_str) {
        assert_eq!(host.request("HEAD", link, &[], None).status, 200, "{link} leads somewhere");
    }
}

fn overall_is_503_when_a_required_plugin_is_not_healthy() {
    let host = Setup::new("[plugins.faulty]\nrequired = true\nsettings = { init = \"panic\" }\n").start();
    host.wait_for_status("faulty", "error");
    let response = host.get("/api/health");
    assert_eq!((response.status, &response.json()["status"]), (503, &json!("unhealthy")));
    assert_eq!(host.get("/api/health/integrations").status, 200, "bad news can be read");
    assert_eq!(host.get("/readyz").status, 200, "never a dependency's health");
}

fn an_optional_not_configured_plugin_degrades_nothing() {
    let host = Setup::new("[plugins.smtp]\n").start();
    host.wait_until_ready();
    assert_eq!(host.get("/api/health").json()["status"], "healthy");
    assert_eq!(host.get("/api/health").json()["causes"], json!([]));
}

fn a_plugin_has_every_field() {
    let host = mixed();
    let faulty = host.plugin("faulty");
    assert_eq!(
        keys(&faulty),
        [
            "blocked_by",
            "checked_at",
            "dependencies",
            "dependents",
            "failing",
            "fix",
            "flapping",
            "generation",
            "healthy",
            "history",
            "kind",
            "latency_ms",
            "name",
            "next_check_at",
            "reason",
            "required",
            "retry",
            "root_causes",
            "settings",
            "since",
            "stale",
            "status",
            "version",
        ]
    );
    assert_eq!(keys(&faulty["reason"]), ["code", "message", "retryable"]);
    assert_eq!(keys(&faulty["fix"]), ["action", "href", "label"]);
    assert_eq!(keys(&faulty["retry"]), ["attempt", "max_attempts", "next_attempt_at"]);
    assert_eq!(faulty["dependents"], json!(["dependent"]));
    assert_eq!(
        faulty["history"].as_array().and_then(|history| history.last()).map(|last| &last["to"]),
        Some(&json!("error"))
    );
    assert_eq!(
        host.plugin("dependent")["dependencies"],
        json!([
            {"name": "faulty", "kind": "integration", "required": true, "status": "error", "healthy": false,
             "satisfied": false},
            {"name": "smtp", "kind": "integration", "required": false, "status": "not_configured",
             "healthy": false, "satisfied": false},
        ])
    );
    let since = faulty["since"].as_str().expect("a time");
    assert!(
        since.ends_with('Z') && since.len() == "2026-11-22T21:14:03.001Z".len(),
        "milliseconds, UTC: {since}"
    );
    let database = host.plugin("database");
    assert_eq!((&database["reason"], &database["fix"]), (&Value::Null, &Value::Null));
}

fn integrations_and_services_are_kept_apart() {
    let host = mixed();
    let integrations = host.get("/api/health/integrations").json();
    assert_eq!(keys(&integrations), ["checked_at", "integrations", "revision", "status"]);
    let integrations = &integrations["integrations"];
    assert_eq!(keys(integrations), ["absent", "consent", "database", "faulty", "smtp"]);
    assert_eq!(integrations["faulty"].get("history"), None, "in full but for history");
    let services = host.get("/api/health/services").json();
    assert_eq!(keys(&services["services"]), ["dependent"]);

    let wrong = host.get("/api/health/integrations/dependent");
    assert_eq!(wrong.status, 404);
    assert!(wrong.body.contains("/api/health/services/dependent"), "{}", wrong.body);
    assert_eq!(host.get("/api/health/services/absent").status, 200, "of unknown kind: both answer");
}

fn connections_show_every_edge_and_the_start() {
    let host = mixed();
    let connections = host.get("/api/health/connections").json();
    assert_eq!(
        keys(&connections),
        ["checked_at", "edges", "integrations", "revision", "services", "start", "status"]
    );
    assert_eq!(
        connections["edges"],
        json!([
            {"from": "dependent", "to": "faulty", "required": true, "satisfied": false, "status": "error"},
            {"from": "dependent", "to": "smtp", "required": false, "satisfied": false, "status": "not_configured"},
        ])
    );
    assert_eq!(connections["services"]["dependent"]["verification"], "failed");
    let start = &connections["start"];
    assert_eq!(keys(start), ["critical_path", "plugins", "total_ms", "waves"]);
    let waves = start["waves"].as_array().expect("waves");
    assert_eq!(waves.last(), Some(&json!(["dependent"])), "after what it declares: {start:#}");
    assert_eq!(keys(&start["plugins"]["dependent"]), ["init_ms", "waited_ms"]);

    let alone = Setup::new("[plugins.faulty]\n[plugins.dependent]\n").start();
    alone.wait_for_status("dependent", "connected");
    let connections = alone.get("/api/health/connections").json();
    assert_eq!(connections["services"]["dependent"]["verification"], "verified");
}

fn the_summary_counts_and_says_what_needs_a_person() {
    let summary = mixed().get("/api/health/connections/summary").json();
    assert_eq!(
        keys(&summary),
        [
            "attention",
            "blocked",
            "causes",
            "counts",
            "edges",
            "failing",
            "failing_count",
            "revision",
            "status",
            "total"
        ]
    );
    let sum: u64 = summary["counts"].as_object().expect("counts").values().filter_map(Value::as_u64).sum();
    assert_eq!(Some(sum), summary["total"].as_u64());
    assert_eq!(summary["edges"], json!({"satisfied": 0, "unsatisfied": 2}));
    let attention = summary["attention"].as_array().expect("a list");
    let names: Vec<_> = attention.iter().filter_map(|entry| entry["name"].as_str()).collect();
    for name in ["absent", "consent", "faulty", "smtp"] {
        assert!(names.contains(&name), "{name} needs a person: {names:?}");
    }
    assert!(!names.contains(&"database"), "{names:?}");
    assert_eq!(keys(&attention[0]), ["fix", "name", "reason", "status"]);
}

fn strict_turns_bad_news_into_503() {
    let host = mixed();
    for path in [
        "/api/health/integrations",
        "/api/health/integrations/faulty",
        "/api/health/services",
        "/api/health/services/dependent",
        "/api/health/connections",
        "/api/health/connections/summary",
    ] {
        assert_eq!(host.get(path).status, 200, "{path}");
        let strict = host.get(&format!("{path}?strict=1"));
        assert_eq!(strict.status, 503, "{path}?strict=1");
        assert!(strict.json().is_object(), "a 503 carries its body");
    }
    assert_eq!(host.get("/api/health/integrations/database?strict=1").status, 200);
}

fn an_etag_saves_the_body_until_something_changes() {
    let host = mixed();
    for path in [
        "/api/health",
        "/api/health/integrations",
        "/api/health/connections",
        "/api/health/services/dependent",
    ] {
        let first = host.get(path);
        let etag = first.header("etag").unwrap_or_else(|| panic!("{path} has an ETag")).to_owned();
        assert!(etag.starts_with("W/\""), "{etag}");
        assert_eq!(first.header("cache-control"), Some("no-cache"), "{path}");
        let again = host.request("GET", path, &[("if-none-match", &etag)], None);
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
        assert_eq!(again.header("etag"), Some(etag.as_str()), "{path}");
    }
    let health = host.get("/api/health").header("etag").map(str::to_owned);
    let integrations = host.get("/api/health/integrations").header("etag").map(str::to_owned);
    assert_ne!(health, integrations, "each view has its own");

    let etag = health.expect("it was just seen");
    host.call("faulty", "become", &json!({}));
    host.post("/api/health/integrations/faulty/verify", &json!({}));
    assert_eq!(host.request("GET", "/api/health", &[("if-none-match", &etag)], None).status, 200);
}

fn head_answers_as_get_without_the_body() {
    let host = mixed();
    for path in
        ["/api/health", "/api/health/integrations/faulty", "/livez", "/readyz", "/metrics", "/api/nowhere"]
    {
        let get = host.get(path);
        let head = host.request("HEAD", path, &[], None);
        assert_eq!((head.status, head.body.as_str()), (get.status, ""), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
    }
}

fn a_wrong_method_is_405_with_allow() {
    let host = mixed();
    let cases = [
        ("DELETE", "/api/health", "GET"),
        ("POST", "/api/health/connections", "GET"),
        ("PUT", "/livez", "GET"),
        ("GET", "/api/health/integrations/faulty/verify", "POST"),
    ];
    for (method, path, allowed) in cases {
        let response = host.request(method, path, &[], None);
        assert_eq!(response.status, 405, "{method} {path}");
        let allow = response.header("allow").unwrap_or_default();
        assert!(allow.split(',').any(|one| one.trim() == allowed), "{method} {path}: Allow: {allow:?}");
        assert_eq!(response.header("content-type"), Some("application/problem+json"), "{method} {path}");
    }
}

fn unknown_paths_and_names_are_problems_with_a_hint() {
    let host = mixed();
    for (path, hint) in [
        ("/api/health/integrations/databse", "`database`"),
        ("/api/health/services/dependant", "`dependent`"),
        ("/api/helth", "/api/health"),
    ] {
        let response = host.get(path);
        assert_eq!(response.status, 404, "{path}");
        assert_eq!(response.header("content-type"), Some("application/problem+json"), "{path}");
        let problem = response.json();
        assert_eq!(problem["status"], 404, "{path}");
        assert!(problem["title"].is_string(), "{path}: {problem}");
        assert!(response.body.contains(hint), "{path}: {}", response.body);
    }
}

fn livez_and_readyz_speak_of_the_process_alone() {
    let config = "[plugins.faulty]\ninit = { timeout = \"1h\" }\nsettings = { init = \"hang\" }\n";
    let host = Setup::new(config).start();
    host.wait_for_status("faulty", "initializing");
    assert_eq!(host.get("/livez").status, 200);
    assert_eq!(host.get("/readyz").status, 503, "not everything has settled");
    assert_eq!(host.get("/api/health").json()["status"], "degraded");
}

fn verify_probes_once_however_many_ask() {
    let config = "[plugins.faulty]\nprobe = { interval = \"1h\", timeout = \"10s\" }\nsettings = { probe = { slow_ms = 500 } }\n";
    let host = Setup::new(config).start();
    host.wait_for_status("faulty", "connected");
    let count = || host.call("faulty", "counts", &json!({})).json()["probes"].as_u64().expect("a number");
    let before = count();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let verified = host.post("/api/health/integrations/faulty/verify", &json!({}));
                assert_eq!((verified.status, &verified.json()["status"]), (200, &json!("connected")));
            });
        }
    });
    let probes = count() - before;
    assert!((1..=2).contains(&probes), "eight at once: {probes} probes");
    assert_eq!(host.post("/api/health/integrations/nobody/verify", &json!({})).status, 404);
}

fn ten_thousand_reads_cause_no_probe() {
    let config = "[plugins.faulty]\nprobe = { interval = \"1h\", timeout = \"1s\" }\n";
    let host = Setup::new(config).start();
    host.wait_for_status("faulty", "connected");
    let count = || host.call("faulty", "counts", &json!({})).json();
    let before = count();
    read_ten_thousand_times(&host);
    assert_eq!(count(), before);
}

fn read_ten_thousand_times(host: &TestHost) {
    let reads = b"GET /api/health/integrations HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(99);
    let last = b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    for _ in 0..100 {
        let answers = http::send_raw(host.address(), &[reads.as_slice(), last].concat()).expect("answers");
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 100);
    }
}

fn nor_do_they_while_every_plugin_hangs() {
    let plugin = |name: &str, interval: &str, fault: &str| {
        format!(
            "[plugins.{name}]\nlibrary = \"faulty\"\ninit = {{ timeout = \"1h\" }}\n\
             probe = {{ interval = \"{interval}\", timeout = \"1h\" }}\nsettings = {{ {fault} }}\n"
        )
    };
    // The first probe of one never ends, the others do not come so far; one has its thread asleep.
    let config = plugin("hangs_at_init", "1h", "init = \"hang\"")
        + &plugin("hangs_at_probe", "100ms", "probe = \"hang\"")
        + &plugin("blocks", "1h", "init = \"block\"");
    let host = Setup::new(&config).start();
    let count = |name: &str| host.call(name, "counts", &json!({})).json();
    let counts = || [count("hangs_at_init"), count("hangs_at_probe")];
    let hang = [json!({"inits": 1, "probes": 0}), json!({"inits": 1, "probes": 1})];
    wait_until("every plugin to hang", counts, |counts| *counts == hang);
    host.wait_for_status("blocks", "initializing");
    read_ten_thousand_times(&host);
    assert_eq!(counts(), hang, "nobody was asked anything");
    assert_eq!(host.status("blocks"), "initializing");
    assert_eq!(host.plugin("blocks")["generation"], 1, "it was not given up, either");
}

fn metrics_are_clean() -> Outcome {
    let host = mixed();
    host.call("faulty", "echo", &json!({"text": "x"}));
    host.call("faulty", "commit", &json!({"fault": "panic"}));
    let response = host.get("/metrics");
    assert!(response.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
    let metrics = response.body;
    for line in [
        r#"switchboard_plugin_status{kind="integration",plugin="faulty",status="error"} 1"#,
        r#"switchboard_plugin_status{kind="integration",plugin="faulty",status="connected"} 0"#,
        r#"switchboard_plugin_status{kind="service",plugin="dependent",status="connected"} 1"#,
    ] {
        assert!(metrics.lines().any(|found| found == line), "no `{line}` in\n{metrics}");
    }
    assert!(metrics.contains("switchboard_build_info{"), "{metrics}");
    assert_eq!(promtool::complaints(&metrics)?, "");
    Ok(())
}

fn metrics_are_openmetrics_for_who_asks() -> Outcome {
    let host = mixed();
    host.call("faulty", "echo", &json!({"text": "x"}));
    host.call("faulty", "commit", &json!({"fault": "panic"}));
    let accept = ("accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
    let response = host.request("GET", "/metrics", &[accept], None);
    assert_eq!(
        response.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let (metrics, plain) = (response.body, host.get("/metrics").body);
    assert!(metrics.ends_with("\n# EOF\n"), "{metrics}");
    let samples = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
    let read = openmetrics::samples(&metrics)?;
    assert_eq!(read, Ok(samples(&metrics)));
    assert_eq!(samples(&metrics), samples(&plain), "the same samples, another way");
    for line in [
        "# TYPE switchboard_plugin_transitions counter",
        "# UNIT switchboard_call_duration_seconds seconds",
        "# TYPE switchboard_build info",
        r#"switchboard_calls_total{operation="echo",plugin="faulty"} 1"#,
    ] {
        assert!(metrics.lines().any(|found| found == line), "no `{line}` in\n{metrics}");
    }
    Ok(())
}

fn a_real_prometheus_scrapes_them() -> Outcome {
    const TOKEN: &str = "correct-horse-battery-staple";
    let host = Setup::new("[plugins.faulty]\nprobe = { interval = \"1h\" }\n")
        .env("SWITCHBOARD_LISTEN", "0.0.0.0:0")
        .env("SWITCHBOARD_TOKEN", TOKEN)
        .start();
    host.wait_until_ready();
    let target = host.address().replace("0.0.0.0", "127.0.0.1");
    let prometheus = Prometheus::scraping(&target, Some(TOKEN))?;
    let value = |query: &str| {
        let series = prometheus.query(query);
        series.first().and_then(|series| series["value"][1].as_str()).map(str::to_owned)
    };
    let (connected, error) = (
        r#"switchboard_plugin_status{plugin="faulty",kind="integration",status="connected"}"#,
        r#"switchboard_plugin_status{plugin="faulty",kind="integration",status="error"}"#,
    );
    let one = Some("1".to_owned());
    wait_until("a scrape", || value(connected), |value| *value == one);
    assert_eq!(prometheus.query("up{job=\"switchboard\"} == 1").len(), 1);
    assert_eq!(
        prometheus.metadata("switchboard_plugin_transitions")["type"],
        "counter",
        "it read OpenMetrics"
    );

    let authorized =
        [("authorization", "Bearer correct-horse-battery-staple"), ("content-type", "application/json")];
    let fault = r#"{"probe":{"fail":{"code":"auth_invalid"}}}"#;
    host.request("POST", "/api/operations/faulty/become", &authorized, Some(fault));
    host.request("POST", "/api/health/integrations/faulty/verify", &authorized, None);
    wait_until("the change to be scraped", || value(error), |value| *value == one);
    assert_eq!(value(connected).as_deref(), Some("0"));
    wait_until(
        "as many transitions",
        || value(r#"sum(switchboard_plugin_transitions_total{plugin="faulty"})"#),
        |value| value.as_deref() == Some("3"),
    );
    Ok(())
}

fn malformed_requests_harm_nobody() {
    let host = mixed();
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
        b"GET\r\n\r\n",
        b"GET /api/health HTTP/9.9\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\nno colon here\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"POST /api/operations/faulty/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: nine\r\n\r\n",
    ] {
        let answer = http::send_raw(host.address(), bytes).unwrap_or_default();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(host.get("/livez").status, 200);
}

fn oversized_requests_are_refused() {
    let host = mixed();
    let line = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(1 << 20));
    let answer = http::send_raw(host.address(), line.as_bytes()).unwrap_or_default();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{}", &answer[..answer.len().min(200)]);

    let head =
        "POST /api/operations/faulty/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let request = format!("{head}Content-Length: 10000000000\r\n\r\n{{");
    let answer = http::send_raw(host.address(), request.as_bytes()).unwrap_or_default();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    wait_until("the host to live on", || host.get("/livez").status, |status| *status == 200);
}
