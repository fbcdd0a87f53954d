//! Requests that cannot be served as they are, and bad news for who is strict.

use expect_test::expect;

use super::*;

#[tokio::test]
async fn strict_turns_bad_news_into_503() {
    let host = Host::troubled();
    for (path, plain, strict) in [
        ("/api/health", 200, 503),
        ("/api/health/integrations", 200, 503),
        ("/api/health/connections", 200, 503),
        ("/api/health/connections/summary", 200, 503),
        ("/api/health/integrations/database", 200, 200),
        ("/api/health/integrations/twilio", 200, 503),
        ("/api/health/services/messaging_service", 200, 503),
    ] {
        assert_eq!(host.get(path).await.status, plain, "{path}");
        assert_eq!(host.get(&format!("{path}?strict=0")).await.status, plain, "{path}");
        let answer = host.get(&format!("{path}?strict=1")).await;
        assert_eq!(answer.status, strict, "{path}");
        assert_eq!(answer.body, host.get(path).await.body, "{path}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_answered_with_where_to_look() {
    let host = Host::troubled();
    host.get("/api/health/integrations/twilio_service").await.check(expect![[r#"
        404 application/problem+json
        {
          "type":"about:blank",
          "title":"Not Found",
          "status":404,
          "detail":"`twilio_service` is a service",
          "hint":"see `/api/health/services/twilio_service`"
        }
    "#]]);
    host.get("/api/health/services/twilio").await.check(expect![[r#"
        404 application/problem+json
        {
          "type":"about:blank",
          "title":"Not Found",
          "status":404,
          "detail":"`twilio` is an integration",
          "hint":"see `/api/health/integrations/twilio`"
        }
    "#]]);
    host.get("/api/health/integrations/twillio").await.check(expect![[r#"
        404 application/problem+json
        {
          "type":"about:blank",
          "title":"Not Found",
          "status":404,
          "detail":"no plugin is called `twillio`",
          "hint":"did you mean `twilio`? `/api/health/integrations` lists them"
        }
    "#]]);
    host.get("/api/health/services/%3Cscript%3E").await.check(expect![[r#"
        404 application/problem+json
        {
          "type":"about:blank",
          "title":"Not Found",
          "status":404,
          "detail":"no plugin is called `<script>`",
          "hint":"`/api/health/services` lists them"
        }
    "#]]);
    host.get("/api/heatlh").await.check(expect![[r#"
        404 application/problem+json
        {
          "type":"about:blank",
          "title":"Not Found",
          "status":404,
          "detail":"there is no route `/api/heatlh`",
          "hint":"the nearest are `/api/health`, `/api/health/events`, `/api/health/services`"
        }
    "#]]);
    host.get("/api/health/integrations/%ff").await.check(expect![[r#"
        400 application/problem+json
        {
          "type":"about:blank",
          "title":"Bad Request",
          "status":400,
          "detail":"the path is not UTF-8 once it is decoded",
          "hint":"write names as `/api/health/integrations` lists them: they are snake_case"
        }
    "#]]);
}

#[tokio::test]
async fn a_query_that_nobody_understands_is_refused_but_on_health() {
    let host = Host::connected();
    host.get("/api/health?strict=yes").await.check(expect![[r#"
        400 application/problem+json
        {
          "type":"about:blank",
          "title":"Bad Request",
          "status":400,
          "detail":"the query parameter `strict` is `yes`",
          "hint":"`strict` is 0 or 1"
        }
    "#]]);
    for path in ["/api/openapi.json?_=1", "/api/docs?_=1"] {
        assert_eq!(host.get(path).await.status, StatusCode::BAD_REQUEST, "{path}");
    }
    assert_eq!(host.post("/api/operations/database/query?_=1", &[], "{}").await.status, 400);

    // Monitors append such a key to get past caches.
    for path in
        ["/api/health", "/api/health/services", "/api/health/connections/summary", "/livez", "/metrics"]
    {
        assert_eq!(host.get(&format!("{path}?_=1732233600&verbose")).await.status, StatusCode::OK, "{path}");
    }
    let strict = host.get("/api/health/integrations/database?strict=1").await;
    let busted = host.get("/api/health/integrations/database?a=b&strict=1&_=7").await;
    assert_eq!(strict.header(header::ETAG), busted.header(header::ETAG));
    assert_eq!(host.get("/api/health?_=1&strict=yes").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn every_read_answers_head_and_refuses_other_methods() {
    let host = Host::connected();
    for path in ["/", "/api/health", "/api/health/integrations/database", "/livez", "/readyz", "/metrics"] {
        let shown = host.get(path).await;
        let head = Answer::read(host.send(Request::head(path).body(Body::empty()).unwrap()).await).await;
        assert_eq!((head.status, head.body.as_str()), (StatusCode::OK, ""), "{path}");
        assert_eq!(head.header(header::CONTENT_LENGTH), shown.body.len().to_string(), "{path}");
        assert_eq!(head.header(header::CONTENT_TYPE), shown.header(header::CONTENT_TYPE), "{path}");

        let delete = Request::builder().method(Method::DELETE).uri(path).body(Body::empty()).unwrap();
        let refused = Answer::read(host.send(delete).await).await;
        assert_eq!(
            (refused.status, refused.header(header::ALLOW)),
            (StatusCode::METHOD_NOT_ALLOWED, "GET,HEAD")
        );
        assert_eq!(refused.header(header::CONTENT_TYPE), "application/problem+json");
    }
}
