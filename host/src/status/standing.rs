//! Own statuses and required dependencies become who is healthy, who is blocked by whom, and which plugins are the
//! roots of it.

use std::collections::{BTreeMap, BTreeSet};

use super::spec::PluginSpec;

/// What the dependencies make of a plugin; plugins are numbered in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) healthy: bool,
    pub(super) blocked_by: Vec<usize>,
    pub(super) root_causes: Vec<usize>,
}

/// The dependencies among the plugins that plugins.toml names.
#[derive(Debug, Clone)]
pub(super) struct Edges {
    requires: Vec<Vec<usize>>,
    dependents: Vec<Vec<usize>>,
    /// Required dependencies first.
    order: Vec<usize>,
}

impl Edges {
    /// `specs` are sorted by name.
    pub(super) fn new(specs: &[PluginSpec]) -> Self {
        let numbers: BTreeMap<&str, usize> =
            specs.iter().enumerate().map(|(number, spec)| (spec.name.as_str(), number)).collect();
        let mut requires = vec![Vec::new(); specs.len()];
        let mut dependents = vec![Vec::new(); specs.len()];
        for (number, spec) in specs.iter().enumerate() {
            for dependency in &spec.dependencies {
                let Some(&on) = numbers.get(dependency.name.as_str()) else { continue };
                dependents[on].push(number);
                if dependency.required {
                    requires[number].push(on);
                }
            }
        }
        requires.iter_mut().chain(&mut dependents).for_each(|list: &mut Vec<usize>| {
            list.sort_unstable();
            list.dedup();
        });
        let order = order(&requires);
        Self { requires, dependents, order }
    }

    /// The direct dependents of a plugin.
    pub(super) fn dependents(&self, number: usize) -> &[usize] {
        &self.dependents[number]
    }

    /// Brings the standings up to date after the plugins in `touched` changed whether they are connected; answers whose
    /// standing changed.
    pub(super) fn restand(
        &self,
        touched: &BTreeSet<usize>,
        connected: impl Fn(usize) -> bool,
        standings: &mut [Standing],
    ) -> BTreeSet<usize> {
        let mut changed = BTreeSet::new();
        for &number in &self.order {
            let requires = &self.requires[number];
            if !touched.contains(&number) && !requires.iter().any(|on| changed.contains(on)) {
                continue;
            }
            let standing = stand(number, connected(number), requires, standings);
            if standing != standings[number] {
                standings[number] = standing;
                changed.insert(number);
            }
        }
        changed
    }
}

fn stand(number: usize, connected: bool, requires: &[usize], standings: &[Standing]) -> Standing {
    let blocked_by: Vec<_> = requires.iter().copied().filter(|on| !standings[*on].healthy).collect();
    let healthy = connected && blocked_by.is_empty();
    let mut roots: BTreeSet<_> =
        blocked_by.iter().flat_map(|on| standings[*on].root_causes.iter().copied()).collect();
    if !healthy && roots.is_empty() {
        roots.insert(number);
    }
    Standing { healthy, blocked_by, root_causes: roots.into_iter().collect() }
}

/// Required dependencies first. The graph refuses cycles before anything starts; should one come, its members stand at
/// the end.
fn order(requires: &[Vec<usize>]) -> Vec<usize> {
    let mut waiting: Vec<usize> = requires.iter().map(Vec::len).collect();
    let mut required_by = vec![Vec::new(); requires.len()];
    for (number, on) in requires.iter().enumerate() {
        on.iter().for_each(|on| required_by[*on].push(number));
    }
    let mut order: Vec<usize> = (0..requires.len()).filter(|number| waiting[*number] == 0).collect();
    let mut next = 0;
    while let Some(&done) = order.get(next) {
        next += 1;
        for &number in &required_by[done] {
            waiting[number] -= 1;
            if waiting[number] == 0 {
                order.push(number);
            }
        }
    }
    order.extend((0..requires.len()).filter(|number| waiting[*number] > 0));
    order
}
