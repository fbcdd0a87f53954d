//! An instance of the plugin, as the tests want it, and the way through consent.

use plugin_api::{
    prelude::*,
    protocol::CallHeader,
    requests::{host::Report, http::Body},
    serde_json::{self, Value, json},
    testing::{TestInstance, TestPlugin, database::Database},
    tokio,
};
use reqwest::Url;

use super::peer::{Heard, Peer, Reply};
use crate::GoogleCalendar;

pub const EVENTS: &str = "/calendars/primary/events";
pub const SCOPES: &str =
    "https://www.googleapis.com/auth/calendar.events https://www.googleapis.com/auth/calendar.freebusy";

pub type Instance = TestInstance<GoogleCalendar>;

/// An instance that speaks to a local port.
pub fn plugin(port: u16, database: &Database) -> Instance {
    plugin_with(port, database, json!({}))
}

/// With further settings.
pub fn plugin_with(port: u16, database: &Database, more: Value) -> Instance {
    plugin_test(port, database, more).create().expect("the settings are good")
}

/// The plugin that is to become an instance.
pub fn plugin_test(port: u16, database: &Database, more: Value) -> TestPlugin<GoogleCalendar> {
    let base = format!("http://127.0.0.1:{port}");
    let secrets = json!({ "web": {
        "client_id": "client", "client_secret": "GOCSPX-hidden", "redirect_uris": ["http://localhost:8080/api/calendar/oauth/callback"],
        "auth_uri": format!("{base}/auth"), "token_uri": format!("{base}/token"), "revoke_uri": format!("{base}/revoke"),
    }});
    let mut settings = json!({
        "client_secrets_json": secrets.to_string(), "api_base_url": base, "timeout": "2s",
        "redirect_uri": "http://localhost:8080/api/calendar/oauth/callback",
    });
    let all = settings.as_object_mut().expect("it is an object");
    all.extend(more.as_object().expect("settings are an object").clone());
    database.serve(TestPlugin::new(settings))
}

/// Google's answer to a code or a refresh token.
pub fn tokens(access: &str, refresh: Option<&str>, seconds: u64) -> Reply {
    let mut answer =
        json!({ "access_token": access, "expires_in": seconds, "scope": SCOPES, "token_type": "Bearer" });
    if let Some(refresh) = refresh {
        answer["refresh_token"] = refresh.into();
    }
    Reply::Json(200, answer)
}

/// An empty list of events.
pub fn no_events() -> Reply {
    Reply::Json(200, json!({ "kind": "calendar#events", "timeZone": "Europe/Berlin", "items": [] }))
}

/// An error as Google writes it.
pub fn error(status: u16, reason: &str) -> Reply {
    Reply::Json(
        status,
        json!({ "error": { "code": status, "message": "secret words", "errors": [{ "domain": "global", "reason": reason }] } }),
    )
}

/// A Google that gives tokens for an hour, and answers everything else by the script.
pub fn google(script: impl Fn(&Heard) -> Reply + Send + Sync + 'static) -> Peer {
    Peer::start(move |heard| match heard.path.as_str() {
        "/token" => tokens("access-1", Some("refresh-1"), 3600),
        _ => script(heard),
    })
}

/// An instance whose account is connected, and which may use the calendars of its organisation.
pub async fn connected(peer: &Peer) -> Instance {
    let plugin = plugin_with(peer.port, &Database::new(), json!({ "calendars": ["*@example.com"] }));
    connect(&plugin).await;
    plugin
}

/// Walks through consent.
pub async fn connect(plugin: &Instance) {
    let walk = begin(plugin).await;
    let page = walk.come_back(plugin, &format!("code=good&state={}", walk.state)).await;
    assert_eq!(heading(&page).0, 200, "{page:?}");
}

/// A browser that was sent to Google.
pub struct Walk {
    pub state: String,
    pub cookie: String,
    pub url: Url,
}

pub async fn begin(plugin: &Instance) -> Walk {
    let sent = route(plugin, "route_start", HttpRequest::default()).await;
    assert_eq!(sent.status, 303, "{sent:?}");
    let header =
        |name: &str| sent.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let url = Url::parse(&header("location").expect("it leads somewhere")).expect("to an address");
    let state = url.query_pairs().find(|(key, _)| key == "state").expect("with a state").1.into_owned();
    let cookie = header("set-cookie").expect("with a cookie");
    Walk { state, cookie: cookie.split(';').next().unwrap_or_default().to_owned(), url }
}

impl Walk {
    pub async fn come_back(&self, plugin: &Instance, query: &str) -> HttpResponse {
        let request = HttpRequest {
            query: query.to_owned(),
            headers: vec![("cookie".to_owned(), format!("a=b; {}; c=d", self.cookie))],
            ..HttpRequest::default()
        };
        route(plugin, "route_callback", request).await
    }
}

pub async fn route(plugin: &Instance, operation: &str, request: HttpRequest) -> HttpResponse {
    let request = serde_json::to_value(HttpRequest {
        method: if request.method.is_empty() { "GET".to_owned() } else { request.method.clone() },
        url: "http://localhost:8080/api/calendar".to_owned(),
        ..request
    });
    let answer = plugin.call_json(operation, request.expect("a request is JSON")).await;
    serde_json::from_value(answer.expect("a route answers")).expect("with a response")
}

/// Status and heading of a page.
pub fn heading(page: &HttpResponse) -> (u16, String) {
    let Body::Text(html) = &page.body else { panic!("not a page: {page:?}") };
    let heading = html.split("<h1>").nth(1).and_then(|rest| rest.split("</h1>").next());
    (page.status, heading.unwrap_or_default().to_owned())
}

/// `code [setting] -> href: message`, and the plugin's own advice, with the port made stable.
pub fn shown(failure: &Failure, port: u16) -> String {
    let Failure { code, message, setting, href, advice, .. } = failure;
    let advice = advice.as_ref().map(|advice| format!(" => {}", advice.label)).unwrap_or_default();
    let (setting, href) = (setting.as_deref().unwrap_or("-"), href.as_deref().unwrap_or("-"));
    format!("{code} [{setting}] -> {href}: {message}{advice}").replace(&format!(":{port}"), ":PORT")
}

/// The first evidence of failure that the plugin reports, which it does in its own time.
pub async fn reported_failure(plugin: &Instance) -> (ReasonCode, Option<String>) {
    let wait = async {
        loop {
            let failure = plugin.reports().into_iter().find_map(|report| match report {
                Report::Failure { code, href, .. } => Some((code, href)),
                Report::Success => None,
            });
            match failure {
                Some(failure) => return failure,
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("something is reported")
}

/// A call with an idempotency key.
pub fn keyed(key: &str) -> CallHeader {
    CallHeader { idempotency_key: Some(key.to_owned()), ..CallHeader::default() }
}

/// A call that waits no longer than this.
pub fn hurried(millis: u64) -> CallHeader {
    CallHeader { deadline_ms: Some(millis), ..CallHeader::default() }
}
