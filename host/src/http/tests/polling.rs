//! Pollers: entity tags, 304, and what they cost.

use super::*;

const PATHS: [&str; 7] = [
    "/api/health",
    "/api/health/integrations",
    "/api/health/integrations/database",
    "/api/health/services",
    "/api/health/services/memory_service",
    "/api/health/connections",
    "/api/health/connections/summary",
];

#[tokio::test]
async fn who_has_the_current_state_is_told_so_until_it_changes() {
    let host = Host::connected();
    for (path, generation) in PATHS.into_iter().zip(2..) {
        let first = host.get(path).await;
        let etag = first.header(header::ETAG).to_owned();
        assert!(etag.starts_with("W/\"k3v9-"), "{etag}");
        assert_eq!(first.header(header::CACHE_CONTROL), "no-cache");

        for known in [etag.clone(), format!("\"other\", {etag}"), "*".to_owned()] {
            let again = host.get_if_none_match(path, &known).await;
            assert_eq!((again.status, again.body.as_str()), (StatusCode::NOT_MODIFIED, ""), "{path} {known}");
            assert_eq!(again.header(header::ETAG), etag);
            assert_eq!(again.header(header::CACHE_CONTROL), "no-cache");
        }
        assert_eq!(host.get_if_none_match(path, "W/\"k3v9-0-0\"").await.status, StatusCode::OK);

        host.apply("database", Event::ProbeSucceeded { latency: Duration::from_millis(3) });
        let probed = host.get_if_none_match(path, &etag).await;
        assert_eq!(probed.status, StatusCode::NOT_MODIFIED, "{path}: a probe that says nothing new");
        host.apply("database", Event::InitStarted { generation, attempt: 1 });
        host.apply("database", Event::InitSucceeded { took: Duration::ZERO });
        assert_eq!(host.get_if_none_match(path, &etag).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn no_view_has_the_tag_of_another() {
    let host = Host::connected();
    let mut tags = std::collections::BTreeSet::new();
    for path in PATHS {
        assert!(tags.insert(host.get(path).await.header(header::ETAG).to_owned()));
        assert!(tags.insert(host.get(&format!("{path}?strict=1")).await.header(header::ETAG).to_owned()));
    }
}

#[tokio::test]
async fn a_503_always_carries_its_body() {
    let host = Host::connected();
    host.fail("database", Failure::internal("panicked"));
    host.apply("database", Event::EvidenceFailed { failure: Failure::internal("panicked") });
    for path in PATHS {
        let path = format!("{path}?strict=1");
        let answer = host.get_if_none_match(&path, "*").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(!answer.body.is_empty());
    }
}

#[tokio::test]
async fn reading_calls_nobody_and_renders_once() {
    let host = Host::troubled();
    let read = async |path: &str| host.send(Request::get(path).body(Body::empty()).unwrap()).await;
    for path in ["/api/health", "/api/health/connections", "/api/health/integrations/twilio"] {
        let first = body(read(path).await).await;
        let second = body(read(path).await).await;
        assert_eq!(first.as_ptr(), second.as_ptr(), "{path}: the same bytes in memory");
    }
    assert!(host.operations.calls.lock().unwrap().is_empty());
}

async fn body(response: Response) -> Bytes {
    axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap()
}
