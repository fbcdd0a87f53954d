//! What plugins need of each other becomes a `StartPlan`, or every reason why none exists. Pure; the only petgraph.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::graph::DiGraph;
use plugin_api::{
    manifest::{Kind, Manifest},
    protocol::HOST,
};

use crate::config::{Config, LibraryRef, PluginConfig, Problem, closest};

mod cycle;
mod plan;
pub mod render;

pub use plan::StartPlan;

/// A plugin, and what it needs of others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// The instance's name.
    pub name: String,
    /// The line of its section in plugins.toml.
    pub line: Option<usize>,
    /// The name of the plugin that the instance is of.
    pub plugin: String,
    /// `None`: the library could not be loaded, and nothing is known of its needs.
    pub kind: Option<Kind>,
    /// What it cannot be healthy without.
    pub requires: Vec<Need>,
    /// What it uses when it is there.
    pub wants: Vec<Need>,
    /// The dependencies for which its section chooses an instance.
    pub bound: Vec<String>,
}

/// A dependency as its manifest names it, and the instance that serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The name in the manifest.
    pub role: String,
    /// The instance: the same name, unless `bind` says otherwise.
    pub instance: String,
    /// Whether plugins.toml has that instance with `enabled = false`.
    pub disabled: bool,
}

impl Node {
    /// An instance of the plugin of the same name, which needs nothing.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self { plugin: name.clone(), name, ..Self::default() }
    }
}

impl Need {
    /// Served by the instance of the same name.
    pub fn new(role: impl Into<String>) -> Self {
        let role = role.into();
        Self { instance: role.clone(), role, disabled: false }
    }
}

/// An edge of the plan, seen from the dependent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// The instance that it depends on.
    pub to: String,
    /// Whether it cannot be healthy without.
    pub required: bool,
}

/// The node of a plugin: the needs of its manifest, with `bind` applied. The host itself is nobody's dependency.
pub fn node(plugin: &PluginConfig, manifest: Option<&Manifest>, config: &Config) -> Node {
    let need = |role: &String| {
        let instance = plugin.bind.get(role).unwrap_or(role).clone();
        Need { role: role.clone(), disabled: config.disabled.contains(&instance), instance }
    };
    let needs = |roles: &[String]| roles.iter().filter(|role| *role != HOST).map(need).collect();
    let library = match &plugin.library {
        LibraryRef::Name(name) => name,
        LibraryRef::Path(_) => &plugin.name,
    };
    Node {
        name: plugin.name.clone(),
        line: Some(plugin.line),
        plugin: manifest.map_or(library, |manifest| &manifest.name).clone(),
        kind: manifest.map(|manifest| manifest.kind),
        requires: manifest.map(|manifest| needs(&manifest.requires)).unwrap_or_default(),
        wants: manifest.map(|manifest| needs(&manifest.wants)).unwrap_or_default(),
        bound: plugin.bind.keys().cloned().collect(),
    }
}

/// Orders plugins so that each comes after everything that it requires or wants. A want that no node serves is no edge.
///
/// # Errors
/// Everything that keeps them from being ordered: names that are there twice, requirements that nobody serves, cycles.
pub fn plan(nodes: Vec<Node>) -> Result<StartPlan, Vec<Problem>> {
    let names: BTreeSet<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    let mut problems = duplicates(&nodes);
    for node in &nodes {
        let unserved = node.requires.iter().filter(|need| !names.contains(need.instance.as_str()));
        problems.extend(unserved.map(|need| missing(node, need, &nodes)));
        problems.extend(unknown_binds(node));
    }
    let edges = edges(&nodes, &names);
    let graph = graph(&edges);
    let line = |name: &str| nodes.iter().find(|node| node.name == name)?.line;
    problems.extend(cycle::all(&graph).iter().map(|cycle| cyclic(cycle, line(&cycle[0]))));
    if problems.is_empty() {
        let kinds = nodes.iter().map(|node| (node.name.clone(), node.kind)).collect();
        Ok(StartPlan::new(&graph, edges, kinds))
    } else {
        problems.sort();
        Err(problems)
    }
}

/// By dependent, sorted by dependency. A node that requires and wants an instance requires it.
fn edges(nodes: &[Node], names: &BTreeSet<&str>) -> BTreeMap<String, Vec<Edge>> {
    let of = |node: &Node| {
        let wanted = node.wants.iter().map(|need| (need.instance.clone(), false));
        let required = node.requires.iter().map(|need| (need.instance.clone(), true));
        let needs: BTreeMap<_, _> =
            wanted.chain(required).filter(|(to, _)| names.contains(to.as_str())).collect();
        (node.name.clone(), needs.into_iter().map(|(to, required)| Edge { to, required }).collect())
    };
    nodes.iter().map(of).collect()
}

/// From dependent to dependency; nodes and edges in the order of their names.
fn graph(edges: &BTreeMap<String, Vec<Edge>>) -> DiGraph<String, ()> {
    let mut graph = DiGraph::new();
    let indices: BTreeMap<&str, _> =
        edges.keys().map(|name| (name.as_str(), graph.add_node(name.clone()))).collect();
    for (from, edges) in edges {
        for edge in edges {
            graph.add_edge(indices[from.as_str()], indices[edge.to.as_str()], ());
        }
    }
    graph
}

fn duplicates(nodes: &[Node]) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    let again = nodes.iter().filter(|node| !seen.insert(&node.name));
    again.map(|node| Problem::new(format!("there are two plugins `{}`", node.name)).at(node.line)).collect()
}

fn missing(node: &Node, need: &Need, nodes: &[Node]) -> Problem {
    let Need { role, instance, disabled } = need;
    let served_by = if role == instance { String::new() } else { format!(" (as `{instance}`)") };
    let message = format!("`{}` requires `{role}`{served_by}, which plugins.toml does not name", node.name);
    let same_plugin = nodes.iter().find(|other| other.plugin == *role).map(|other| &other.name);
    let mistyped = closest(instance, nodes.iter().map(|other| other.name.as_str()));
    let hint = if *disabled {
        format!("it is there with `enabled = false`: remove that from `[plugins.{instance}]`")
    } else if let Some(other) = same_plugin {
        format!("let `{other}` serve it: `bind = {{ {role} = \"{other}\" }}` in `[plugins.{}]`", node.name)
    } else if let Some(other) = mistyped {
        format!("did you mean `{instance}` by `[plugins.{other}]`? else add a section `[plugins.{instance}]`")
    } else {
        format!("add a section `[plugins.{instance}]`")
    };
    Problem::new(message).at(node.line).hint(hint)
}

/// A `bind` for what the manifest does not declare; nothing is known of a library that could not be loaded.
fn unknown_binds(node: &Node) -> Vec<Problem> {
    let roles = || node.requires.iter().chain(&node.wants).map(|need| need.role.as_str());
    let unknown =
        node.bound.iter().filter(|bound| node.kind.is_some() && !roles().any(|role| role == *bound));
    let problem = |bound: &String| {
        let message = format!("`{}` binds `{bound}`, which it does not depend on", node.name);
        let hint = closest(bound, roles()).map(|role| format!("did you mean `{role}`?"));
        Problem { hint, ..Problem::new(message).at(node.line) }
    };
    unknown.map(problem).collect()
}

fn cyclic(cycle: &[String], line: Option<usize>) -> Problem {
    let path: Vec<_> = cycle.iter().chain(cycle.first()).map(String::as_str).collect();
    Problem::new(format!("plugins depend on each other in a cycle: `{}`", path.join(" -> ")))
        .at(line)
        .hint("each would wait for the next: remove one of their sections, or `bind` a dependency to another instance")
}

#[cfg(test)]
mod tests;
