//! Everything that the host itself refuses over HTTP, with what it says to do about it: read it as the person who is
//! refused, and see whether it would help.

use expect_test::expect;
use plugin_api::{
    error::FixHint,
    manifest::{Access, RouteManifest, WEBSOCKET},
};

use super::*;
use crate::http::{bodies, write};

const TOKEN: &str = "correct-horse-battery-staple";
const JSON: (&str, &str) = ("content-type", "application/json");
const HERE: (&str, &str) = ("host", "127.0.0.1:8080");
const CALL: &str = "/api/operations/database/query";

/// The table, a refusal a line and what mends it below.
#[derive(Default)]
struct Table(String);

impl Table {
    async fn ask(&mut self, host: &Host, method: &str, path: &str, headers: &[(&str, &str)], body: &str) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = Answer::read(host.send(request.body(Body::from(body.to_owned())).unwrap()).await).await;
        self.add(answer.status, &answer.body);
    }

    async fn read(&mut self, host: &Host, path: &str) {
        self.ask(host, "GET", path, &[HERE], "").await;
    }

    async fn call(&mut self, host: &Host, headers: &[(&str, &str)], body: &str) {
        self.ask(host, "POST", CALL, headers, body).await;
    }

    async fn problem(&mut self, problem: problem::Problem) {
        let answer = Answer::read(axum::response::IntoResponse::into_response(problem)).await;
        self.add(answer.status, &answer.body);
    }

    fn add(&mut self, status: StatusCode, body: &str) {
        let problem: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        let text =
            |key: &str| problem[key].as_str().unwrap_or_else(|| panic!("{status} without {key}: {body}"));
        self.0.push_str(&format!("{} {}\n  -> {}\n", status.as_u16(), text("detail"), text("hint")));
    }
}

fn with_token(is_beyond_loopback: bool) -> Host {
    let token = Some(TOKEN.parse().unwrap());
    Host::with_access(
        vec![database()],
        AccessSettings { token, is_beyond_loopback, ..AccessSettings::default() },
    )
}

/// A page and a socket of a plugin.
fn add_routes(host: &Host) {
    let route = |method: &str, path: &str| PluginRoute {
        plugin: "web".to_owned(),
        line: 1,
        manifest: RouteManifest {
            method: method.to_owned(),
            path: path.to_owned(),
            operation: "serve".to_owned(),
            access: Access::Public,
            body_limit: Some(10),
        },
        guard: None,
        streams: false,
        patience: Duration::from_secs(1),
    };
    let routes = RouteTable::new([route("GET", "/page"), route(WEBSOCKET, "/socket")]);
    host.routes.replace(routes.unwrap_or_else(|_| panic!("no clash")));
}

#[tokio::test]
async fn what_is_asked_wrongly() {
    let (host, mut table) = (Host::connected(), Table::default());
    add_routes(&host);
    for path in [
        "/api/health/integrations/%ff",
        "/api/health/integrations/memory_service",
        "/api/health/integrations/databse",
        "/api/health/services/nothing",
        "/api/health?strict=yes",
        "/api/heatlh",
        "/api/openapi.json?_=1",
        "/assets/0/main.js",
        "/login",
        "/socket",
    ] {
        table.read(&host, path).await;
    }
    table.ask(&host, "DELETE", "/api/health", &[HERE], "").await;
    table.ask(&host, "POST", "/page", &[HERE], "").await;
    table.ask(&host, "GET", "/page", &[HERE, ("content-length", "11")], "12345678901").await;
    table.call(&host, &[JSON, HERE], "{").await;
    table.call(&host, &[HERE], "{}").await;
    table.call(&host, &[HERE, ("content-type", "text/plain")], "{}").await;
    table.call(&host, &[HERE, JSON, JSON], "{}").await;
    table.call(&host, &[HERE, JSON, ("idempotency-key", "")], "{}").await;
    table.call(&host, &[HERE, JSON], &" ".repeat(write::BODY_LIMIT + 1)).await;
    table.problem(bodies::too_slow(bodies::PATIENCE)).await;
    expect![[r#"
        400 the path is not UTF-8 once it is decoded
          -> write names as `/api/health/integrations` lists them: they are snake_case
        404 `memory_service` is a service
          -> see `/api/health/services/memory_service`
        404 no plugin is called `databse`
          -> did you mean `database`? `/api/health/integrations` lists them
        404 no plugin is called `nothing`
          -> `/api/health/services` lists them
        400 the query parameter `strict` is `yes`
          -> `strict` is 0 or 1
        404 there is no route `/api/heatlh`
          -> the nearest are `/api/health`, `/api/health/events`, `/api/health/services`
        400 this route takes no query, not `_=1`
          -> remove the query: the route reads only the path and the body
        404 the pages of this build have no file `main.js`
          -> reload the page: it was made by another build of the host
        404 there is nothing to log in with: the host has no operator's token
          -> set `token_file`, or `SWITCHBOARD_TOKEN` in `.env`, and reload it (`SIGHUP`)
        400 `/socket` is a WebSocket
          -> use a WebSocket client; a proxy in between must pass the headers `Connection` and `Upgrade` on
        405 `/api/health` does not take `DELETE`
          -> use one of the methods that the header `Allow` names
        405 `/page` does not take `POST`
          -> use one of the methods that the header `Allow` names
        413 the body is larger than 10 bytes
          -> send less at a time
        400 the body is not JSON: line 1, column 1
          -> send the request as JSON, or nothing for `{}`
        415 the body has no content type
          -> send `Content-Type: application/json`
        415 the content type is `text/plain`, not `application/json`
          -> send `Content-Type: application/json`
        400 the header `content-type` is given twice or is not plain text
          -> send it once, in ASCII
        400 the header `idempotency-key` does not fit
          -> give it once, as plain text of at most 256 characters
        413 the body is larger than 1048576 bytes
          -> send less at a time
        408 the body did not arrive within 30 s
          -> send less at a time, or over a faster connection
    "#]]
    .assert_eq(&table.0);
}

#[tokio::test]
async fn who_may_not_ask() {
    let mut table = Table::default();
    let open = Host::connected();
    table.call(&open, &[JSON], "{}").await;
    table.call(&open, &[JSON, ("host", "switchboard.example")], "{}").await;
    table.call(&open, &[JSON, HERE, ("origin", "https://evil.example")], "{}").await;
    table.ask(&open, "GET", "/metrics", &[HERE, ("x-forwarded-for", "192.0.2.1")], "").await;

    let host = with_token(true);
    let wrong = ("authorization", "Bearer something-else-entirely");
    table.read(&host, "/metrics").await;
    table.ask(&host, "GET", "/metrics", &[HERE, ("cookie", "switchboard_session=1.2.3")], "").await;
    table.ask(&host, "GET", "/metrics", &[HERE, wrong], "").await;
    table.ask(&host, "POST", "/login", &[HERE, JSON], "{}").await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    table.ask(&host, "POST", "/login", &[HERE, form], "token=something-else-entirely").await;
    table.ask(&host, "POST", "/login", &[HERE, form, ("origin", "https://evil.example")], "token=a").await;
    let answer = host.post("/login", &[("content-type", form.1)], &format!("token={TOKEN}")).await;
    let cookie = answer.header(header::SET_COOKIE).split(';').next().unwrap().to_owned();
    table.call(&host, &[JSON, HERE, ("cookie", &cookie)], "{}").await;
    table.call(&host, &[JSON, HERE, ("cookie", &cookie), ("sec-fetch-site", "cross-site")], "{}").await;
    for _ in 0..40 {
        host.read_metrics_by(wrong).await;
    }
    table.ask(&host, "GET", "/metrics", &[HERE, wrong], "").await;
    expect![[r#"
        400 the request has no `Host`
          -> use `localhost`, `127.0.0.1` or `[::1]` as the host; to reach it by another name, set a token
        403 the `Host` is `switchboard.example`, which is not this machine's loopback name
          -> use `localhost`, `127.0.0.1` or `[::1]` as the host; to reach it by another name, set a token
        403 the `Origin` is `https://evil.example`, the `Host` is `127.0.0.1:8080`
          -> use the host's own pages, at the address where it is reached: behind a proxy set `public_base_url` to that address; programs send no `Origin`
        401 only operators may ask for this, and the host has no operator's token
          -> set `token_file`, or `SWITCHBOARD_TOKEN` in `.env`, and reload it (`SIGHUP`), or ask on this machine without a proxy
        401 only operators may ask for this
          -> send `Authorization: Bearer <token>`; in a browser, open `/login`
        401 the session has ended
          -> log in again at `/login`; programs send `Authorization: Bearer <token>`
        401 the bearer token is not the operator's token
          -> it is the value of `SWITCHBOARD_TOKEN`, or is in the file that `token_file` names
        400 the login is not a form with a field `token`
          -> programs need no login: they send `Authorization: Bearer <token>`
        401 this is not the operator's token
          -> it is the value of `SWITCHBOARD_TOKEN`, or is in the file that `token_file` names
        403 the `Origin` is `https://evil.example`, which is not this host
          -> use the host's own pages, at the address where it is reached: behind a proxy set `public_base_url` to that address; programs send no `Origin`
        403 the request has a cookie, and neither `Origin` nor `Sec-Fetch-Site`
          -> programs send `Authorization: Bearer <token>`, and no cookie
        403 the request comes from a page of another site
          -> use the host's own pages, at the address where it is reached: behind a proxy set `public_base_url` to that address; programs send no `Origin`
        429 too many wrong tokens from this address
          -> send the right token, which is accepted at any time, or wait 60 s
    "#]].assert_eq(&table.0);
}

impl Host {
    async fn read_metrics_by(&self, header: (&str, &str)) {
        let request = Request::get("/metrics").header(header.0, header.1).body(Body::empty()).unwrap();
        self.send(request).await;
    }
}

#[tokio::test]
async fn what_the_host_cannot_do_now() {
    let (host, mut table) = (Host::new(vec![database()]), Table::default());
    add_routes(&host);
    // A host whose checker has not ticked for an hour, and whose plugin has not settled.
    table.read(&host, "/livez").await;
    table.read(&host, "/readyz").await;
    let answers = |json: &str| *host.operations.answer.lock().unwrap() = Some(Ok(json.to_owned()));
    answers("nonsense");
    table.call(&host, &[JSON, HERE], "{}").await;
    table.read(&host, "/page").await;
    table.read(&host, "/api/openapi.json").await;
    let advised = OperationError::denied("the key may not use the model")
        .with_trouble(plugin_api::error::ReasonCode::Forbidden)
        .with_fix(FixHint::label("Allow the key to use the model"));
    *host.operations.answer.lock().unwrap() = Some(Err(advised));
    table.call(&host, &[JSON, HERE], "{}").await;
    host.draining.send_replace(true);
    table.read(&host, "/readyz").await;
    table.read(&host, "/api/health/events").await;
    expect![[r#"
        503 the health checker has not run for a while
          -> the process hangs or gets no processor time: if this lasts, restart it and report it with its log
        503 1 of 1 plugins have not settled yet
          -> see `/api/health/connections` for what each of them waits for
        500 `database.query` gave an answer that is not JSON
          -> report it to the plugin's author: the request is not at fault
        500 `web.serve` gave an answer that is not an HTTP response: expected ident at line 1 column 2
          -> report it to the plugin's author: the request is not at fault
        500 `host.operations`: expected ident at line 1 column 2
          -> report it with the log of this time
        403 the key may not use the model
          -> Allow the key to use the model
        503 the host is stopping
          -> try again once it has been restarted
        503 the host is stopping
          -> try again once it has been restarted
    "#]]
    .assert_eq(&table.0);
}
