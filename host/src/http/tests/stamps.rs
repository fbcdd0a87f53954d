//! What every answer carries, and how long a request may take to arrive.

use expect_test::expect;

use super::*;

#[tokio::test]
async fn every_answer_keeps_browsers_careful() {
    let host = Host::connected();
    let paths = ["/", "/api/health", "/livez", "/metrics", "/nowhere", "/api/health?strict=maybe"];
    for path in paths {
        let answer = host.get(path).await;
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{path}");
        assert_eq!(answer.header(header::X_FRAME_OPTIONS), "DENY", "{path}");
        let referrer = if path == "/" { "same-origin" } else { "no-referrer" };
        assert_eq!(answer.header(header::REFERRER_POLICY), referrer, "{path}");
    }
    assert_eq!(
        host.get("/").await.header(header::CONTENT_SECURITY_POLICY),
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
}

#[tokio::test]
async fn a_request_is_found_again_by_its_id() {
    let host = Host::connected();
    let (one, other) = (host.get("/nowhere").await, host.get("/nowhere").await);
    let id = one.header("x-request-id");
    assert_eq!(id.len(), 16);
    assert_ne!(id, other.header("x-request-id"));
    assert!(one.body.ends_with(&format!("\"request_id\":\"{id}\"}}")), "{}", one.body);

    let ask = async |id: &str| {
        let request = Request::get("/nowhere").header("x-request-id", id).body(Body::empty()).unwrap();
        Answer::read(host.send(request).await).await.header("x-request-id").to_owned()
    };
    let kept = "0af76519-16cd.43dd:8448/eb211c80319c+=";
    assert_eq!(ask(kept).await, kept);
    for replaced in ["", "two words", "\"quoted\"", "a\tb", &"x".repeat(129)] {
        assert_eq!(ask(replaced).await.len(), 16, "{replaced}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let host = Host::connected();
    let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
    let request = Request::post("/api/operations/database/query").header(header::HOST, "localhost");
    Answer::read(host.send(request.body(never).unwrap()).await).await.check(expect![[r#"
        408 application/problem+json
        {
          "type":"about:blank",
          "title":"Request Timeout",
          "status":408,
          "detail":"the body did not arrive within 30 s",
          "hint":"send less at a time, or over a faster connection"
        }
    "#]]);
}

#[tokio::test]
async fn a_proxy_between_and_a_head_request_change_no_stamp() {
    let host = Host::connected();
    let request = Request::head("/nowhere").header("via", "1.1 proxy").body(Body::empty()).unwrap();
    let answer = Answer::read(host.send(request).await).await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::NOT_FOUND, ""));
    let shown = host.get("/nowhere").await;
    assert_eq!(answer.header(header::CONTENT_LENGTH), shown.body.len().to_string(), "the id is counted");
    assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
}

/// Operations of a host that fails itself.
struct Panics;

impl Operations for Panics {
    fn call(&self, _: CallHeader, _: Bytes) -> BoxFuture<'_, Result<Vec<u8>, OperationError>> {
        Box::pin(async { panic!("as the test wants it") })
    }

    fn ask_guard(
        &self,
        header: CallHeader,
        payload: Bytes,
    ) -> BoxFuture<'_, Result<Vec<u8>, OperationError>> {
        self.call(header, payload)
    }

    fn open(&self, _: CallHeader, _: Bytes) -> BoxFuture<'_, Result<PipeEnd, OperationError>> {
        Box::pin(async { panic!("as the test wants it") })
    }
}

#[tokio::test]
async fn a_panic_on_the_way_is_answered_and_told() {
    let host = Host::connected();
    let state = HttpState {
        board: host.board.clone(),
        routes: Routes::default(),
        operations: Arc::new(Panics),
        registry: prometheus::Registry::new(),
        draining: host.draining.subscribe(),
        access: AccessSettings::default(),
        operators: Operators::default(),
        clock: now,
    };
    let host = Host { router: router(state), ..host };
    let answer = host.post("/api/operations/database/query", &[], "{}").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{}", answer.body);
    assert!(answer.body.contains("the host itself panicked"), "{}", answer.body);
    assert_eq!(host.board.snapshot().panics["request"].count, 1);
    assert_eq!(host.get("/livez").await.status, StatusCode::OK);
}
