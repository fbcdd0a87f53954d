//! A start plan as text: for a terminal, for Graphviz, for Mermaid, for a script.

use std::collections::BTreeSet;

use plugin_api::manifest::Kind;
use serde_json::{Value, json};

use super::StartPlan;
use crate::config::{Problem, closest};

/// Every plugin that nobody depends on, with what it depends on under it. A plugin unfolded once is marked by dots when
/// it comes again.
pub fn tree(plan: &StartPlan) -> String {
    let mut tree = Tree { plan, unfolded: BTreeSet::new(), text: String::new() };
    for root in plan.stop_order().filter(|name| plan.dependents(name).is_empty()) {
        tree.plugin(root, "", "", "");
    }
    tree.text
}

/// For Graphviz: services are boxes, a want is a dashed line.
pub fn dot(plan: &StartPlan) -> String {
    let mut text = String::from("digraph switchboard {\n  rankdir = LR;\n");
    for name in plan.order() {
        let shape = if plan.kind(name) == Some(Kind::Service) { "box" } else { "ellipse" };
        text += &format!("  \"{name}\" [shape = {shape}];\n");
    }
    for (from, edge) in plan.edges() {
        let style = if edge.required { "" } else { " [style = dashed]" };
        text += &format!("  \"{from}\" -> \"{}\"{style};\n", edge.to);
    }
    text + "}\n"
}

/// For Mermaid: services are boxes, a want is a dotted line.
pub fn mermaid(plan: &StartPlan) -> String {
    let mut text = String::from("flowchart LR\n");
    for name in plan.order() {
        let (open, close) = if plan.kind(name) == Some(Kind::Service) { ("[", "]") } else { ("([", "])") };
        // `end` and the like are words of Mermaid; with a prefix no name is one.
        text += &format!("  p_{name}{open}{name}{close}\n");
    }
    for (from, edge) in plan.edges() {
        let arrow = if edge.required { "-->" } else { "-.->" };
        text += &format!("  p_{from} {arrow} p_{}\n", edge.to);
    }
    text
}

/// For a script: `{"waves": [[name]], "plugins": [{"name", "kind"}], "edges": [{"from", "to", "required"}]}`.
pub fn json(plan: &StartPlan) -> String {
    let plugin = |name| json!({ "name": name, "kind": plan.kind(name).map_or("unknown", Kind::as_str) });
    let plugins: Vec<Value> = plan.order().map(plugin).collect();
    let edges = plan.edges();
    let edges: Vec<Value> =
        edges.map(|(from, edge)| json!({ "from": from, "to": edge.to, "required": edge.required })).collect();
    format!("{:#}\n", json!({ "waves": plan.waves(), "plugins": plugins, "edges": edges }))
}

/// What a plugin takes down with it, and what goes on without something that it wants.
///
/// # Errors
/// There is no plugin of this name.
pub fn down(plan: &StartPlan, name: &str) -> Result<String, Problem> {
    if !plan.contains(name) {
        let hint = closest(name, plan.order()).map(|meant| format!("did you mean `{meant}`?"));
        return Err(Problem { hint, ..Problem::new(format!("there is no plugin `{name}`")) });
    }
    let fallen = plan.required_dependents_closure(name);
    let lost: BTreeSet<&str> = fallen.iter().copied().chain([name]).collect();
    let misses = |from: &str| plan.dependencies(from).iter().any(|edge| lost.contains(edge.to.as_str()));
    let mut missing: Vec<_> = plan.order().filter(|from| !lost.contains(from) && misses(from)).collect();
    missing.sort_unstable();
    let mut text = match fallen[..] {
        [] => format!("nothing requires {name}\n"),
        _ => format!("{name} takes down: {}\n", fallen.join(", ")),
    };
    if !missing.is_empty() {
        text += &format!("keeps running with reduced function: {}\n", missing.join(", "));
    }
    Ok(text)
}

struct Tree<'p> {
    plan: &'p StartPlan,
    unfolded: BTreeSet<&'p str>,
    text: String,
}

impl<'p> Tree<'p> {
    /// A line for the plugin, and what it depends on under it, indented.
    fn plugin(&mut self, name: &'p str, branch: &str, indent: &str, mark: &str) {
        let edges = self.plan.dependencies(name);
        let again = !self.unfolded.insert(name) && !edges.is_empty();
        let dots = if again { " ..." } else { "" };
        self.text += &format!("{branch}{name}{mark}{dots}\n");
        if again {
            return;
        }
        for (index, edge) in edges.iter().enumerate() {
            let (branch, below) =
                if index + 1 == edges.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            let mark = if edge.required { "" } else { " (wanted)" };
            self.plugin(&edge.to, &format!("{indent}{branch}"), &format!("{indent}{below}"), mark);
        }
    }
}
