//! The files of the pages, which are part of the binary: scripts, styles, pictures. A path names their contents, so
//! that a browser keeps them for ever and a page never gets those of another build. They hold no secret.

use std::sync::LazyLock;

use axum::{
    extract::{Path, rejection::PathRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    etag,
    paths::plain,
    problem::{Problem, quoted},
};

/// A file with its name and its kind.
struct Asset {
    name: &'static str,
    kind: &'static str,
    body: &'static str,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! asset {
    ($name:literal, $kind:expr) => {
        Asset { name: $name, kind: $kind, body: include_str!(concat!("../../assets/", $name)) }
    };
}

/// Scripts name each other relative to themselves, so that one fingerprint is all of theirs.
const ASSETS: [Asset; 12] = [
    asset!("actions.js", SCRIPT),
    asset!("dagre.js", SCRIPT),
    asset!("dashboard.css", "text/css; charset=utf-8"),
    asset!("feeds.js", SCRIPT),
    asset!("filter.js", SCRIPT),
    asset!("graph.js", SCRIPT),
    asset!("icon.svg", "image/svg+xml"),
    asset!("layout.js", SCRIPT),
    asset!("live.js", SCRIPT),
    asset!("main.js", SCRIPT),
    asset!("morph.js", SCRIPT),
    asset!("words.js", SCRIPT),
];

/// Of all files together.
static FINGERPRINT: LazyLock<String> = LazyLock::new(|| {
    let all: String = ASSETS.iter().map(|asset| asset.body).collect();
    format!("{:016x}", etag::fnv(&all))
});

/// Where a file is served.
pub(super) fn path(name: &str) -> String {
    format!("/assets/{}/{name}", *FINGERPRINT)
}

/// Tells the files of this build from any other's.
pub(super) fn fingerprint() -> &'static str {
    &FINGERPRINT
}

/// Every script that a page will want.
pub(super) fn scripts() -> impl Iterator<Item = String> {
    ASSETS.iter().filter(|asset| asset.kind == SCRIPT).map(|asset| path(asset.name))
}

/// A file, or 304; those of another build are not here.
pub(super) async fn show(
    names: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (fingerprint, name) = plain(names)?;
    let asset = ASSETS.iter().find(|asset| fingerprint == *FINGERPRINT && asset.name == name);
    let asset = asset.ok_or_else(|| {
        let detail = format!("the pages of this build have no file {}", quoted(&name));
        Problem::not_found(detail, "reload the page: it was made by another build of the host")
    })?;
    let tag =
        HeaderValue::from_str(&format!("\"{fingerprint}\"")).expect("a fingerprint is digits and letters");
    let is_known = etag::is_known(&headers, &tag);
    let kept = [
        (header::ETAG, tag),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, kept).into_response());
    }
    Ok((kept, [(header::CONTENT_TYPE, asset.kind)], asset.body).into_response())
}
