//! A browser exchanges the operator's token for a cookie, and gives it back. The page loads nothing and runs nothing.

use std::sync::Arc;

use axum::{
    Form,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use tokio::time::timeout;

use super::{
    access::{Access, Asked, COOKIE, LIFETIME, Lock},
    page::{STYLE, escape},
    problem::Problem,
    router::Site,
    write::{self, BODY_PATIENCE},
};

/// A token and the name of its field.
pub(super) const FORM_LIMIT: usize = 4096;

/// What the form sends.
#[derive(Deserialize)]
struct Login {
    token: String,
}

/// The form.
pub(super) async fn show(State(site): State<Arc<Site>>) -> Result<Response, Problem> {
    lock(&site.access)?;
    Ok(page(StatusCode::OK, ""))
}

/// The token becomes a cookie.
pub(super) async fn log_in(State(site): State<Arc<Site>>, request: Request) -> Result<Response, Problem> {
    let lock = lock(&site.access)?;
    let (parts, body) = request.into_parts();
    let asked = Asked::from(&parts);
    // Programs have no Origin; a page of another site has.
    if asked.headers.contains_key(header::ORIGIN) {
        site.access.check_page(asked)?;
    }
    let form =
        timeout(BODY_PATIENCE, Form::<Login>::from_request(Request::from_parts(parts.clone(), body), &()))
            .await;
    let Ok(Form(Login { token })) = form.map_err(|_| write::too_slow())? else {
        let problem = Problem::bad_request("the login is no form with a field `token`");
        return Err(problem.hint("programs need no login: they send `Authorization: Bearer <token>`"));
    };
    match site.access.try_token(lock, asked, &token) {
        Ok(()) => {
            let value = lock.sessions.begin((site.access.clock)());
            Ok((cookie(&site.access, asked, &value, LIFETIME), Redirect::to("/")).into_response())
        }
        Err(problem) if asked.wants_a_page() => Ok(refused(problem)),
        Err(problem) => Err(problem),
    }
}

/// The cookie is worth nothing from here on.
pub(super) async fn log_out(State(site): State<Arc<Site>>, request: Request) -> Result<Response, Problem> {
    let lock = lock(&site.access)?;
    let asked = Asked::from(&request);
    if site.access.is_session(&request) {
        site.access.check_page(asked)?;
        asked.sessions().for_each(|value| lock.sessions.end(value, (site.access.clock)()));
    }
    Ok((cookie(&site.access, asked, "", 0), Redirect::to("/login")).into_response())
}

fn lock(access: &Access) -> Result<&Lock, Problem> {
    access.lock.as_ref().ok_or_else(|| {
        Problem::not_found("there is nothing to log in with: the host has no operator's token")
            .hint("give it one by `SWITCHBOARD_TOKEN` or `token_file`")
    })
}

fn cookie(access: &Access, asked: Asked<'_>, value: &str, seconds: i64) -> HeaderMap {
    let secure = if access.is_https(asked) { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    let cookie = cookie.parse().expect("a session is digits, dots and letters");
    HeaderMap::from_iter([(header::SET_COOKIE, cookie), (header::CACHE_CONTROL, NO_STORE)])
}

const NO_STORE: axum::http::HeaderValue = axum::http::HeaderValue::from_static("no-store");

/// The form once more, with what was wrong.
fn refused(problem: Problem) -> Response {
    let said = format!("<p role=\"alert\">{}</p>", escape(&problem.text()));
    let mut response = page(problem.status(), &said);
    response.headers_mut().extend(problem.headers());
    response
}

fn page(status: StatusCode, said: &str) -> Response {
    // `no-referrer` would have the browser hide from us that the form is ours.
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::REFERRER_POLICY, "same-origin")];
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Switchboard: log in</title>\
         <style>{STYLE}</style></head><body><h1>Switchboard</h1>{said}\
         <form method=\"post\" action=\"/login\"><p><label>The operator's token<br>\
         <input type=\"password\" name=\"token\" autocomplete=\"current-password\" required autofocus></label></p>\
         <p><button>Log in</button></p></form></body></html>\n"
    );
    (status, headers, Html(html)).into_response()
}
