//! What plugins list, where they run: calls, runs and messages. The page names where to read them; scripts do.

use maud::{Markup, html};

use crate::{
    http::routes::RouteTable,
    status::{Snapshot, Status},
};

/// A list that some plugin has at a path.
struct Feed {
    name: &'static str,
    title: &'static str,
    path: &'static str,
    query: &'static str,
}

const FEEDS: [Feed; 4] = [
    Feed { name: "calls", title: "Calls", path: "/api/calls", query: "?limit=20" },
    Feed { name: "runs", title: "Runs", path: "/api/runs", query: "?limit=20" },
    Feed { name: "threads", title: "Conversations", path: "/api/messages/threads", query: "?limit=20" },
    Feed {
        name: "unprocessed",
        title: "Messages under way",
        path: "/api/messages/unprocessed",
        query: "?limit=20",
    },
];

pub(super) fn show(routes: &RouteTable, snapshot: &Snapshot) -> Markup {
    html! {
        div.feeds {
            @for feed in FEEDS.iter().filter(|feed| is_served(routes, snapshot, feed.path)) {
                section.feed data-key=(feed.name) aria-labelledby={ (feed.name) "-title" } {
                    div.heading { h2 id={ (feed.name) "-title" } { (feed.title) } }
                    div.rows data-own data-feed=(feed.name) data-from={ (feed.path) (feed.query) } {
                        p.hint { "at " a href=(feed.path) { (feed.path) } }
                    }
                }
            }
        }
    }
}

/// Whether a plugin with an instance has a list at this path.
fn is_served(routes: &RouteTable, snapshot: &Snapshot, path: &str) -> bool {
    let route = routes.find(path).and_then(|found| found.methods.get("GET").cloned());
    let plugin = route.and_then(|route| snapshot.plugin(&route.plugin));
    plugin.is_some_and(|plugin| !matches!(plugin.status, Status::NotInitialized | Status::NotConfigured))
}
