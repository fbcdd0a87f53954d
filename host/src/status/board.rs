//! The one place where health is written, and from where everybody reads it: an event becomes a new snapshot.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::{ArcSwap, Guard};
use jiff::{SignedDuration, Timestamp};
use plugin_api::error::ReasonCode;
use tokio::sync::watch;

use super::{
    event::Event,
    explanation::Explanation,
    failing::Finding,
    journal::{Change, Forgotten, Journal},
    machine::Machine,
    model::{Dependency, Failing, PluginHealth, Retry, Status, Transition, kind_name},
    names::Names,
    overall::Tally,
    snapshot::{Panics, Snapshot},
    spec::{BoardConfig, DependencySpec, PluginSpec, StartReport},
    standing::{Edges, Standing},
    time::shifted,
    trouble::HostTrouble,
};

/// A handle to the board; clones share it. Reading never waits for a writer.
#[derive(Clone)]
pub struct Board {
    shared: Arc<Shared>,
}

struct Shared {
    writer: Mutex<Writer>,
    current: ArcSwap<Snapshot>,
    journal: Journal,
    changes: watch::Sender<u64>,
    revisions: watch::Sender<u64>,
}

/// What only the writer needs. Plugins are numbered in the order of their names.
struct Writer {
    names: Arc<[String]>,
    machines: Vec<Machine>,
    edges: Edges,
    standings: Vec<Standing>,
    shift: SignedDuration,
}

impl Board {
    /// Every plugin is `not_initialized`, nothing has settled.
    pub fn new(config: BoardConfig) -> Self {
        let writer = Writer::new(config.plugins, config.now);
        let plugins: Vec<_> =
            (0..writer.machines.len()).map(|number| Arc::new(writer.health(number))).collect();
        let tally = Tally::of(plugins.iter().map(Arc::as_ref));
        let snapshot = Snapshot {
            boot_id: config.boot_id.into(),
            version: config.version.into(),
            started_at: config.now,
            revision: 1,
            ticked_at: config.now,
            shift: SignedDuration::ZERO,
            settled: tally.is_settled(),
            counts: tally.counts,
            overall: tally.overall(tally.is_settled(), false),
            plugins: Arc::new(plugins),
            start: Arc::default(),
            panics: Arc::default(),
            host: Arc::default(),
            tally,
        };
        let shared = Shared {
            writer: Mutex::new(writer),
            current: ArcSwap::from_pointee(snapshot),
            journal: Journal::default(),
            changes: watch::Sender::new(0),
            revisions: watch::Sender::new(1),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Takes in what happened to a plugin; answers the change of its status, if there is one. An unknown name is
    /// ignored: the plugin may just have been taken out of plugins.toml.
    pub fn apply(&self, name: &str, event: Event, now: Timestamp) -> Option<Transition> {
        let mut writer = self.write();
        let number = self.shared.current.load().position(name)?;
        let (transition, changed) = writer.apply(number, event, now);
        self.publish(&writer, &changed, |snapshot| {
            if let Some(transition) = &transition {
                self.shared.journal.push(change(snapshot, number, transition));
            }
        });
        self.announce();
        transition
    }

    /// Looks at what changes by time alone; called about once a second. Readers see by it that somebody looks.
    pub fn tick(&self, now: Timestamp) {
        let mut writer = self.write();
        let machines = writer.machines.iter_mut().enumerate();
        let changed: BTreeSet<_> =
            machines.filter_map(|(number, machine)| machine.tick(now).then_some(number)).collect();
        self.publish(&writer, &changed, |snapshot| snapshot.ticked_at = now);
        if !changed.is_empty() {
            self.announce();
        }
    }

    /// The machine's clock was stepped: from now on so much leads from the times that are handed in to those that people
    /// see. Ages stay what they are.
    pub fn shift(&self, shift: SignedDuration) {
        let mut writer = self.write();
        if writer.shift == shift {
            return;
        }
        let step = shift - writer.shift;
        writer.shift = shift;
        for machine in &mut writer.machines {
            machine.shift = shift;
            machine.history.step(step);
        }
        let all = (0..writer.machines.len()).collect();
        self.publish(&writer, &all, |snapshot| {
            snapshot.shift = shift;
            snapshot.revision += 1;
        });
        self.announce();
    }

    /// From now on there are these plugins: what is known of those that stay is kept, what is gone is forgotten.
    pub fn reconfigure(&self, plugins: Vec<PluginSpec>, now: Timestamp) {
        let mut writer = self.write();
        writer.reconfigure(plugins, now);
        let plugins: Vec<_> =
            (0..writer.machines.len()).map(|number| Arc::new(writer.health(number))).collect();
        self.publish(&writer, &BTreeSet::new(), |snapshot| {
            snapshot.tally = Tally::of(plugins.iter().map(Arc::as_ref));
            snapshot.counts = snapshot.tally.counts;
            snapshot.overall = snapshot.judge(false);
            snapshot.plugins = Arc::new(plugins);
            snapshot.revision += 1;
        });
        self.announce();
    }

    /// Puts what earlier runs of the host saw of a plugin before what this one saw; only the first time counts.
    pub fn recall(&self, name: &str, earlier: Vec<Transition>) {
        let mut writer = self.write();
        let Some(number) = self.shared.current.load().position(name) else { return };
        let is_news = !earlier.is_empty();
        writer.machines[number].history.recall(earlier);
        self.publish(&writer, &BTreeSet::from([number]), |snapshot| {
            snapshot.revision += u64::from(is_news);
        });
    }

    /// Tells that a task of the host itself ended by a panic; `of` is the plugin, if it is about one.
    pub fn task_panicked(&self, task: &str, of: Option<&str>, now: Timestamp) {
        let writer = self.write();
        self.publish(&writer, &BTreeSet::new(), |snapshot| {
            let panics = Arc::make_mut(&mut snapshot.panics);
            let count = panics.get(task).map_or(1, |before| before.count + 1);
            panics.insert(task.to_owned(), Panics { count, at: now, of: of.map(str::to_owned) });
            snapshot.revision += 1;
        });
        self.announce();
    }

    /// Tells how the start goes, or went.
    pub fn set_start(&self, start: StartReport) {
        let writer = self.write();
        self.publish(&writer, &BTreeSet::new(), |snapshot| {
            if *snapshot.start != start {
                snapshot.start = Arc::new(start);
                snapshot.revision += 1;
            }
        });
        self.announce();
    }

    /// Raises a trouble of the host itself, or ends it. One that goes on keeps its beginning.
    pub fn set_host_trouble(&self, key: &'static str, trouble: Option<(ReasonCode, &str)>, now: Timestamp) {
        let writer = self.write();
        self.publish(&writer, &BTreeSet::new(), |snapshot| {
            let mut troubles = snapshot.host.to_vec();
            let before =
                troubles.iter().position(|trouble| trouble.key == key).map(|place| troubles.remove(place));
            let since = before.as_ref().map_or(now, |before| before.since);
            let after =
                trouble.map(|(code, message)| HostTrouble { key, code, message: message.to_owned(), since });
            if before == after {
                return;
            }
            troubles.extend(after);
            troubles.sort_by_key(|trouble| trouble.key);
            snapshot.host = troubles.into();
            snapshot.overall = snapshot.judge(false);
            snapshot.revision += 1;
        });
        self.announce();
    }

    /// Everything as it stands.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.current.load_full()
    }

    /// The same for a short look: it costs less, and keeps the snapshot only as long as the guard lives.
    pub(crate) fn look(&self) -> Guard<Arc<Snapshot>> {
        self.shared.current.load()
    }

    /// Told after every event: to wait for a condition, look at [`Board::snapshot`] after each change.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// Told after every change that a reader cares about: holds the revision.
    pub fn revisions(&self) -> watch::Receiver<u64> {
        self.shared.revisions.subscribe()
    }

    /// The first changes of status above a revision, oldest first. All those up to the revision of a snapshot are there
    /// before the snapshot is.
    ///
    /// # Errors
    /// Some of them are forgotten.
    pub fn changes_after(&self, revision: u64, most: usize) -> Result<Vec<Arc<Change>>, Forgotten> {
        self.shared.journal.after(revision, most)
    }

    /// Whether a change of status, and nothing else, made this revision; as far as changes are kept.
    pub fn is_change(&self, revision: u64) -> bool {
        self.shared.journal.has(revision)
    }

    fn write(&self) -> MutexGuard<'_, Writer> {
        // A panic within leaves at worst one event half taken in: better to go on than to lose all health.
        self.shared.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self) {
        self.shared.changes.send_modify(|number| *number += 1);
    }

    /// Makes the next snapshot; plugins that did not change are shared with the one before.
    fn publish(&self, writer: &Writer, changed: &BTreeSet<usize>, edit: impl FnOnce(&mut Snapshot)) {
        let mut next = Snapshot::clone(&self.shared.current.load());
        let told = (next.settled, next.overall);
        let mut telling = false;
        for &number in changed {
            let health = writer.health(number);
            let plugin = &mut Arc::make_mut(&mut next.plugins)[number];
            telling |= !health.reads_like(plugin);
            next.tally.replace(plugin, &health);
            *plugin = Arc::new(health);
        }
        next.settled |= next.tally.is_settled();
        next.counts = next.tally.counts;
        next.overall = next.judge(false);
        if telling || told != (next.settled, next.overall) {
            next.revision += 1;
        }
        edit(&mut next);
        let revision = next.revision;
        self.shared.current.store(Arc::new(next));
        self.shared.revisions.send_if_modified(|known| std::mem::replace(known, revision) != revision);
    }
}

impl Writer {
    fn new(plugins: Vec<PluginSpec>, now: Timestamp) -> Self {
        let mut writer = Self {
            names: Arc::default(),
            machines: Vec::new(),
            edges: Edges::new(&[]),
            standings: Vec::new(),
            shift: SignedDuration::ZERO,
        };
        writer.reconfigure(plugins, now);
        writer
    }

    /// A machine for each of these plugins, those that are there kept.
    fn reconfigure(&mut self, mut plugins: Vec<PluginSpec>, now: Timestamp) {
        plugins.sort_by(|one, other| one.name.cmp(&other.name));
        self.names = plugins.iter().map(|spec| spec.name.clone()).collect();
        self.edges = Edges::new(&plugins);
        let mut known: BTreeMap<String, Machine> =
            self.machines.drain(..).map(|machine| (machine.spec.name.clone(), machine)).collect();
        let machine = |spec: PluginSpec| match known.remove(&spec.name) {
            Some(mut machine) => {
                machine.become_of(spec);
                machine
            }
            None => Machine::new(spec, now),
        };
        self.machines = plugins.into_iter().map(machine).collect();
        self.machines.iter_mut().for_each(|machine| machine.shift = self.shift);
        self.standings = vec![Standing::default(); self.machines.len()];
        let connected = |number: usize| self.machines[number].status == Status::Connected;
        self.edges.restand(0..self.machines.len(), connected, &mut self.standings);
    }

    /// The transition, and the plugins that read differently now.
    fn apply(
        &mut self,
        number: usize,
        event: Event,
        now: Timestamp,
    ) -> (Option<Transition>, BTreeSet<usize>) {
        let transition = self.machines[number].apply(event, now);
        let mut changed = BTreeSet::from([number]);
        if transition.is_some() {
            let connected = |number: usize| self.machines[number].status == Status::Connected;
            changed.extend(self.edges.restand([number], connected, &mut self.standings));
            let shown_by: Vec<_> =
                changed.iter().flat_map(|number| self.edges.dependents(*number).iter()).copied().collect();
            changed.extend(shown_by);
        }
        (transition, changed)
    }

    fn health(&self, number: usize) -> PluginHealth {
        let (machine, standing) = (&self.machines[number], &self.standings[number]);
        let spec = &machine.spec;
        let shown = |time| shifted(time, machine.shift);
        let dependencies = spec.dependencies.iter().zip(self.edges.dependencies(number));
        PluginHealth {
            name: spec.name.clone(),
            kind: spec.kind,
            required: spec.required,
            status: machine.status,
            healthy: standing.healthy,
            stale: machine.stale,
            flapping: machine.flapping,
            since: shown(machine.since),
            checked_at: machine.checked_at.map(shown),
            next_check_at: machine.next_check_at.map(shown),
            latency_ms: machine.latency_ms,
            version: spec.version.clone(),
            generation: machine.generation,
            abandoned: machine.abandoned,
            reason: machine.explanation.reason.clone(),
            fix: machine.explanation.fix.clone(),
            retry: Retry {
                next_attempt_at: machine.retry.next_attempt_at.map(shown),
                ..machine.retry.clone()
            },
            settings: machine.explanation.settings.clone(),
            notes: machine.notes.clone(),
            failing: failing(machine),
            dependencies: dependencies.map(|(spec, on)| self.dependency(spec, *on)).collect(),
            dependents: Names::new(&self.names, self.edges.dependents(number)),
            blocked_by: Names::new(&self.names, &standing.blocked_by),
            root_causes: Names::new(&self.names, &standing.root_causes),
            history: machine.history.shared(),
            recalled: machine.history.is_recalled(),
            settled: machine.settled,
            timing: machine.timing,
            transitions: machine.history.total(),
            probes: machine.probes.clone(),
        }
    }

    fn dependency(&self, spec: &DependencySpec, number: Option<usize>) -> Dependency {
        let healthy = number.is_some_and(|number| self.standings[number].healthy);
        Dependency {
            name: spec.name.clone(),
            kind: number.map(|number| kind_name(self.machines[number].spec.kind)),
            required: spec.required,
            status: number.map(|number| self.machines[number].status),
            healthy,
            satisfied: healthy || (!spec.required && number.is_none()),
        }
    }
}

/// What nobody has set up fails nobody.
fn failing(machine: &Machine) -> Vec<Failing> {
    let shown = |time| shifted(time, machine.shift);
    let failing = |finding: &Finding| Failing {
        operation: finding.operation.clone(),
        key: finding.key.clone(),
        since: shown(finding.since),
        last_at: shown(finding.last_at),
        failures: finding.failures,
        code: finding.code,
        message: finding.message.clone(),
        fix: Explanation::fix_in_use(&machine.spec, finding.code, finding.hint.as_ref()),
        callers: finding.callers.clone(),
    };
    let findings = machine.findings.iter().filter(|_| machine.status != Status::NotConfigured);
    findings.map(failing).collect()
}

/// What a transition made of the plugin at this place, and of the whole.
fn change(snapshot: &Snapshot, place: usize, transition: &Transition) -> Change {
    let plugin = &snapshot.plugins[place];
    Change {
        revision: snapshot.revision,
        name: plugin.name.clone(),
        kind: plugin.kind,
        healthy: plugin.healthy,
        overall: snapshot.overall,
        transition: transition.clone(),
    }
}

#[cfg(test)]
mod tests;
