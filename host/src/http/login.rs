//! A browser exchanges the operator's token for a cookie, and gives it back. The page loads nothing and runs nothing.

use std::sync::Arc;

use axum::{
    Form,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use maud::html;
use serde::Deserialize;

use super::{
    access::{Access, Asked, COOKIE, LIFETIME, Lock},
    page::{careful, frame},
    problem::Problem,
    site::Site,
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
    Ok(page(StatusCode::OK, None))
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
    let form = Form::<Login>::from_request(Request::from_parts(parts.clone(), body), &());
    let Ok(Form(Login { token })) = site.bodies.read(site.access.client(asked), form).await? else {
        return Err(Problem::bad_request(
            "the login is not a form with a field `token`",
            "programs need no login: they send `Authorization: Bearer <token>`",
        ));
    };
    match site.access.try_token(&lock, asked, &token) {
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

fn lock(access: &Access) -> Result<Arc<Lock>, Problem> {
    access.lock().ok_or_else(|| {
        Problem::not_found(
            "there is nothing to log in with: the host has no operator's token",
            "set `token_file`, or `SWITCHBOARD_TOKEN` in `.env`, and reload it (`SIGHUP`)",
        )
    })
}

fn cookie(access: &Access, asked: Asked<'_>, value: &str, seconds: i64) -> HeaderMap {
    let secure = if access.is_https(asked) { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    let cookie = cookie.parse().expect("a session is digits, dots and letters");
    HeaderMap::from_iter([(header::SET_COOKIE, cookie), (header::CACHE_CONTROL, NO_STORE)])
}

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The form once more, with what was wrong.
fn refused(problem: Problem) -> Response {
    let mut response = page(problem.status(), Some(&problem.text()));
    response.headers_mut().extend(problem.headers());
    response
}

fn page(status: StatusCode, said: Option<&str>) -> Response {
    let content = html! {
        main.login {
            h1 { "Switchboard" }
            @if let Some(said) = said { p role="alert" { (said) } }
            form method="post" action="/login" {
                label for="token" { "The operator's token" }
                input #token type="password" name="token" autocomplete="current-password" required autofocus;
                button.main { "Log in" }
            }
        }
    };
    let page = frame("Switchboard: log in", html! {}, content);
    (status, careful(NO_STORE), page.into_string()).into_response()
}
