//! Who may ask for what: on this machine, with the token, with a cookie, through a proxy, and without any of these.

use expect_test::expect;

use super::*;

const TOKEN: &str = "correct-horse-battery-staple";
const CALL: &str = "/api/operations/database/query";
const BEARER: (&str, &str) = ("authorization", "Bearer correct-horse-battery-staple");
const PROXY: (&str, &str) = ("x-forwarded-for", "192.0.2.1");
/// What operators read, and others see less of.
const HEALTH: [&str; 7] = [
    "/api/health",
    "/api/health/integrations",
    "/api/health/services",
    "/api/health/connections",
    "/api/health/connections/summary",
    "/api/health/integrations/twilio",
    "/api/health/services/messaging_service",
];

impl Host {
    /// Listens beyond loopback.
    fn exposed() -> Self {
        Self::with_access(vec![database()], AccessSettings { is_beyond_loopback: true, ..with_token() })
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request =
            Request::builder().method(method).uri(path).header(header::HOST, "switchboard.example");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::read(self.send(request.body(Body::from(body.to_owned())).unwrap()).await).await
    }

    async fn read(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask("GET", path, headers, "").await
    }

    async fn call(&self, headers: &[(&str, &str)]) -> Answer {
        let json = ("content-type", "application/json");
        self.ask("POST", CALL, &[headers, &[json]].concat(), "{}").await
    }

    async fn log_in(&self, token: &str, headers: &[(&str, &str)]) -> Answer {
        let form = ("content-type", "application/x-www-form-urlencoded");
        self.ask("POST", "/login", &[headers, &[form]].concat(), &format!("token={token}")).await
    }
}

fn with_token() -> AccessSettings {
    AccessSettings { token: Some(TOKEN.parse().unwrap()), ..AccessSettings::default() }
}

/// The cookie of an answer as the browser sends it back.
fn cookie(answer: &Answer) -> String {
    answer.header(header::SET_COOKIE).split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn without_a_token_this_machine_needs_none() {
    let host = Host::new(vec![database()]);
    assert_eq!(host.post(CALL, &[], "{}").await.status, StatusCode::OK);
    for path in ["/", "/metrics"] {
        assert_eq!(host.get(path).await.status, StatusCode::OK, "{path}");
    }
    assert!(host.get("/api/health/integrations/database").await.body.contains("dependents"));
}

#[tokio::test]
async fn a_token_that_is_configured_is_demanded_on_this_machine_too() {
    let host = Host::with_access(vec![database()], with_token());
    host.connect("database");
    host.board.tick(now());
    assert_eq!(host.post(CALL, &[], "{}").await.status, StatusCode::UNAUTHORIZED);
    for path in ["/", "/metrics"] {
        assert_eq!(host.get(path).await.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(host.read(path, &[BEARER]).await.status, StatusCode::OK, "{path}");
    }
    for path in ["/livez", "/readyz", "/login"] {
        assert_eq!(host.get(path).await.status, StatusCode::OK, "{path}");
    }
    assert_eq!(host.get("/api/health").await.body, r#"{"status":"healthy"}"#);
    assert!(!host.get("/api/health/integrations/database").await.body.contains("dependents"));
    assert!(host.operations.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_wrong_token_is_never_taken_for_nobody() {
    let host = Host::with_access(vec![database()], with_token());
    let wrong = [("authorization", "Bearer wrong"), ("accept", "text/html")];
    for path in HEALTH[..5].iter().chain(&["/", "/metrics", "/api/health/events", "/api/openapi.json"]) {
        assert_eq!(host.read(path, &wrong).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    let cookie = cookie(&host.log_in(TOKEN, &[]).await);
    let both = [wrong[0], ("cookie", cookie.as_str())];
    assert_eq!(host.read("/metrics", &both).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn many_wrong_tokens_have_to_wait_and_the_right_one_does_not() {
    let host = Host::with_access(vec![database()], with_token());
    let wrong = [("authorization", "Bearer wrong")];
    for _ in 0..30 {
        assert_eq!(host.read("/metrics", &wrong).await.status, StatusCode::UNAUTHORIZED);
    }
    let refused = host.read("/api/health", &wrong).await;
    assert_eq!((refused.status, refused.header(header::RETRY_AFTER)), (StatusCode::TOO_MANY_REQUESTS, "60"));
    assert_eq!(host.read("/metrics", &[BEARER]).await.status, StatusCode::OK);
    assert_eq!(
        host.read("/metrics", &[]).await.status,
        StatusCode::UNAUTHORIZED,
        "without one it is no guess"
    );
    assert_eq!(host.log_in(TOKEN, &[]).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn beyond_this_machine_the_token_opens_what_is_the_operators() {
    let host = Host::exposed();
    for path in ["/", "/metrics"] {
        assert_eq!(host.read(path, &[]).await.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(host.read(path, &[BEARER]).await.status, StatusCode::OK, "{path}");
    }
    for path in ["/livez", "/api/health", "/api/health/integrations", "/login"] {
        assert_ne!(host.read(path, &[]).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    let refused = host.call(&[]).await;
    assert_eq!(refused.header(header::WWW_AUTHENTICATE), "Bearer");
    refused.check(expect![[r#"
        401 application/problem+json
        {
          "type":"about:blank",
          "title":"Unauthorized",
          "status":401,
          "detail":"only operators may ask for this",
          "hint":"send `Authorization: Bearer <token>`; in a browser, open `/login`"
        }
    "#]]);
    let verify = "/api/health/integrations/database/verify";
    assert_eq!(host.ask("POST", verify, &[], "").await.status, StatusCode::UNAUTHORIZED);
    assert!(host.operations.calls.lock().unwrap().is_empty());
    assert_eq!(host.call(&[BEARER]).await.status, StatusCode::OK);
    assert_eq!(host.call(&[("authorization", "bearer   correct-horse-battery-staple ")]).await.status, 200);
}

#[tokio::test]
async fn what_is_not_the_token_opens_nothing() {
    let host = Host::exposed();
    for wrong in [
        ("authorization", "Bearer correct-horse-battery-stapl"),
        ("authorization", "Bearer correct-horse-battery-staple2"),
        ("authorization", "Bearer"),
        ("authorization", "Bearer "),
        ("authorization", "Basic correct-horse-battery-staple"),
        ("authorization", "correct-horse-battery-staple"),
        ("cookie", "switchboard_session=correct-horse-battery-staple"),
    ] {
        assert_eq!(host.call(&[wrong]).await.status, StatusCode::UNAUTHORIZED, "{wrong:?}");
    }
    host.read("/metrics", &[("authorization", "Bearer wrong")]).await.check(expect![[r#"
        401 application/problem+json
        {
          "type":"about:blank",
          "title":"Unauthorized",
          "status":401,
          "detail":"the bearer token is not the operator's token",
          "hint":"it is the value of `SWITCHBOARD_TOKEN`, or is in the file that `token_file` names"
        }
    "#]]);
    host.read("/metrics", &[("cookie", "switchboard_session=1.2.3")]).await.check(expect![[r#"
        401 application/problem+json
        {
          "type":"about:blank",
          "title":"Unauthorized",
          "status":401,
          "detail":"the session has ended",
          "hint":"log in again at `/login`; programs send `Authorization: Bearer <token>`"
        }
    "#]]);
}

#[tokio::test]
async fn through_a_proxy_the_token_is_demanded() {
    let host = Host::with_access(vec![database()], with_token());
    for name in ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-anything", "forwarded", "via"] {
        assert_eq!(host.post(CALL, &[(name, "for=127.0.0.1")], "{}").await.status, 401, "{name}");
    }
    assert_eq!(host.post(CALL, &[PROXY, ("authorization", BEARER.1)], "{}").await.status, 200);

    let public = AccessSettings { public_base_url: Some("https://a.example".to_owned()), ..with_token() };
    let host = Host::with_access(vec![database()], public);
    assert_eq!(host.post(CALL, &[], "{}").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(host.post(CALL, &[("authorization", BEARER.1)], "{}").await.status, StatusCode::OK);

    let without = Host::new(vec![database()]);
    without.post(CALL, &[PROXY], "{}").await.check(expect![[r#"
        401 application/problem+json
        {
          "type":"about:blank",
          "title":"Unauthorized",
          "status":401,
          "detail":"only operators may ask for this, and the host has no operator's token",
          "hint":"set `token_file`, or `SWITCHBOARD_TOKEN` in `.env`, and reload it (`SIGHUP`), or ask on this machine without a proxy"
        }
    "#]]);
}

#[tokio::test]
async fn who_cannot_be_placed_is_not_taken_for_local() {
    let host = Host::with_access(vec![database()], with_token());
    for from in [None, Some(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 1))))] {
        let mut request = Request::get("/metrics").body(Body::empty()).unwrap();
        from.map(|from| request.extensions_mut().insert(from));
        let answer = host.router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{from:?}");
    }
}

#[tokio::test]
async fn a_page_under_a_foreign_name_reads_no_details_of_this_machine() {
    let host = Host::connected();
    assert_eq!(host.read("/metrics", &[]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(host.read("/api/health", &[]).await.body, r#"{"status":"healthy"}"#);
}

#[tokio::test]
async fn a_browser_logs_in_and_out() {
    let host = Host::exposed();
    let home = host.read("/", &[("accept", "text/html,*/*")]).await;
    assert_eq!((home.status, home.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/login"));
    let form = host.read("/login", &[]).await;
    assert_eq!(form.status, StatusCode::OK);
    assert!(form.body.contains(r#"<form method="post" action="/login">"#), "{}", form.body);
    assert_eq!(form.header(header::REFERRER_POLICY), "same-origin");

    let wrong = host.log_in("correct-horse", &[("accept", "text/html")]).await;
    assert_eq!((wrong.status, wrong.header(header::SET_COOKIE)), (StatusCode::UNAUTHORIZED, ""));
    assert!(
        wrong.body.contains("not the operator's token") && wrong.body.contains("<form"),
        "{}",
        wrong.body
    );

    let welcome = host.log_in(TOKEN, &[("origin", "http://switchboard.example")]).await;
    assert_eq!((welcome.status, welcome.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/"));
    let set = welcome.header(header::SET_COOKIE);
    assert!(set.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"), "{set}");
    assert!(!set.contains(TOKEN), "{set}");
    let cookie = cookie(&welcome);
    let with_cookie = [("cookie", cookie.as_str())];
    let home = host.read("/", &with_cookie).await;
    assert_eq!(home.status, StatusCode::OK);
    assert!(home.body.contains("action=\"/logout\""), "{}", home.body);
    assert!(host.read("/api/health/integrations", &with_cookie).await.body.contains("dependents"));

    let own = [with_cookie[0], ("sec-fetch-site", "same-origin")];
    let elsewhere = [with_cookie[0], ("sec-fetch-site", "cross-site")];
    assert_eq!(host.ask("POST", "/logout", &elsewhere, "").await.status, StatusCode::FORBIDDEN);
    let bye = host.ask("POST", "/logout", &own, "").await;
    assert_eq!((bye.status, bye.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/login"));
    assert!(bye.header(header::SET_COOKIE).starts_with("switchboard_session=; Path=/; Max-Age=0;"));
    assert_eq!(
        host.read("/metrics", &with_cookie).await.status,
        StatusCode::UNAUTHORIZED,
        "it is worth nothing"
    );
}

#[tokio::test]
async fn a_page_elsewhere_cannot_use_the_cookie() {
    let host = Host::exposed();
    let cookie = cookie(&host.log_in(TOKEN, &[]).await);
    let cookie = ("cookie", cookie.as_str());
    for (expected, headers) in [
        (403, &[cookie][..]),
        (403, &[cookie, ("origin", "null")]),
        (403, &[cookie, ("origin", "https://evil.example")]),
        (403, &[cookie, ("origin", "http://switchboard.example.evil.example")]),
        (403, &[cookie, ("origin", "http://switchboard.example"), ("sec-fetch-site", "same-site")]),
        (403, &[cookie, ("sec-fetch-site", "none")]),
        (403, &[cookie, ("x-forwarded-host", "evil.example"), ("origin", "http://evil.example")]),
        (200, &[cookie, ("origin", "http://switchboard.example")]),
        (200, &[cookie, ("sec-fetch-site", "same-origin")]),
        (200, &[cookie, BEARER]),
    ] {
        assert_eq!(host.call(headers).await.status, expected, "{headers:?}");
    }
    let socket = [cookie, ("upgrade", "websocket"), ("origin", "https://evil.example")];
    assert_eq!(host.read("/metrics", &socket).await.status, StatusCode::FORBIDDEN, "a WebSocket is no read");
}

#[tokio::test]
async fn a_named_proxy_says_how_the_browser_came() {
    let trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    let host = Host::with_access(vec![database()], AccessSettings { trusted_proxies, ..with_token() });
    let came = [
        PROXY,
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "public.example"),
        ("origin", "https://public.example"),
    ];
    let welcome = host.log_in(TOKEN, &came).await;
    assert!(welcome.header(header::SET_COOKIE).ends_with("; Secure"), "{welcome:?}");
    let cookie = cookie(&welcome);
    assert_eq!(host.call(&[&came[..], &[("cookie", &cookie)]].concat()).await.status, StatusCode::OK);

    let believes_nobody = Host::with_access(vec![database()], with_token());
    assert_eq!(believes_nobody.log_in(TOKEN, &came).await.status, StatusCode::FORBIDDEN);
    let welcome = believes_nobody.log_in(TOKEN, &came[..2]).await;
    assert!(welcome.header(header::SET_COOKIE).ends_with("SameSite=Strict"), "{welcome:?}");
}

#[tokio::test]
async fn guesses_at_the_login_have_to_wait_and_the_right_token_does_not() {
    let trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    let host = Host::with_access(vec![database()], AccessSettings { trusted_proxies, ..with_token() });
    for _ in 0..5 {
        assert_eq!(host.log_in("wrong", &[PROXY]).await.status, StatusCode::UNAUTHORIZED);
    }
    let refused = host.log_in("wrong", &[PROXY]).await;
    assert_eq!((refused.status, refused.header(header::RETRY_AFTER)), (StatusCode::TOO_MANY_REQUESTS, "60"));
    refused.check(expect![[r#"
        429 application/problem+json
        {
          "type":"about:blank",
          "title":"Too Many Requests",
          "status":429,
          "detail":"too many wrong tokens from this address",
          "hint":"send the right token, which is accepted at any time, or wait 60 s"
        }
    "#]]);
    let other = [("x-forwarded-for", "192.0.2.2")];
    assert_eq!(host.log_in("wrong", &other).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(host.call(&[PROXY, BEARER]).await.status, StatusCode::OK);
    assert_eq!(host.log_in(TOKEN, &[PROXY]).await.status, StatusCode::SEE_OTHER, "nobody can lock it out");
}

#[tokio::test]
async fn a_login_that_is_none() {
    let host = Host::exposed();
    let json = [("content-type", "application/json")];
    assert_eq!(host.ask("POST", "/login", &json, "{}").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(host.log_in(&"x".repeat(5000), &[]).await.status, StatusCode::BAD_REQUEST);
    Host::connected().get("/login").await.check(expect![[r#"
        404 application/problem+json
        {
          "type":"about:blank",
          "title":"Not Found",
          "status":404,
          "detail":"there is nothing to log in with: the host has no operator's token",
          "hint":"set `token_file`, or `SWITCHBOARD_TOKEN` in `.env`, and reload it (`SIGHUP`)"
        }
    "#]]);
}

#[tokio::test]
async fn without_the_token_health_says_how_it_stands_and_not_why() {
    let host = Host::troubled();
    let mut told = String::new();
    for path in HEALTH {
        let answer = host.read(path, &[PROXY]).await;
        told.push_str(&format!("{} {path} {}\n", answer.status.as_u16(), answer.body));
    }
    expect![[r#"
        200 /api/health {"status":"degraded"}
        200 /api/health/integrations {"status":"degraded","integrations":{"acme":{"name":"acme","kind":"unknown","status":"error","healthy":false,"since":"2026-11-22T22:50:02.000Z"},"database":{"name":"database","kind":"integration","status":"connected","healthy":true,"since":"2026-11-22T22:50:02.000Z"},"google_calendar":{"name":"google_calendar","kind":"integration","status":"disconnected","healthy":false,"since":"2026-11-22T22:50:02.000Z"},"smtp":{"name":"smtp","kind":"integration","status":"not_configured","healthy":false,"since":"2026-11-22T22:50:02.000Z"},"twilio":{"name":"twilio","kind":"integration","status":"error","healthy":false,"since":"2026-11-22T22:50:02.000Z"}}}
        200 /api/health/services {"status":"degraded","services":{"messaging_service":{"name":"messaging_service","kind":"service","status":"connected","healthy":false,"since":"2026-11-22T22:50:02.000Z"},"newsletter_service":{"name":"newsletter_service","kind":"service","status":"not_initialized","healthy":false,"since":"2026-11-22T22:50:00.000Z"},"twilio_service":{"name":"twilio_service","kind":"service","status":"connected","healthy":false,"since":"2026-11-22T22:50:02.000Z"}}}
        200 /api/health/connections {"status":"degraded","integrations":{"acme":{"name":"acme","kind":"unknown","status":"error","healthy":false,"since":"2026-11-22T22:50:02.000Z"},"database":{"name":"database","kind":"integration","status":"connected","healthy":true,"since":"2026-11-22T22:50:02.000Z"},"google_calendar":{"name":"google_calendar","kind":"integration","status":"disconnected","healthy":false,"since":"2026-11-22T22:50:02.000Z"},"smtp":{"name":"smtp","kind":"integration","status":"not_configured","healthy":false,"since":"2026-11-22T22:50:02.000Z"},"twilio":{"name":"twilio","kind":"integration","status":"error","healthy":false,"since":"2026-11-22T22:50:02.000Z"}},"services":{"messaging_service":{"name":"messaging_service","kind":"service","status":"connected","healthy":false,"since":"2026-11-22T22:50:02.000Z"},"newsletter_service":{"name":"newsletter_service","kind":"service","status":"not_initialized","healthy":false,"since":"2026-11-22T22:50:00.000Z"},"twilio_service":{"name":"twilio_service","kind":"service","status":"connected","healthy":false,"since":"2026-11-22T22:50:02.000Z"}}}
        200 /api/health/connections/summary {"status":"degraded"}
        200 /api/health/integrations/twilio {"name":"twilio","kind":"integration","status":"error","healthy":false,"since":"2026-11-22T22:50:02.000Z"}
        200 /api/health/services/messaging_service {"name":"messaging_service","kind":"service","status":"connected","healthy":false,"since":"2026-11-22T22:50:02.000Z"}
    "#]].assert_eq(&told);
}

#[tokio::test]
async fn who_sees_less_has_another_tag() {
    let host = Host::troubled();
    for path in HEALTH {
        let (full, outline) = (host.get(path).await, host.read(path, &[PROXY]).await);
        let (full, outline) = (full.header(header::ETAG), outline.header(header::ETAG));
        assert_ne!(full, outline, "{path}");
        let with_full = host.read(path, &[PROXY, ("if-none-match", full)]).await;
        assert_eq!(with_full.status, StatusCode::OK, "{path}");
        let with_own = host.read(path, &[PROXY, ("if-none-match", outline)]).await;
        assert_eq!(with_own.status, StatusCode::NOT_MODIFIED, "{path}");
    }
}
