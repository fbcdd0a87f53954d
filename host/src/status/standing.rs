//! Own statuses and required dependencies become who is healthy, who is blocked by whom, and which plugins are the
//! roots of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::spec::PluginSpec;

/// What the dependencies make of a plugin; plugins are numbered in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) healthy: bool,
    pub(super) blocked_by: Arc<[usize]>,
    pub(super) root_causes: Arc<[usize]>,
}

/// The dependencies among the plugins that plugins.toml names.
#[derive(Debug, Clone)]
pub(super) struct Edges {
    dependencies: Vec<Vec<Option<usize>>>,
    requires: Vec<Vec<usize>>,
    required_by: Vec<Vec<usize>>,
    dependents: Vec<Arc<[usize]>>,
    /// The place of each plugin in an order in which required dependencies come first, and the plugin at each place.
    places: Vec<usize>,
    order: Vec<usize>,
}

impl Edges {
    /// `specs` are sorted by name.
    pub(super) fn new(specs: &[PluginSpec]) -> Self {
        let numbers: BTreeMap<&str, usize> =
            specs.iter().enumerate().map(|(number, spec)| (spec.name.as_str(), number)).collect();
        let number = |name: &str| numbers.get(name).copied();
        let of_one = |spec: &PluginSpec| spec.dependencies.iter().map(|on| number(&on.name)).collect();
        let dependencies: Vec<Vec<Option<usize>>> = specs.iter().map(of_one).collect();

        let [mut requires, mut required_by, mut dependents] = [(); 3].map(|()| vec![Vec::new(); specs.len()]);
        for (number, spec) in specs.iter().enumerate() {
            for (dependency, on) in spec.dependencies.iter().zip(&dependencies[number]) {
                let Some(on) = *on else { continue };
                dependents[on].push(number);
                if dependency.required {
                    requires[number].push(on);
                    required_by[on].push(number);
                }
            }
        }
        [&mut requires, &mut required_by, &mut dependents].into_iter().flatten().for_each(sort);
        let order = order(&requires, &required_by);
        let mut places = vec![0; specs.len()];
        order.iter().enumerate().for_each(|(place, number)| places[*number] = place);
        let dependents = dependents.into_iter().map(Arc::from).collect();
        Self { dependencies, requires, required_by, dependents, places, order }
    }

    /// What a plugin depends on, in the order of its spec; `None` where plugins.toml does not name it.
    pub(super) fn dependencies(&self, number: usize) -> &[Option<usize>] {
        &self.dependencies[number]
    }

    /// The direct dependents of a plugin.
    pub(super) fn dependents(&self, number: usize) -> &Arc<[usize]> {
        &self.dependents[number]
    }

    /// Brings the standings up to date after the plugins in `touched` changed whether they are connected; answers whose
    /// standing changed. Looks at these alone, and at what requires one that changed.
    pub(super) fn restand(
        &self,
        touched: impl IntoIterator<Item = usize>,
        connected: impl Fn(usize) -> bool,
        standings: &mut [Standing],
    ) -> Vec<usize> {
        let mut waiting: BTreeSet<usize> = touched.into_iter().map(|number| self.places[number]).collect();
        let mut changed = Vec::new();
        while let Some(place) = waiting.pop_first() {
            let number = self.order[place];
            let standing = stand(number, connected(number), &self.requires[number], standings);
            if standing != standings[number] {
                standings[number] = standing;
                changed.push(number);
                // In a circle what comes before has been looked at.
                let after = self.required_by[number].iter().map(|number| self.places[*number]);
                waiting.extend(after.filter(|after| *after > place));
            }
        }
        changed
    }
}

fn sort(list: &mut Vec<usize>) {
    list.sort_unstable();
    list.dedup();
}

fn stand(number: usize, connected: bool, requires: &[usize], standings: &[Standing]) -> Standing {
    let blocked_by: Arc<[usize]> = requires.iter().copied().filter(|on| !standings[*on].healthy).collect();
    let healthy = connected && blocked_by.is_empty();
    let root_causes = match &*blocked_by {
        [] if healthy => Arc::default(),
        [] => Arc::from([number]),
        [on] => standings[*on].root_causes.clone(),
        several => united(several.iter().map(|on| &*standings[*on].root_causes)),
    };
    // A circle has no root.
    let root_causes = if !healthy && root_causes.is_empty() { Arc::from([number]) } else { root_causes };
    Standing { healthy, blocked_by, root_causes }
}

/// All numbers of several sorted lists, sorted.
fn united<'a>(lists: impl Iterator<Item = &'a [usize]>) -> Arc<[usize]> {
    let mut all: Vec<usize> = lists.flatten().copied().collect();
    all.sort();
    all.dedup();
    all.into()
}

/// Required dependencies first. The graph refuses cycles before anything starts; should one come, its members stand at
/// the end.
fn order(requires: &[Vec<usize>], required_by: &[Vec<usize>]) -> Vec<usize> {
    let mut waiting: Vec<usize> = requires.iter().map(Vec::len).collect();
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
