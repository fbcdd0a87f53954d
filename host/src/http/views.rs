//! Each view of a snapshot is rendered once, by the first who asks, and handed to everybody until the next snapshot: a
//! poll costs about as much as serving the same bytes from memory.

use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Guard};
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use jiff::Timestamp;

use super::{
    etag,
    outline::outline,
    render,
    view::{Reader, Section, View},
};
use crate::status::{Board, Overall, Snapshot};

/// The views of the current snapshot.
pub(super) struct Views {
    board: Board,
    clock: fn() -> Timestamp,
    current: ArcSwap<Rendered>,
}

/// One snapshot with what has been rendered of it.
pub(super) struct Rendered {
    pub(super) snapshot: Arc<Snapshot>,
    /// The checker was found stale: the same snapshot then reads differently.
    stale: bool,
    /// For each reader.
    shelves: [Shelf; 2],
}

/// Every view for one reader, as far as anybody has asked for it.
struct Shelf {
    overview: OnceLock<Page>,
    connections: OnceLock<Page>,
    summary: OnceLock<Page>,
    integrations: Part,
    services: Part,
}

/// The views of a section: of all its plugins, and of the plugin at each place of the snapshot.
struct Part {
    list: OnceLock<Page>,
    plugins: Vec<OnceLock<Page>>,
}

/// A body, ready to be sent.
pub(super) struct Page {
    body: Bytes,
    /// One for `strict=1`, as it may answer with another status.
    etags: [HeaderValue; 2],
    /// Not worth a 200 for who is strict.
    is_bad: bool,
    /// Not worth a 200 for anybody.
    is_unhealthy: bool,
}

impl Views {
    pub(super) fn new(board: Board, clock: fn() -> Timestamp) -> Self {
        let current = ArcSwap::from_pointee(Rendered::new(board.snapshot(), false));
        Self { board, clock, current }
    }

    /// The views of the board as it stands.
    pub(super) fn current(&self) -> Guard<Arc<Rendered>> {
        let snapshot = self.board.look();
        let stale = snapshot.checker_is_stale((self.clock)());
        let current = self.current.load();
        if Arc::ptr_eq(&current.snapshot, &*snapshot) && current.stale == stale {
            return current;
        }
        let rendered = Arc::new(Rendered::new(Guard::into_inner(snapshot), stale));
        self.current.store(rendered.clone());
        Guard::from_inner(rendered)
    }
}

impl Rendered {
    fn new(snapshot: Arc<Snapshot>, stale: bool) -> Self {
        let shelves = [(); 2].map(|()| Shelf::new(snapshot.plugins.len()));
        Self { snapshot, stale, shelves }
    }

    /// The host as a whole, the checker included.
    pub(super) fn overall(&self) -> Overall {
        self.snapshot.overall_when(self.stale)
    }

    /// Whether nobody has looked for a while.
    pub(super) fn is_stale(&self) -> bool {
        self.stale
    }

    /// The page of a view; a plugin's place is one of this snapshot.
    pub(super) fn page(&self, view: View, reader: Reader) -> &Page {
        let shelf = &self.shelves[reader as usize];
        let slot = match view {
            View::Overview => &shelf.overview,
            View::List(section) => &shelf.part(section).list,
            View::Connections => &shelf.connections,
            View::Summary => &shelf.summary,
            View::Plugin(section, place) => &shelf.part(section).plugins[place],
        };
        slot.get_or_init(|| self.render(view, reader))
    }

    fn render(&self, view: View, reader: Reader) -> Page {
        let (snapshot, overall) = (&*self.snapshot, self.overall());
        let is_bad = match view {
            View::Plugin(_, place) => !snapshot.plugins[place].healthy,
            _ => overall != Overall::Healthy,
        };
        let is_unhealthy = view == View::Overview && overall == Overall::Unhealthy;
        let body = match reader {
            Reader::Operator => self.body(view, overall),
            Reader::Anybody => outline(view, snapshot, overall),
        };
        Page { body, etags: self.etags(&self.path(view), reader), is_bad, is_unhealthy }
    }

    fn body(&self, view: View, overall: Overall) -> Bytes {
        let snapshot = &*self.snapshot;
        match view {
            View::Overview => render::overview(snapshot, overall, self.stale),
            View::List(Section::Integrations) => render::integrations(snapshot, overall),
            View::List(Section::Services) => render::services(snapshot, overall),
            View::Connections => render::connections(snapshot, overall),
            View::Summary => render::summary(snapshot, overall, self.stale),
            View::Plugin(_, place) => render::plugin(&snapshot.plugins[place]),
        }
    }

    fn path(&self, view: View) -> String {
        match view {
            View::Overview => String::new(),
            View::List(section) => format!("/{}", section.as_str()),
            View::Connections => "/connections".to_owned(),
            View::Summary => "/connections/summary".to_owned(),
            View::Plugin(section, place) => {
                format!("/{}/{}", section.as_str(), self.snapshot.plugins[place].name)
            }
        }
    }

    fn etags(&self, path: &str, reader: Reader) -> [HeaderValue; 2] {
        let stale = if self.stale { "#stale" } else { "" };
        let outline = if reader == Reader::Anybody { "#outline" } else { "" };
        ["", "?strict=1"].map(|query| {
            let view = format!("/api/health{path}{query}{stale}{outline}");
            etag::etag(&self.snapshot.boot_id, self.snapshot.revision, &view)
        })
    }
}

impl Shelf {
    fn new(plugins: usize) -> Self {
        let part =
            || Part { list: OnceLock::new(), plugins: (0..plugins).map(|_| OnceLock::new()).collect() };
        Self {
            overview: OnceLock::new(),
            connections: OnceLock::new(),
            summary: OnceLock::new(),
            integrations: part(),
            services: part(),
        }
    }

    fn part(&self, section: Section) -> &Part {
        match section {
            Section::Integrations => &self.integrations,
            Section::Services => &self.services,
        }
    }
}

impl Page {
    /// The answer to who sent these headers: the body, or 304. A 503 always carries its body.
    pub(super) fn answer(&self, headers: &HeaderMap, strict: bool) -> Response {
        let etag = &self.etags[usize::from(strict)];
        if self.is_unhealthy || (strict && self.is_bad) {
            return response(StatusCode::SERVICE_UNAVAILABLE, etag, Some(self.body.clone()));
        }
        if headers.contains_key(header::IF_NONE_MATCH) && etag::is_known(headers, etag) {
            return response(StatusCode::NOT_MODIFIED, etag, None);
        }
        response(StatusCode::OK, etag, Some(self.body.clone()))
    }

    /// What it shows.
    pub(super) fn body(&self) -> Bytes {
        self.body.clone()
    }

    /// The body, whatever the client has.
    pub(super) fn show(&self) -> Response {
        response(StatusCode::OK, &self.etags[0], Some(self.body.clone()))
    }
}

fn response(status: StatusCode, etag: &HeaderValue, body: Option<Bytes>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    // Room for these and for what every answer is stamped with.
    *response.headers_mut() = HeaderMap::with_capacity(8);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::ETAG, etag.clone());
    if let Some(body) = body {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *response.body_mut() = Body::from(body);
    }
    response
}
