//! Verify and operations, and who may not ask for them.

use expect_test::expect;
use plugin_api::error::{ErrorKind, ReasonCode, RootCause};

use super::*;

const CALL: &str = "/api/operations/database/query";

#[tokio::test]
async fn verify_probes_and_answers_with_the_new_status() {
    let host = Host::connected();
    let found = Event::EvidenceFailed { failure: Failure::auth_invalid("the password is rejected") };
    *host.operations.board.lock().unwrap() = Some((host.board.clone(), "database".to_owned(), found));
    let path = "/api/health/integrations/database/verify";
    let answer = host.post(path, &[("content-type", "")], "").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.contains(r#""status":"error""#), "{}", answer.body);
    assert_eq!(answer.body, host.get("/api/health/integrations/database").await.body);
    let calls = host.operations.calls.lock().unwrap().clone();
    assert_eq!(calls, [r#"host.verify {"plugin":"database"}"#]);

    host.post("/api/health/services/database/verify", &[], "").await.check(expect![[r#"
        404 application/problem+json
        {
          "type":"about:blank",
          "title":"Not Found",
          "status":404,
          "detail":"`database` is an integration",
          "hint":"see `/api/health/integrations/database`"
        }
    "#]]);
    host.post("/api/health/services/nobody/verify", &[], "").await.check(expect![[r#"
        404 application/problem+json
        {
          "type":"about:blank",
          "title":"Not Found",
          "status":404,
          "detail":"no plugin is called `nobody`",
          "hint":"`/api/health/services` lists them"
        }
    "#]]);
    assert_eq!(host.operations.calls.lock().unwrap().len(), 1);
    let get = host.get(path).await;
    assert_eq!((get.status, get.header(header::ALLOW)), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
}

#[tokio::test]
async fn an_operation_is_json_in_and_json_out() {
    let host = Host::connected();
    *host.operations.answer.lock().unwrap() = Some(Ok(r#"{"rows":[]}"#.to_owned()));
    host.post(CALL, &[], r#"{"sql":"select 1"}"#).await.check(expect![[r#"
        200 application/json
        {
          "rows":[]
        }
    "#]]);
    host.post(CALL, &[("content-type", "")], "").await.check(expect![[r#"
        200 application/json
        {
          "rows":[]
        }
    "#]]);
    let calls = host.operations.calls.lock().unwrap().clone();
    assert_eq!(calls, [r#"database.query {"sql":"select 1"}"#, "database.query "]);
}

#[tokio::test]
async fn an_operation_that_fails_says_why_and_when_to_come_back() {
    let host = Host::connected();
    let root = RootCause {
        name: "database".to_owned(),
        status: "error".to_owned(),
        code: Some(ReasonCode::Refused),
        message: Some("nobody listens".to_owned()),
    };
    let mut error = OperationError::unavailable("the database does not answer");
    error = error.retry_after(Duration::from_millis(1500));
    error.root_causes.push(root);
    *host.operations.answer.lock().unwrap() = Some(Err(error));
    let answer = host.post(CALL, &[], "{}").await;
    assert_eq!(answer.header(header::RETRY_AFTER), "2");
    answer.check(expect![[r#"
        503 application/problem+json
        {
          "type":"about:blank",
          "title":"Service Unavailable",
          "status":503,
          "detail":"the database does not answer",
          "kind":"unavailable",
          "retry_after_ms":1500,
          "root_causes":[
            {
              "name":"database",
              "status":"error",
              "code":"refused",
              "message":"nobody listens"
            }
          ]
        }
    "#]]);

    for kind in ErrorKind::ALL {
        *host.operations.answer.lock().unwrap() = Some(Err(OperationError::new(kind, "said")));
        let answer = host.post(CALL, &[], "{}").await;
        assert_eq!(answer.status, kind.http_status());
        assert!(answer.body.contains(&format!(r#""kind":"{kind}""#)), "{}", answer.body);
    }
}

#[tokio::test]
async fn what_is_no_json_goes_nowhere() {
    let host = Host::connected();
    host.post(CALL, &[], "{\n  sql").await.check(expect![[r#"
        400 application/problem+json
        {
          "type":"about:blank",
          "title":"Bad Request",
          "status":400,
          "detail":"the body is not JSON: line 2, column 3",
          "hint":"send the request as JSON, or nothing for `{}`"
        }
    "#]]);
    host.post(CALL, &[("content-type", "text/plain")], "{}").await.check(expect![[r#"
        415 application/problem+json
        {
          "type":"about:blank",
          "title":"Unsupported Media Type",
          "status":415,
          "detail":"the content type is `text/plain`, not `application/json`",
          "hint":"send `Content-Type: application/json`"
        }
    "#]]);
    host.post(CALL, &[("content-type", "")], "{}").await.check(expect![[r#"
        415 application/problem+json
        {
          "type":"about:blank",
          "title":"Unsupported Media Type",
          "status":415,
          "detail":"the body has no content type",
          "hint":"send `Content-Type: application/json`"
        }
    "#]]);
    let largest = format!("\"{}\"", "x".repeat(1024 * 1024 - 2));
    assert_eq!(host.post(CALL, &[], &largest).await.status, StatusCode::OK);
    host.post(CALL, &[], &format!("{largest} ")).await.check(expect![[r#"
        413 application/problem+json
        {
          "type":"about:blank",
          "title":"Payload Too Large",
          "status":413,
          "detail":"the body is larger than 1048576 bytes",
          "hint":"send less at a time"
        }
    "#]]);
    host.post("/api/operations/database/query?dry=1", &[], "{}").await.check(expect![[r#"
        400 application/problem+json
        {
          "type":"about:blank",
          "title":"Bad Request",
          "status":400,
          "detail":"this route takes no query, not `dry=1`",
          "hint":"remove the query: the route reads only the path and the body"
        }
    "#]]);
    assert_eq!(host.operations.calls.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_page_from_elsewhere_cannot_write() {
    let host = Host::connected();
    host.post(CALL, &[("origin", "https://evil.example")], "{}").await.check(expect![[r#"
        403 application/problem+json
        {
          "type":"about:blank",
          "title":"Forbidden",
          "status":403,
          "detail":"the `Origin` is `https://evil.example`, the `Host` is `127.0.0.1:8080`",
          "hint":"use the host's own pages, at the address where it is reached: behind a proxy set `public_base_url` to that address; programs send no `Origin`"
        }
    "#]]);
    host.post(CALL, &[("host", "rebound.example:8080")], "{}").await.check(expect![[r#"
        403 application/problem+json
        {
          "type":"about:blank",
          "title":"Forbidden",
          "status":403,
          "detail":"the `Host` is `rebound.example:8080`, which is not this machine's loopback name",
          "hint":"use `localhost`, `127.0.0.1` or `[::1]` as the host; to reach it by another name, set a token"
        }
    "#]]);
    for headers in [
        &[("origin", "null")][..],
        &[("origin", "http://127.0.0.1:9000")],
        &[("origin", "http://localhost:8080")],
        &[("host", "localhost.evil.example")],
        &[("host", "127.0.0.1.evil.example")],
        &[("host", "me@localhost")],
        &[("host", "0.0.0.0")],
    ] {
        assert_eq!(host.post(CALL, headers, "{}").await.status, StatusCode::FORBIDDEN, "{headers:?}");
    }
    assert_eq!(host.post(CALL, &[("host", "")], "{}").await.status, StatusCode::BAD_REQUEST);
    assert!(host.operations.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn loopback_by_any_of_its_names_may_write() {
    let host = Host::connected();
    for headers in [
        &[("host", "localhost:1")][..],
        &[("host", "LOCALHOST")],
        &[("host", "[::1]:8080"), ("origin", "http://[::1]:8080")],
        &[("origin", "http://127.0.0.1:8080")],
        &[("content-type", "application/json; charset=utf-8")],
    ] {
        assert_eq!(host.post(CALL, headers, "{}").await.status, StatusCode::OK, "{headers:?}");
    }
}

#[tokio::test]
async fn reads_do_not_ask_for_a_name() {
    let request = Request::get("/api/health").header(header::HOST, "switchboard.internal");
    let answer = Host::connected().send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status(), StatusCode::OK);
}
