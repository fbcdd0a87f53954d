//! In which order plugins start, and what follows from it: waves, paths, impact.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use petgraph::{algo::toposort, graph::DiGraph};
use plugin_api::manifest::Kind;

use super::Edge;

/// The plugins of a host in an order that respects every dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartPlan {
    waves: Vec<Vec<String>>,
    kinds: BTreeMap<String, Option<Kind>>,
    dependencies: BTreeMap<String, Vec<Edge>>,
    dependents: BTreeMap<String, Vec<String>>,
}

impl StartPlan {
    /// Of a graph without circles, and its edges by dependent.
    pub(super) fn new(
        graph: &DiGraph<String, ()>,
        dependencies: BTreeMap<String, Vec<Edge>>,
        kinds: BTreeMap<String, Option<Kind>>,
    ) -> Self {
        let mut dependents: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (from, edges) in &dependencies {
            for edge in edges {
                dependents.entry(edge.to.clone()).or_default().push(from.clone());
            }
        }
        Self { waves: waves(graph), kinds, dependencies, dependents }
    }

    /// The plugins by how long a chain of others must be started before them; each wave sorted by name. Everything that
    /// a plugin depends on is in a wave before its own.
    pub fn waves(&self) -> &[Vec<String>] {
        &self.waves
    }

    /// Every plugin after all that it depends on.
    pub fn order(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.waves.iter().flatten().map(String::as_str)
    }

    /// Every plugin before all that it depends on.
    pub fn stop_order(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.order().rev()
    }

    /// Whether there is a plugin of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.kinds.contains_key(name)
    }

    /// The kind of a plugin; `None` where it is not known.
    pub fn kind(&self, name: &str) -> Option<Kind> {
        self.kinds.get(name).copied().flatten()
    }

    /// What a plugin depends on directly, sorted by name.
    pub fn dependencies(&self, name: &str) -> &[Edge] {
        self.dependencies.get(name).map_or(&[], Vec::as_slice)
    }

    /// What a plugin cannot be healthy without, directly, sorted by name.
    pub fn requires(&self, name: &str) -> impl Iterator<Item = &str> {
        self.dependencies(name).iter().filter(|edge| edge.required).map(|edge| edge.to.as_str())
    }

    /// What depends on a plugin directly, sorted by name.
    pub fn dependents(&self, name: &str) -> &[String] {
        self.dependents.get(name).map_or(&[], Vec::as_slice)
    }

    /// Every edge: the dependent, and the edge from there; sorted by both names.
    pub fn edges(&self) -> impl Iterator<Item = (&str, &Edge)> {
        self.dependencies.iter().flat_map(|(from, edges)| edges.iter().map(|edge| (from.as_str(), edge)))
    }

    /// What a plugin takes down with it: all that requires it, directly or through others; sorted by name.
    pub fn required_dependents_closure(&self, name: &str) -> Vec<&str> {
        let mut fallen = BTreeSet::new();
        let mut open = vec![name];
        while let Some(down) = open.pop() {
            for dependent in self.dependents(down) {
                if self.requires(dependent).any(|required| required == down)
                    && fallen.insert(dependent.as_str())
                {
                    open.push(dependent);
                }
            }
        }
        fallen.into_iter().collect()
    }

    /// The chain of plugins, each waiting for the one before, whose starts together take longest: what to make faster.
    /// A plugin without a duration takes none; of equally long chains the names decide.
    pub fn critical_path(&self, durations: &HashMap<String, Duration>) -> Vec<String> {
        let mut ends: HashMap<&str, (Duration, Option<&str>)> = HashMap::new();
        for name in self.order() {
            let dependencies = self.dependencies(name).iter().map(|edge| edge.to.as_str());
            let last = dependencies.map(|to| (ends[to].0, Reverse(to))).max();
            let own = durations.get(name).copied().unwrap_or_default();
            let before = last.map_or(Duration::ZERO, |(end, _)| end);
            ends.insert(name, (before.saturating_add(own), last.map(|(_, Reverse(to))| to)));
        }
        let last = ends.iter().map(|(name, (end, _))| (end, Reverse(*name))).max();
        let backwards = std::iter::successors(last.map(|(_, Reverse(name))| name), |name| ends[name].1);
        let mut path: Vec<_> = backwards.map(str::to_owned).collect();
        path.reverse();
        path
    }
}

fn waves(graph: &DiGraph<String, ()>) -> Vec<Vec<String>> {
    let order = toposort(graph, None).expect("`graph::plan` has refused every circle");
    let mut depths = vec![0; graph.node_count()];
    let mut waves: Vec<Vec<String>> = Vec::new();
    // Edges lead from dependent to dependency, so that the dependencies come last.
    for node in order.into_iter().rev() {
        let depth = graph.neighbors(node).map(|dependency| depths[dependency.index()] + 1).max().unwrap_or(0);
        depths[node.index()] = depth;
        waves.resize(waves.len().max(depth + 1), Vec::new());
        waves[depth].push(graph[node].clone());
    }
    waves.iter_mut().for_each(|wave| wave.sort());
    waves
}
