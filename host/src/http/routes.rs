//! The routes of plugins become a table, or every clash between two plugins. That none clashes with the host's own paths,
//! or with others of its plugin, was judged with the manifest. Pure.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use matchit::Router as Paths;
use plugin_api::manifest::RouteManifest;

use crate::config::Problem;

/// A route with the plugin that it leads to.
#[derive(Debug, Clone)]
pub struct PluginRoute {
    /// The instance.
    pub plugin: String,
    /// The line of its section in plugins.toml.
    pub line: usize,
    /// Method, path, operation and access.
    pub manifest: RouteManifest,
    /// Who decides about a request, if its access is a guard.
    pub guard: Option<Guard>,
    /// Whether its operation is a stream.
    pub streams: bool,
    /// How long the head of an answer in pieces may take: as long as a call.
    pub patience: Duration,
}

/// The operation that must admit a request.
#[derive(Debug, Clone)]
pub struct Guard {
    /// The instance.
    pub plugin: String,
    /// Its operation.
    pub operation: String,
}

/// All routes of plugins, by path and method. Cheap to clone.
#[derive(Clone, Default)]
pub struct RouteTable {
    paths: Arc<Paths<Methods>>,
    listed: Arc<Vec<String>>,
    routes: Arc<Vec<Arc<PluginRoute>>>,
}

/// The table in force, which a reload replaces. Cheap to clone.
#[derive(Clone, Default)]
pub struct Routes {
    table: Arc<ArcSwap<RouteTable>>,
}

impl Routes {
    /// From now on this table holds.
    pub fn replace(&self, table: RouteTable) {
        self.table.store(Arc::new(table));
    }

    /// The table that holds now.
    pub(super) fn current(&self) -> Arc<RouteTable> {
        self.table.load_full()
    }
}

/// The routes of one path, by method.
type Methods = BTreeMap<String, Arc<PluginRoute>>;

/// What is at a path.
pub(super) struct Found<'a> {
    pub(super) methods: &'a Methods,
    pub(super) params: BTreeMap<String, String>,
}

impl RouteTable {
    /// A table of these routes.
    ///
    /// # Errors
    /// Every route that another plugin has, with both named.
    pub fn new(routes: impl IntoIterator<Item = PluginRoute>) -> Result<Self, Vec<Problem>> {
        let mut by_path: BTreeMap<String, Methods> = BTreeMap::new();
        let mut problems = Vec::new();
        for route in routes {
            let RouteManifest { method, path, .. } = &route.manifest;
            let methods = by_path.entry(path.clone()).or_default();
            match methods.get(method) {
                Some(other) => problems.push(claims(&route, &other.plugin)),
                None => _ = methods.insert(method.clone(), Arc::new(route)),
            }
        }
        let listed = by_path.keys().cloned().collect();
        let all = by_path.values().flat_map(Methods::values).cloned().collect();
        let mut paths = Paths::new();
        for (path, methods) in by_path {
            let route = methods.values().next().cloned();
            if let (Err(error), Some(route)) = (paths.insert(path, methods), route) {
                problems.push(unusable(&route, &error));
            }
        }
        if problems.is_empty() {
            Ok(Self { paths: Arc::new(paths), listed: Arc::new(listed), routes: Arc::new(all) })
        } else {
            Err(problems)
        }
    }

    /// What is at this path.
    pub(super) fn find(&self, path: &str) -> Option<Found<'_>> {
        let found = self.paths.at(path).ok()?;
        let params = found.params.iter().map(|(name, value)| (name.to_owned(), decoded(value))).collect();
        Some(Found { methods: found.value, params })
    }

    /// Every path, as the manifests write it.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.listed.iter().map(String::as_str)
    }

    /// Every route, sorted by path and method.
    pub(super) fn routes(&self) -> impl Iterator<Item = &PluginRoute> {
        self.routes.iter().map(Arc::as_ref)
    }
}

fn claims(route: &PluginRoute, owner: &str) -> Problem {
    let PluginRoute { plugin, line, manifest, .. } = route;
    Problem::new(format!(
        "`{plugin}` claims `{} {}`, which is a route of `{owner}`",
        manifest.method, manifest.path
    ))
    .at(*line)
    .hint("remove one of the sections, or change the route in the plugin")
}

fn unusable(route: &PluginRoute, error: &matchit::InsertError) -> Problem {
    let PluginRoute { plugin, line, manifest, .. } = route;
    let why = match error {
        matchit::InsertError::Conflict { with } => format!("clashes with `{with}`"),
        _ => "is not a path: a segment is text, `{name}`, or `{*name}` at the end".to_owned(),
    };
    Problem::new(format!("`{plugin}` has the route `{} {}`, which {why}", manifest.method, manifest.path))
        .at(*line)
}

/// Percent-decoded; what is no UTF-8 then is replaced.
fn decoded(value: &str) -> String {
    percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use plugin_api::manifest::Access;

    use super::*;

    fn route(plugin: &str, method: &str, path: &str) -> PluginRoute {
        PluginRoute {
            plugin: plugin.into(),
            line: 3,
            manifest: RouteManifest {
                method: method.into(),
                path: path.into(),
                operation: "serve".into(),
                access: Access::Public,
                body_limit: None,
            },
            guard: None,
            streams: false,
            patience: Duration::from_secs(1),
        }
    }

    fn check(routes: &[PluginRoute], expected: Expect) {
        let problems = RouteTable::new(routes.iter().cloned()).err().unwrap_or_default();
        let text: Vec<String> = problems.into_iter().map(|problem| problem.message).collect();
        expected.assert_eq(&text.join("\n"));
    }

    #[test]
    fn routes_are_found_by_path_and_method() {
        let table =
            RouteTable::new([route("mail", "GET", "/mail/{id}"), route("mail", "POST", "/mail/{id}")])
                .unwrap();
        let found = table.find("/mail/a%20b").unwrap();
        assert_eq!(found.methods.keys().collect::<Vec<_>>(), ["GET", "POST"]);
        assert_eq!(found.params["id"], "a b");
        assert!(table.find("/mail").is_none());
    }

    #[test]
    fn one_route_has_one_plugin() {
        check(
            &[route("mail", "GET", "/mail"), route("post", "GET", "/mail"), route("post", "POST", "/mail")],
            expect!["`post` claims `GET /mail`, which is a route of `mail`"],
        );
        check(
            &[route("mail", "GET", "/mail/{id}"), route("post", "GET", "/mail/{name}")],
            expect!["`post` has the route `GET /mail/{name}`, which clashes with `/mail/{id}`"],
        );
    }

    #[test]
    fn a_path_that_is_none_is_refused() {
        check(
            &[route("mail", "GET", "/mail/{")],
            expect![
                "`mail` has the route `GET /mail/{`, which is not a path: a segment is text, `{name}`, or `{*name}` at the end"
            ],
        );
    }
}
