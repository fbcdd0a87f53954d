//! Finds the circles of a graph.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use petgraph::{
    algo::tarjan_scc,
    graph::{DiGraph, NodeIndex},
};

/// For every edge that lies on a circle, the shortest circle through it; each once, beginning at its smallest name.
///
/// A graph may have more circles than could ever be listed. Breaking all of these shows which are left.
pub(super) fn all(graph: &DiGraph<String, ()>) -> Vec<Vec<String>> {
    let mut cycles = BTreeSet::new();
    for component in tarjan_scc(graph) {
        let members: BTreeSet<NodeIndex> = component.into_iter().collect();
        for &from in &members {
            for to in graph.neighbors(from).filter(|to| members.contains(to)) {
                let path =
                    shortest_path(graph, to, from).into_iter().map(|node| graph[node].as_str()).collect();
                cycles.insert(from_smallest(path));
            }
        }
    }
    cycles.into_iter().collect()
}

/// From one node to another of the same component, both included.
fn shortest_path(graph: &DiGraph<String, ()>, from: NodeIndex, to: NodeIndex) -> Vec<NodeIndex> {
    let mut came_from = BTreeMap::from([(from, None)]);
    let mut queue = VecDeque::from([from]);
    while let Some(node) = queue.pop_front().filter(|node| *node != to) {
        let next: BTreeSet<_> = graph.neighbors(node).collect();
        for neighbor in next {
            came_from.entry(neighbor).or_insert_with(|| {
                queue.push_back(neighbor);
                Some(node)
            });
        }
    }
    let mut path: Vec<_> = std::iter::successors(Some(to), |node| came_from[node]).collect();
    path.reverse();
    path
}

fn from_smallest(mut names: Vec<&str>) -> Vec<String> {
    let smallest = names.iter().enumerate().min_by_key(|(_, name)| **name).map_or(0, |(index, _)| index);
    names.rotate_left(smallest);
    names.into_iter().map(str::to_owned).collect()
}
