//! What every page of the host has around its content: the head, the style, and headers that let nothing from elsewhere
//! in.

use axum::http::{HeaderMap, HeaderValue, header};
use maud::{DOCTYPE, Markup, html};

use crate::http::assets;

/// Nothing is loaded from elsewhere or sent there, nothing within the page runs, nobody frames it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// A whole page; `head` is what it loads beside the style.
pub(in crate::http) fn frame(title: &str, head: Markup, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-build=(assets::fingerprint()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" href=(assets::path("icon.svg")) type="image/svg+xml";
                link rel="stylesheet" href=(assets::path("dashboard.css"));
                (head)
            }
            body { (body) }
        }
    }
}

/// The headers of such a page.
pub(in crate::http) fn careful(caching: HeaderValue) -> HeaderMap {
    HeaderMap::from_iter([
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, caching),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        // `no-referrer` would have the browser hide from us that its forms are ours.
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    ])
}
