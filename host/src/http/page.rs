//! A snapshot becomes a plain page for a person's browser: how it stands, what to do, where to read on.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    extract::{Request, State},
    http::header,
    response::{Html, IntoResponse, Redirect, Response},
};

use super::{access::Asked, problem::Problem, render, router::Site, views::Rendered};
use crate::status::PluginHealth;

pub(super) const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}\
     table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .8rem .3rem 0;\
     border-bottom:1px solid #8884;vertical-align:top}:root{color-scheme:light dark}";

const LINKS: [&str; 6] = [
    "/api/health",
    "/api/health/integrations",
    "/api/health/services",
    "/api/health/connections",
    "/api/health/connections/summary",
    "/metrics",
];

/// A browser that may not see it is sent to where it can log in.
pub(super) async fn show(State(site): State<Arc<Site>>, request: Request) -> Result<Response, Problem> {
    if let Err(problem) = site.access.operator(&request) {
        let can_log_in = site.access.lock.is_some() && Asked::from(&request).wants_a_page();
        return if can_log_in { Ok(Redirect::to("/login").into_response()) } else { Err(problem) };
    }
    // Its form must not hide from us that it is ours.
    let headers = [(header::CACHE_CONTROL, "no-cache"), (header::REFERRER_POLICY, "same-origin")];
    let exit = if site.access.is_session(&request) { LOG_OUT } else { "" };
    Ok((headers, Html(page(&site.views.current(), exit))).into_response())
}

const LOG_OUT: &str = "<form method=\"post\" action=\"/logout\"><button>Log out</button></form>";

fn page(rendered: &Rendered, exit: &str) -> String {
    let snapshot = &rendered.snapshot;
    let (overall, version) = (rendered.overall(), escape(&snapshot.version));
    let uptime = render::uptime(snapshot).as_secs();
    let rows: String = snapshot.plugins.iter().map(|plugin| row(plugin)).collect();
    let links: String = LINKS.iter().fold(String::new(), |mut links, link| {
        // Writing to a string cannot fail.
        let _ = write!(links, "<li><a href=\"{link}\">{link}</a></li>");
        links
    });
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Switchboard: {overall}</title>\
         <style>{STYLE}</style></head><body><h1>Switchboard is {overall}</h1>\
         <p>version {version}, up for {uptime} s</p>\
         <table><thead><tr><th>plugin</th><th>kind</th><th>status</th><th>why</th><th>what to do</th></tr></thead>\
         <tbody>{rows}</tbody></table><h2>Read on</h2><ul>{links}</ul>{exit}</body></html>\n"
    )
}

fn row(plugin: &PluginHealth) -> String {
    let name = escape(&plugin.name);
    let section = if plugin.is_service() { "services" } else { "integrations" };
    let kind = crate::status::kind_name(plugin.kind);
    let status = plugin.status;
    let why = match &plugin.reason {
        Some(reason) => escape(&reason.message),
        None if plugin.blocked_by.is_empty() => String::new(),
        None => format!("waits for {}", escape(&plugin.root_causes.to_string())),
    };
    let fix = fix(plugin);
    format!(
        "<tr><td><a href=\"/api/health/{section}/{name}\">{name}</a></td><td>{kind}</td><td>{status}</td>\
         <td>{why}</td><td>{fix}</td></tr>"
    )
}

/// A link only where it leads to a page: a plugin could name anything.
fn fix(plugin: &PluginHealth) -> String {
    let Some(fix) = &plugin.fix else { return String::new() };
    let label = escape(&fix.label);
    let is_page =
        |href: &&String| href.starts_with("https://") || (href.starts_with('/') && !href.starts_with("//"));
    match fix.href.as_ref().filter(is_page) {
        Some(href) => format!("<a href=\"{}\">{label}</a>", escape(href)),
        None => label,
    }
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn what_a_plugin_says_stays_text() {
        assert_eq!(escape("<b a='1' c=\"2\">&"), "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;");
    }
}
