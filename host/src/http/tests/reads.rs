//! What each health route answers.

use expect_test::expect;

use super::*;

#[tokio::test]
async fn when_all_is_well() {
    let host = Host::connected();
    host.get("/api/health").await.check(expect![[r#"
        200 application/json
        {
          "status":"healthy",
          "version":"0.1.0",
          "boot_id":"k3v9",
          "revision":8,
          "started_at":"2026-11-22T22:50:00.000Z",
          "uptime_s":3600,
          "checked_at":"2026-11-22T23:50:00.000Z",
          "stale":false,
          "total":2,
          "counts":{
            "connected":2,
            "disconnected":0,
            "not_configured":0,
            "error":0,
            "initializing":0,
            "not_initialized":0
          },
          "blocked":0,
          "causes":[],
          "links":{
            "integrations":"/api/health/integrations",
            "services":"/api/health/services",
            "connections":"/api/health/connections",
            "events":"/api/health/events"
          }
        }
    "#]]);
    host.get("/api/health/integrations").await.check(expect![[r#"
        200 application/json
        {
          "status":"healthy",
          "revision":8,
          "checked_at":"2026-11-22T23:50:00.000Z",
          "integrations":{
            "database":{
              "name":"database",
              "kind":"integration",
              "required":true,
              "status":"connected",
              "healthy":true,
              "stale":false,
              "flapping":false,
              "since":"2026-11-22T22:50:02.000Z",
              "checked_at":"2026-11-22T22:50:02.000Z",
              "next_check_at":null,
              "latency_ms":20.0,
              "version":"0.1.0",
              "generation":1,
              "reason":null,
              "fix":null,
              "retry":{"attempt":0,"max_attempts":5,"next_attempt_at":null},
              "settings":{"missing":[],"invalid":[]},
              "failing":[],
              "dependencies":[],
              "dependents":["memory_service"],
              "blocked_by":[],
              "root_causes":[]
            }
          }
        }
    "#]]);
    host.get("/api/health/services").await.check(expect![[r#"
        200 application/json
        {
          "status":"healthy",
          "revision":8,
          "checked_at":"2026-11-22T23:50:00.000Z",
          "services":{
            "memory_service":{
              "name":"memory_service",
              "kind":"service",
              "required":false,
              "status":"connected",
              "healthy":true,
              "stale":false,
              "flapping":false,
              "since":"2026-11-22T22:50:02.000Z",
              "checked_at":"2026-11-22T22:50:02.000Z",
              "next_check_at":null,
              "latency_ms":20.0,
              "version":"0.2.0",
              "generation":1,
              "reason":null,
              "fix":null,
              "retry":{"attempt":0,"max_attempts":5,"next_attempt_at":null},
              "settings":{"missing":[],"invalid":[]},
              "failing":[],
              "dependencies":[{"name":"database","kind":"integration","required":true,"status":"connected","healthy":true,"satisfied":true}],
              "dependents":[],
              "blocked_by":[],
              "root_causes":[]
            }
          }
        }
    "#]]);
    host.get("/api/health/connections").await.check(expect![[r#"
        200 application/json
        {
          "status":"healthy",
          "revision":8,
          "checked_at":"2026-11-22T23:50:00.000Z",
          "integrations":{
            "database":{
              "name":"database",
              "kind":"integration",
              "required":true,
              "status":"connected",
              "healthy":true,
              "stale":false,
              "flapping":false,
              "since":"2026-11-22T22:50:02.000Z",
              "checked_at":"2026-11-22T22:50:02.000Z",
              "next_check_at":null,
              "latency_ms":20.0,
              "version":"0.1.0",
              "generation":1,
              "reason":null,
              "fix":null,
              "retry":{"attempt":0,"max_attempts":5,"next_attempt_at":null},
              "settings":{"missing":[],"invalid":[]},
              "failing":[],
              "dependencies":[],
              "dependents":["memory_service"],
              "blocked_by":[],
              "root_causes":[]
            }
          },
          "services":{
            "memory_service":{
              "name":"memory_service",
              "kind":"service",
              "required":false,
              "status":"connected",
              "healthy":true,
              "stale":false,
              "flapping":false,
              "since":"2026-11-22T22:50:02.000Z",
              "checked_at":"2026-11-22T22:50:02.000Z",
              "next_check_at":null,
              "latency_ms":20.0,
              "version":"0.2.0",
              "generation":1,
              "reason":null,
              "fix":null,
              "retry":{"attempt":0,"max_attempts":5,"next_attempt_at":null},
              "settings":{"missing":[],"invalid":[]},
              "failing":[],
              "dependencies":[{"name":"database","kind":"integration","required":true,"status":"connected","healthy":true,"satisfied":true}],
              "dependents":[],
              "blocked_by":[],
              "root_causes":[],
              "verification":"verified"
            }
          },
          "edges":[
            {
              "from":"memory_service",
              "to":"database",
              "required":true,
              "satisfied":true,
              "status":"connected"
            }
          ],
          "start":{
            "waves":[
              ["database"],
              ["memory_service"]
            ],
            "critical_path":[
              "database",
              "memory_service"
            ],
            "total_ms":40.5,
            "plugins":{
              "database":{"waited_ms":0.0,"init_ms":20.0},
              "memory_service":{"waited_ms":0.0,"init_ms":20.0}
            }
          }
        }
    "#]]);
    host.get("/api/health/connections/summary").await.check(expect![[r#"
        200 application/json
        {
          "status":"healthy",
          "revision":8,
          "total":2,
          "counts":{
            "connected":2,
            "disconnected":0,
            "not_configured":0,
            "error":0,
            "initializing":0,
            "not_initialized":0
          },
          "blocked":0,
          "causes":[],
          "failing_count":0,
          "failing":[],
          "attention":[],
          "edges":{
            "satisfied":1,
            "unsatisfied":0
          }
        }
    "#]]);
}

#[tokio::test]
async fn causes_come_with_what_they_affect() {
    let host = Host::troubled();
    host.get("/api/health").await.check(expect![[r#"
        200 application/json
        {
          "status":"degraded",
          "version":"0.1.0",
          "boot_id":"k3v9",
          "revision":17,
          "started_at":"2026-11-22T22:50:00.000Z",
          "uptime_s":3600,
          "checked_at":"2026-11-22T23:50:00.000Z",
          "stale":false,
          "total":8,
          "counts":{
            "connected":3,
            "disconnected":1,
            "not_configured":1,
            "error":2,
            "initializing":0,
            "not_initialized":1
          },
          "blocked":3,
          "causes":[
            {
              "name":"acme",
              "status":"error",
              "code":"load_failed",
              "since":"2026-11-22T22:50:02.000Z",
              "affects":[]
            },
            {
              "name":"google_calendar",
              "status":"disconnected",
              "code":"consent_required",
              "since":"2026-11-22T22:50:02.000Z",
              "affects":[]
            },
            {
              "name":"smtp",
              "status":"not_configured",
              "code":"config_missing",
              "since":"2026-11-22T22:50:02.000Z",
              "affects":["newsletter_service"]
            },
            {
              "name":"twilio",
              "status":"error",
              "code":"timeout",
              "since":"2026-11-22T22:50:02.000Z",
              "affects":["messaging_service","twilio_service"]
            }
          ],
          "links":{
            "integrations":"/api/health/integrations",
            "services":"/api/health/services",
            "connections":"/api/health/connections",
            "events":"/api/health/events"
          }
        }
    "#]]);
    host.get("/api/health/connections/summary").await.check(expect![[r#"
        200 application/json
        {
          "status":"degraded",
          "revision":17,
          "total":8,
          "counts":{
            "connected":3,
            "disconnected":1,
            "not_configured":1,
            "error":2,
            "initializing":0,
            "not_initialized":1
          },
          "blocked":3,
          "causes":[
            {
              "name":"acme",
              "status":"error",
              "code":"load_failed",
              "since":"2026-11-22T22:50:02.000Z",
              "affects":[]
            },
            {
              "name":"google_calendar",
              "status":"disconnected",
              "code":"consent_required",
              "since":"2026-11-22T22:50:02.000Z",
              "affects":[]
            },
            {
              "name":"smtp",
              "status":"not_configured",
              "code":"config_missing",
              "since":"2026-11-22T22:50:02.000Z",
              "affects":["newsletter_service"]
            },
            {
              "name":"twilio",
              "status":"error",
              "code":"timeout",
              "since":"2026-11-22T22:50:02.000Z",
              "affects":["messaging_service","twilio_service"]
            }
          ],
          "failing_count":0,
          "failing":[],
          "attention":[
            {
              "name":"acme",
              "status":"error",
              "reason":{"code":"load_failed","message":"`libacme.so` is a text file, not a library","retryable":false},
              "fix":{"action":"upgrade","label":"Rebuild or upgrade the library","href":null}
            },
            {
              "name":"google_calendar",
              "status":"disconnected",
              "reason":{"code":"consent_required","message":"configured, but nobody has authorised it yet","retryable":false},
              "fix":{"action":"authorize","label":"Connect Google Calendar","href":"/api/calendar/oauth/start"}
            },
            {
              "name":"smtp",
              "status":"not_configured",
              "reason":{"code":"config_missing","message":"`SMTP_SERVER` and `SMTP_FROM_EMAIL` are not set","retryable":false},
              "fix":{"action":"set_variables","label":"Set SMTP_SERVER, SMTP_FROM_EMAIL","href":null}
            }
          ],
          "edges":{
            "satisfied":1,
            "unsatisfied":3
          }
        }
    "#]]);
}

#[tokio::test]
async fn edges_and_verification() {
    let connections = Host::troubled().get("/api/health/connections").await;
    let connections: serde_json::Value = serde_json::from_str(&connections.body).unwrap();
    let verification = |name: &str| connections["services"][name]["verification"].as_str().unwrap();
    assert_eq!(verification("twilio_service"), "failed");
    assert_eq!(verification("newsletter_service"), "unverified");
    let edges: Vec<_> = connections["edges"].as_array().unwrap().iter().map(ToString::to_string).collect();
    expect![[r#"
        {"from":"messaging_service","required":true,"satisfied":false,"status":"connected","to":"twilio_service"}
        {"from":"messaging_service","required":false,"satisfied":true,"status":"connected","to":"database"}
        {"from":"newsletter_service","required":true,"satisfied":false,"status":"not_configured","to":"smtp"}
        {"from":"twilio_service","required":true,"satisfied":false,"status":"error","to":"twilio"}"#]].assert_eq(&edges.join("\n"));
}

#[tokio::test]
async fn one_plugin_in_each_kind_of_trouble() {
    let host = Host::troubled();
    host.get("/api/health/integrations/twilio").await.check(expect![[r#"
        200 application/json
        {
          "name":"twilio",
          "kind":"integration",
          "required":false,
          "status":"error",
          "healthy":false,
          "stale":false,
          "flapping":false,
          "since":"2026-11-22T22:50:02.000Z",
          "checked_at":"2026-11-22T22:50:02.000Z",
          "next_check_at":null,
          "latency_ms":null,
          "version":"0.1.0",
          "generation":1,
          "reason":{
            "code":"timeout",
            "message":"no answer within 2 s",
            "retryable":true
          },
          "fix":{
            "action":"retry",
            "label":"Wait, or verify it now",
            "href":null
          },
          "retry":{
            "attempt":1,
            "max_attempts":5,
            "next_attempt_at":null
          },
          "settings":{
            "missing":[],
            "invalid":[]
          },
          "failing":[],
          "dependencies":[],
          "dependents":[
            "twilio_service"
          ],
          "blocked_by":[],
          "root_causes":[
            "twilio"
          ],
          "history":[
            {
              "at":"2026-11-22T22:50:02.000Z",
              "from":"not_initialized",
              "to":"initializing",
              "code":null,
              "message":null
            },
            {
              "at":"2026-11-22T22:50:02.000Z",
              "from":"initializing",
              "to":"error",
              "code":"timeout",
              "message":"no answer within 2 s"
            }
          ]
        }
    "#]]);
    host.get("/api/health/integrations/google_calendar").await.check(expect![[r#"
        200 application/json
        {
          "name":"google_calendar",
          "kind":"integration",
          "required":false,
          "status":"disconnected",
          "healthy":false,
          "stale":false,
          "flapping":false,
          "since":"2026-11-22T22:50:02.000Z",
          "checked_at":"2026-11-22T22:50:02.000Z",
          "next_check_at":null,
          "latency_ms":null,
          "version":"0.1.0",
          "generation":1,
          "reason":{
            "code":"consent_required",
            "message":"configured, but nobody has authorised it yet",
            "retryable":false
          },
          "fix":{
            "action":"authorize",
            "label":"Connect Google Calendar",
            "href":"/api/calendar/oauth/start"
          },
          "retry":{
            "attempt":0,
            "max_attempts":5,
            "next_attempt_at":null
          },
          "settings":{
            "missing":[],
            "invalid":[]
          },
          "failing":[],
          "dependencies":[],
          "dependents":[],
          "blocked_by":[],
          "root_causes":[
            "google_calendar"
          ],
          "history":[
            {
              "at":"2026-11-22T22:50:02.000Z",
              "from":"not_initialized",
              "to":"initializing",
              "code":null,
              "message":null
            },
            {
              "at":"2026-11-22T22:50:02.000Z",
              "from":"initializing",
              "to":"disconnected",
              "code":"consent_required",
              "message":"configured, but nobody has authorised it yet"
            }
          ]
        }
    "#]]);
    host.get("/api/health/integrations/smtp").await.check(expect![[r#"
        200 application/json
        {
          "name":"smtp",
          "kind":"integration",
          "required":false,
          "status":"not_configured",
          "healthy":false,
          "stale":false,
          "flapping":false,
          "since":"2026-11-22T22:50:02.000Z",
          "checked_at":null,
          "next_check_at":null,
          "latency_ms":null,
          "version":"0.1.0",
          "generation":1,
          "reason":{
            "code":"config_missing",
            "message":"`SMTP_SERVER` and `SMTP_FROM_EMAIL` are not set",
            "retryable":false
          },
          "fix":{
            "action":"set_variables",
            "label":"Set SMTP_SERVER, SMTP_FROM_EMAIL",
            "href":null
          },
          "retry":{
            "attempt":0,
            "max_attempts":5,
            "next_attempt_at":null
          },
          "settings":{
            "missing":[
              "SMTP_SERVER",
              "SMTP_FROM_EMAIL"
            ],
            "invalid":[]
          },
          "failing":[],
          "dependencies":[],
          "dependents":[
            "newsletter_service"
          ],
          "blocked_by":[],
          "root_causes":[
            "smtp"
          ],
          "history":[
            {
              "at":"2026-11-22T22:50:02.000Z",
              "from":"not_initialized",
              "to":"not_configured",
              "code":"config_missing",
              "message":"`SMTP_SERVER` and `SMTP_FROM_EMAIL` are not set"
            }
          ]
        }
    "#]]);
    host.get("/api/health/services/messaging_service").await.check(expect![[r#"
        200 application/json
        {
          "name":"messaging_service",
          "kind":"service",
          "required":false,
          "status":"connected",
          "healthy":false,
          "stale":false,
          "flapping":false,
          "since":"2026-11-22T22:50:02.000Z",
          "checked_at":"2026-11-22T22:50:02.000Z",
          "next_check_at":null,
          "latency_ms":20.0,
          "version":"0.2.0",
          "generation":1,
          "reason":null,
          "fix":null,
          "retry":{
            "attempt":0,
            "max_attempts":5,
            "next_attempt_at":null
          },
          "settings":{
            "missing":[],
            "invalid":[]
          },
          "failing":[],
          "dependencies":[
            {
              "name":"twilio_service",
              "kind":"service",
              "required":true,
              "status":"connected",
              "healthy":false,
              "satisfied":false
            },
            {
              "name":"database",
              "kind":"integration",
              "required":false,
              "status":"connected",
              "healthy":true,
              "satisfied":true
            },
            {
              "name":"scheduler_service",
              "kind":null,
              "required":false,
              "status":null,
              "healthy":false,
              "satisfied":true
            }
          ],
          "dependents":[],
          "blocked_by":[
            "twilio_service"
          ],
          "root_causes":[
            "twilio"
          ],
          "history":[
            {
              "at":"2026-11-22T22:50:02.000Z",
              "from":"not_initialized",
              "to":"initializing",
              "code":null,
              "message":null
            },
            {
              "at":"2026-11-22T22:50:02.000Z",
              "from":"initializing",
              "to":"connected",
              "code":null,
              "message":null
            }
          ]
        }
    "#]]);
    host.get("/api/health/services/newsletter_service").await.check(expect![[r#"
        200 application/json
        {
          "name":"newsletter_service",
          "kind":"service",
          "required":false,
          "status":"not_initialized",
          "healthy":false,
          "stale":false,
          "flapping":false,
          "since":"2026-11-22T22:50:00.000Z",
          "checked_at":null,
          "next_check_at":null,
          "latency_ms":null,
          "version":"0.2.0",
          "generation":1,
          "reason":{
            "code":"dependency_unhealthy",
            "message":"cannot start before `smtp`",
            "retryable":true
          },
          "fix":{
            "action":"see_dependency",
            "label":"See smtp",
            "href":null
          },
          "retry":{
            "attempt":0,
            "max_attempts":5,
            "next_attempt_at":null
          },
          "settings":{
            "missing":[],
            "invalid":[]
          },
          "failing":[],
          "dependencies":[
            {
              "name":"smtp",
              "kind":"integration",
              "required":true,
              "status":"not_configured",
              "healthy":false,
              "satisfied":false
            }
          ],
          "dependents":[],
          "blocked_by":[
            "smtp"
          ],
          "root_causes":[
            "smtp"
          ],
          "history":[]
        }
    "#]]);
}

#[tokio::test]
async fn a_library_that_could_not_be_loaded_answers_under_both_names() {
    let host = Host::troubled();
    let integration = host.get("/api/health/integrations/acme").await;
    assert_eq!(integration.body, host.get("/api/health/services/acme").await.body);
    integration.check(expect![[r#"
        200 application/json
        {
          "name":"acme",
          "kind":"unknown",
          "required":false,
          "status":"error",
          "healthy":false,
          "stale":false,
          "flapping":false,
          "since":"2026-11-22T22:50:02.000Z",
          "checked_at":null,
          "next_check_at":null,
          "latency_ms":null,
          "version":null,
          "generation":1,
          "reason":{
            "code":"load_failed",
            "message":"`libacme.so` is a text file, not a library",
            "retryable":false
          },
          "fix":{
            "action":"upgrade",
            "label":"Rebuild or upgrade the library",
            "href":null
          },
          "retry":{
            "attempt":0,
            "max_attempts":1,
            "next_attempt_at":null
          },
          "settings":{
            "missing":[],
            "invalid":[]
          },
          "failing":[],
          "dependencies":[],
          "dependents":[],
          "blocked_by":[],
          "root_causes":[
            "acme"
          ],
          "history":[
            {
              "at":"2026-11-22T22:50:02.000Z",
              "from":"not_initialized",
              "to":"error",
              "code":"load_failed",
              "message":"`libacme.so` is a text file, not a library"
            }
          ]
        }
    "#]]);
    let listed = |body: &str| body.contains(r#""acme":{"#);
    assert!(listed(&host.get("/api/health/integrations").await.body));
    assert!(!listed(&host.get("/api/health/services").await.body));
}

#[tokio::test]
async fn what_a_plugin_notes_is_read_and_changes_no_health() {
    let host = Host::connected();
    let before = host.get("/api/health/integrations/database").await;
    assert!(!before.body.contains("notes"), "{}", before.body);
    host.apply("database", Event::Noted { notes: vec!["two jobs wait".to_owned()] });
    let noted = host.get("/api/health/integrations/database").await;
    assert!(noted.body.contains(r#""notes":["two jobs wait"]"#), "{}", noted.body);
    assert!(noted.body.contains(r#""status":"connected","healthy":true"#), "{}", noted.body);
}

#[tokio::test]
async fn without_a_required_plugin_the_host_is_unhealthy() {
    let host = Host::connected();
    host.apply(
        "database",
        Event::EvidenceFailed { failure: Failure::auth_invalid("rejected").setting("url") },
    );
    let health = host.get("/api/health").await;
    assert_eq!(health.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(health.body.starts_with(r#"{"status":"unhealthy","#), "{}", health.body);
    assert_eq!(host.get("/api/health/integrations").await.status, StatusCode::OK, "bad news can be read");
}

#[tokio::test]
async fn a_checker_that_stopped_makes_the_host_unhealthy() {
    let host = Host::connected();
    host.board.tick(ago(16));
    let health = host.get("/api/health").await;
    assert_eq!(health.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(health.body.contains(r#""stale":true"#), "{}", health.body);
    assert_eq!(host.get("/livez").await.status, StatusCode::SERVICE_UNAVAILABLE);
    host.board.tick(now());
    assert_eq!(host.get("/api/health").await.status, StatusCode::OK);
}
