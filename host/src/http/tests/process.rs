//! Orchestrators, scrapers, and a person's browser.

use expect_test::expect;

use super::*;

#[tokio::test]
async fn ready_once_everything_has_settled_and_until_it_drains() {
    let host = Host::new(vec![database(), service("memory_service", &["database"])]);
    host.connect("database");
    host.board.tick(now());
    host.get("/livez").await.check(expect![[r#"
        200 application/json
        {
          "status":"alive"
        }
    "#]]);
    host.get("/readyz").await.check(expect![[r#"
        503 application/problem+json
        {
          "type":"about:blank",
          "title":"Service Unavailable",
          "status":503,
          "detail":"1 of 2 plugins have not settled yet",
          "hint":"see `/api/health/connections` for what each of them waits for"
        }
    "#]]);

    host.fail("memory_service", Failure::internal("panicked"));
    host.get("/readyz").await.check(expect![[r#"
        200 application/json
        {
          "status":"ready"
        }
    "#]]);
    host.draining.send_replace(true);
    host.get("/readyz").await.check(expect![[r#"
        503 application/problem+json
        {
          "type":"about:blank",
          "title":"Service Unavailable",
          "status":503,
          "detail":"the host is stopping",
          "hint":"try again once it has been restarted"
        }
    "#]]);
    assert_eq!(host.get("/livez").await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_metrics_of_one_plugin() {
    let host = Host::new(vec![database()]);
    host.connect("database");
    host.apply("database", Event::ProbeSucceeded { latency: Duration::from_millis(7) });
    host.get("/metrics").await.check(expect![[r#"
        200 text/plain; version=0.0.4; charset=utf-8
        # HELP switchboard_build_info Which build of the host this is; always 1.
        # TYPE switchboard_build_info gauge
        switchboard_build_info{version="0.1.0"} 1
        # HELP switchboard_event_streams_open Clients that follow the health events.
        # TYPE switchboard_event_streams_open gauge
        switchboard_event_streams_open 0
        # HELP switchboard_plugin_failing Whether the plugin fails in use, by operation; with an empty one: 1 as a whole, 0 not at all.
        # TYPE switchboard_plugin_failing gauge
        switchboard_plugin_failing{operation="",plugin="database"} 0
        # HELP switchboard_plugin_healthy Whether the plugin is connected and everything that it requires is healthy.
        # TYPE switchboard_plugin_healthy gauge
        switchboard_plugin_healthy{kind="integration",plugin="database"} 1
        # HELP switchboard_plugin_instances_abandoned Hung instances of the plugin that were abandoned, each with its threads, since the host started.
        # TYPE switchboard_plugin_instances_abandoned gauge
        switchboard_plugin_instances_abandoned{kind="integration",plugin="database"} 0
        # HELP switchboard_plugin_instances_abandoned_limit How many instances may be abandoned before no more are made.
        # TYPE switchboard_plugin_instances_abandoned_limit gauge
        switchboard_plugin_instances_abandoned_limit 5
        # HELP switchboard_plugin_probe_duration_seconds How long probes took.
        # TYPE switchboard_plugin_probe_duration_seconds histogram
        switchboard_plugin_probe_duration_seconds_bucket{kind="integration",plugin="database",le="0.001"} 0
        switchboard_plugin_probe_duration_seconds_bucket{kind="integration",plugin="database",le="0.005"} 0
        switchboard_plugin_probe_duration_seconds_bucket{kind="integration",plugin="database",le="0.01"} 1
        switchboard_plugin_probe_duration_seconds_bucket{kind="integration",plugin="database",le="0.05"} 1
        switchboard_plugin_probe_duration_seconds_bucket{kind="integration",plugin="database",le="0.1"} 1
        switchboard_plugin_probe_duration_seconds_bucket{kind="integration",plugin="database",le="0.25"} 1
        switchboard_plugin_probe_duration_seconds_bucket{kind="integration",plugin="database",le="0.5"} 1
        switchboard_plugin_probe_duration_seconds_bucket{kind="integration",plugin="database",le="1"} 1
        switchboard_plugin_probe_duration_seconds_bucket{kind="integration",plugin="database",le="2.5"} 1
        switchboard_plugin_probe_duration_seconds_bucket{kind="integration",plugin="database",le="10"} 1
        switchboard_plugin_probe_duration_seconds_bucket{kind="integration",plugin="database",le="+Inf"} 1
        switchboard_plugin_probe_duration_seconds_sum{kind="integration",plugin="database"} 0.007
        switchboard_plugin_probe_duration_seconds_count{kind="integration",plugin="database"} 1
        # HELP switchboard_plugin_status The status of the plugin: 1 for the one that it has, 0 for the others.
        # TYPE switchboard_plugin_status gauge
        switchboard_plugin_status{kind="integration",plugin="database",status="connected"} 1
        switchboard_plugin_status{kind="integration",plugin="database",status="disconnected"} 0
        switchboard_plugin_status{kind="integration",plugin="database",status="not_configured"} 0
        switchboard_plugin_status{kind="integration",plugin="database",status="error"} 0
        switchboard_plugin_status{kind="integration",plugin="database",status="initializing"} 0
        switchboard_plugin_status{kind="integration",plugin="database",status="not_initialized"} 0
        # HELP switchboard_plugin_transitions_total How often the status of the plugin changed.
        # TYPE switchboard_plugin_transitions_total counter
        switchboard_plugin_transitions_total{kind="integration",plugin="database"} 2

    "#]]);
}

#[tokio::test]
async fn what_others_measure_is_in_the_metrics() {
    let host = Host::connected();
    let calls = prometheus::IntCounter::new("switchboard_calls_total", "Calls.").unwrap();
    calls.inc();
    let registry = prometheus::Registry::new();
    registry.register(Box::new(calls)).unwrap();
    let state = HttpState {
        board: host.board.clone(),
        routes: Routes::default(),
        operations: host.operations.clone(),
        registry,
        draining: host.draining.subscribe(),
        access: AccessSettings::default(),
        operators: Operators::default(),
        clock: now,
    };
    let answer = Host { router: router(state), ..host }.get("/metrics").await;
    assert!(answer.body.ends_with("switchboard_calls_total 1\n"), "{}", answer.body);
}

#[tokio::test]
async fn a_task_of_the_host_that_panicked_is_told_and_counted() {
    let host = Host::connected();
    assert!(!host.get("/api/health").await.body.contains("notes"));
    host.board.task_panicked("journal", None, now());
    host.board.task_panicked("journal", None, now());
    let health = host.get("/api/health").await;
    let told = r#""notes":["a task of the host, `journal`, ended by a panic 2 times, last at "#;
    assert!(health.body.contains(told), "{}", health.body);
    assert!(health.body.starts_with(r#"{"status":"healthy","#), "{}", health.body);
    for path in ["/api/health/connections", "/"] {
        let told = host.get(path).await.body;
        assert!(told.contains("a task of the host, `journal`, ended by a panic 2 times"), "{path}: {told}");
    }
    let metrics = host.get("/metrics").await.body;
    assert!(metrics.contains("switchboard_host_task_panics_total{task=\"journal\"} 2\n"), "{metrics}");
}
