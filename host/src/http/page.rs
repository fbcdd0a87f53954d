//! A snapshot, and what calls were counted, become the dashboard: one page that tells everything without a script. The
//! scripts read the same page again and again, and put what changed in its place.

mod frame;
mod words;
mod overall;
mod roots;
mod traffic;
mod spark;
mod plugin;
mod feeds;
mod start;
mod journal;

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use maud::{Markup, html};

use self::traffic::Traffic;
use super::{access::Asked, assets, etag, problem::Problem, site::Site, views::Rendered};

pub(super) use frame::{careful, frame};

/// A browser that may not see it is sent to where it can log in.
pub(super) async fn show(State(site): State<Arc<Site>>, request: Request) -> Result<Response, Problem> {
    if let Err(problem) = site.access.operator(&request) {
        let asked = Asked::from(&request);
        let can_log_in = site.access.lock().is_some() && asked.bearer().is_none() && asked.wants_a_page();
        return if can_log_in { Ok(Redirect::to("/login").into_response()) } else { Err(problem) };
    }
    let rendered = site.views.current();
    let page = page(&site, &rendered, site.access.is_session(&request)).into_string();
    Ok(answer(request.headers(), &rendered, page))
}

/// The page, or 304 if the browser has this very one.
fn answer(asked: &HeaderMap, rendered: &Rendered, page: String) -> Response {
    let snapshot = &rendered.snapshot;
    let tag = etag::etag(&snapshot.boot_id, snapshot.revision, &page);
    let is_known = etag::is_known(asked, &tag);
    let mut headers = careful(HeaderValue::from_static("no-cache"));
    headers.insert(header::ETAG, tag);
    if is_known {
        (StatusCode::NOT_MODIFIED, headers).into_response()
    } else {
        (headers, page).into_response()
    }
}

fn page(site: &Site, rendered: &Rendered, is_session: bool) -> Markup {
    let snapshot = &*rendered.snapshot;
    let traffic = Traffic::of(&site.registry.gather());
    let scripts = html! {
        @for script in assets::scripts() { link rel="modulepreload" href=(script); }
        script type="module" src=(assets::path("main.js")) {}
    };
    let content = html! {
        a.skip href="#plugins" { "Skip to the plugins" }
        (words::glyphs())
        (top(is_session))
        main {
            p #outage role="alert" hidden data-own {}
            (overall::show(rendered))
            (roots::show(snapshot))
            section #graph aria-labelledby="graph-title" hidden data-own {
                div.heading {
                    h2 #graph-title { "Dependencies" }
                    p #graph-hint.hint {}
                    label hidden { input #all-plugins type="checkbox"; " all plugins" }
                }
                div #canvas {}
            }
            (plugin::list(snapshot, &traffic))
            (feeds::show(&site.routes.current(), snapshot))
            (start::show(snapshot))
            (journal::show(snapshot))
        }
        (bottom(&snapshot.version))
        p #say.unseen role="status" data-own {}
    };
    frame(&format!("Switchboard: {}", rendered.overall()), scripts, content)
}

fn top(is_session: bool) -> Markup {
    html! {
        header.top {
            a.brand href="/" { svg.mark aria-hidden="true" { use href="#glyph-mark" {} } "Switchboard" }
            p #line data-own { noscript { "as it was when this page was loaded" } }
            div.tools {
                button #reload type="button" hidden data-own { "Reload plugins.toml" }
                @if is_session {
                    form method="post" action="/logout" { button { "Log out" } }
                }
            }
        }
    }
}

/// Where to read on.
fn bottom(version: &str) -> Markup {
    let links = [
        ("/api/health", "health"),
        ("/api/health/integrations", "integrations"),
        ("/api/health/services", "services"),
        ("/api/health/connections", "connections"),
        ("/api/health/connections/summary", "summary"),
        ("/metrics", "metrics"),
        ("/api/docs", "everything"),
    ];
    html! {
        footer.bottom {
            p { "Switchboard " (version) }
            nav aria-label="For programs" {
                ul { @for (path, name) in links { li { a href=(path) { (name) } } } }
            }
        }
    }
}
