//! The dashboard as it is served, before any script runs, and the files that it loads.

use plugin_api::{
    error::ReasonCode,
    manifest::{Access, RouteManifest},
};

use super::*;
use crate::status::Finding;

/// What a reader sees of a page.
fn text(page: &str) -> String {
    let pieces = page.split('<').map(|piece| piece.split_once('>').map_or("", |(_, text)| text));
    pieces.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn contains(page: &str, expected: &[&str]) {
    for expected in expected {
        assert!(page.contains(expected), "{expected} is not in {page}");
    }
}

/// From the mark to the end of its list.
fn section<'a>(page: &'a str, mark: &str) -> &'a str {
    let from = page.find(mark).unwrap_or_else(|| panic!("{mark} is not in {page}"));
    let rest = &page[from..];
    rest.find("</section>").map_or(rest, |end| &rest[..end])
}

#[tokio::test]
async fn a_page_for_people() {
    let host = Host::troubled();
    let said = Failure::unavailable("<script>alert(1)</script>");
    host.fail("twilio", said.href("javascript:alert(1)"));
    let page = host.get("/").await;
    assert_eq!(page.header(header::CONTENT_TYPE), "text/html; charset=utf-8");
    contains(
        &page.body,
        &[
            "<title>Switchboard: degraded</title>",
            "<a href=\"/api/health/services/twilio_service\">as JSON</a>",
            "<a class=\"button main\" href=\"/api/calendar/oauth/start\">Connect Google Calendar</a>",
            "<code>SMTP_SERVER</code>",
            "&lt;script&gt;alert(1)&lt;/script&gt;",
            "waits for <a href=\"#plugin-twilio\">twilio</a>",
        ],
    );
    assert!(!page.body.contains("<script>") && !page.body.contains("javascript:"));
    let causes = text(section(&page.body, "id=\"causes\""));
    contains(
        &causes,
        &[
            "What is wrong",
            "blocks: messaging_service, twilio_service",
            "libacme.so is a text file, not a library",
        ],
    );
}

#[tokio::test]
async fn what_cannot_be_relied_on_is_told_though_it_is_connected() {
    let host = Host::connected();
    for second in 0..4 {
        let at = ago(60 - 2 * second);
        let failure = Failure::consent_required("not yet");
        host.board.apply("database", Event::EvidenceFailed { failure }, at);
        host.board.apply("database", Event::EvidenceSucceeded, ago(59 - 2 * second));
    }
    host.board.tick(now());
    let page = host.get("/").await.body;
    contains(&text(&page), &["1 plugin changed its status too often in the last ten minutes."]);
    let causes = text(section(&page, "id=\"causes\""));
    contains(
        &causes,
        &["What is wrong", "database", "its status changed more than five times in ten minutes"],
    );
}

#[tokio::test]
async fn what_fails_in_use_is_told_though_its_probe_succeeds() {
    let host = Host::connected();
    let findings = vec![Finding {
        operation: Some("query".to_owned()),
        key: None,
        since: ago(60),
        last_at: ago(2),
        failures: 4,
        code: ReasonCode::Quota,
        message: "the server refuses `select`".to_owned(),
        hint: None,
        callers: vec!["memory_service".to_owned()],
    }];
    host.board.apply("database", Event::Failing { findings }, now());
    host.board.tick(now());
    let page = host.get("/").await.body;
    contains(&text(&page), &["Degraded", "1 plugin answers its checks but fails in use."]);
    let causes = text(section(&page, "id=\"causes\""));
    contains(
        &causes,
        &["database", "fails in use: the server refuses select", "4 failures since", "met by memory_service"],
    );
}

#[tokio::test]
async fn what_works_is_told_in_few_words() {
    let host = Host::connected();
    host.board.apply("database", Event::ProbeSucceeded { latency: Duration::from_millis(4) }, ago(60));
    host.board.apply("database", Event::ProbeSucceeded { latency: Duration::from_millis(182) }, ago(30));
    host.board.tick(now());
    let page = host.get("/").await.body;
    contains(&text(&page), &["HealthyEverything works.2 connected", "182 ms"]);
    contains(&page, &["aria-label=\"the last 2 checks took 4.0 ms to 182 ms\""]);
    assert!(!page.contains("id=\"causes\""), "{page}");
    let start = text(section(&page, "id=\"start\""));
    contains(&start, &["Ready after 40 ms", "memory_service critical path0.0 ms20 ms"]);
    let events = text(section(&page, "id=\"events\""));
    contains(&events, &["database: initializing → connected"]);
}

#[tokio::test]
async fn a_page_that_a_browser_has_is_not_sent_again() {
    let host = Host::connected();
    let page = host.get("/").await;
    let tag = page.header(header::ETAG).to_owned();
    assert_eq!(host.get_if_none_match("/", &tag).await.status, StatusCode::NOT_MODIFIED);
    // No change of the revision, and yet another page: somebody reads how long checks take.
    host.board.apply("database", Event::ProbeSucceeded { latency: Duration::from_millis(77) }, now());
    host.board.tick(now());
    let newer = host.get_if_none_match("/", &tag).await;
    assert_eq!(newer.status, StatusCode::OK);
    contains(&newer.body, &["77 ms"]);
}

#[tokio::test]
async fn everything_that_the_page_loads_is_ours_and_kept_for_ever() {
    let host = Host::connected();
    let page = host.get("/").await.body;
    let loaded: Vec<_> = page.split(['"', ' ']).filter(|word| word.starts_with("/assets/")).collect();
    assert!(loaded.len() > 10, "{loaded:?}");
    for path in loaded {
        let asset = host.get(path).await;
        assert_eq!(asset.status, StatusCode::OK, "{path}");
        assert_eq!(asset.header(header::CACHE_CONTROL), "public, max-age=31536000, immutable");
        let again = host.get_if_none_match(path, asset.header(header::ETAG)).await;
        assert_eq!((again.status, again.body.as_str()), (StatusCode::NOT_MODIFIED, ""));
    }
    assert!(!page.contains("http://") && !page.contains("https://"), "{page}");
    assert!(!page.contains(" style=") && !page.contains(" onclick"), "{page}");
    let scripts = page.matches("<script").count();
    assert_eq!((scripts, page.matches("<script type=\"module\" src=\"/assets/").count()), (1, 1));
}

#[tokio::test]
async fn files_of_another_build_are_not_here() {
    let host = Host::connected();
    host.get("/assets/0123456789abcdef/main.js").await.check(expect_test::expect![[r#"
        404 application/problem+json
        {
          "type":"about:blank",
          "title":"Not Found",
          "status":404,
          "detail":"the pages of this build have no file `main.js`",
          "hint":"reload the page: it was made by another build of the host"
        }
    "#]]);
}

#[tokio::test]
async fn lists_of_plugins_are_there_where_their_plugins_run() {
    let mut host = Host::troubled();
    let route = |plugin: &str, path: &str| PluginRoute {
        plugin: plugin.to_owned(),
        line: 1,
        manifest: RouteManifest {
            method: "GET".to_owned(),
            path: path.to_owned(),
            operation: "list".to_owned(),
            access: Access::Operator,
            body_limit: None,
        },
        guard: None,
        streams: false,
        patience: Duration::from_secs(1),
    };
    let routes = Routes::default();
    let table =
        [route("messaging_service", "/api/messages/threads"), route("newsletter_service", "/api/runs")];
    routes.replace(RouteTable::new(table).unwrap_or_default());
    host.router = router(HttpState {
        board: host.board.clone(),
        routes,
        operations: host.operations.clone(),
        registry: prometheus::Registry::new(),
        draining: host.draining.subscribe(),
        access: AccessSettings::default(),
        operators: Operators::default(),
        clock: now,
    });
    let page = host.get("/").await.body;
    contains(&page, &["data-from=\"/api/messages/threads?limit=20\"", "<a href=\"/api/messages/threads\">"]);
    // It is held, and has nothing to list.
    assert!(!page.contains("/api/runs"), "{page}");
}
