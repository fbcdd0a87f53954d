//! Plans of good graphs, the exact text about bad ones, and what holds for any graph.

use std::{collections::HashMap, time::Duration};

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

/// `name: required wanted?`, a line for each node.
fn nodes(text: &str) -> Vec<Node> {
    let node = |(index, line): (usize, &str)| {
        let (name, needs) = line.split_once(':').unwrap();
        let (wants, requires) = needs.split_whitespace().partition::<Vec<_>, _>(|need| need.ends_with('?'));
        let need = |role: &&str| Need::new(role.trim_end_matches('?'));
        Node {
            line: Some(index + 1),
            kind: Some(if name.ends_with("_service") { Kind::Service } else { Kind::Integration }),
            requires: requires.iter().map(need).collect(),
            wants: wants.iter().map(need).collect(),
            ..Node::new(name)
        }
    };
    text.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate().map(node).collect()
}

#[track_caller]
fn planned(text: &str) -> StartPlan {
    plan(nodes(text)).unwrap_or_else(|problems| panic!("{problems:?}"))
}

#[track_caller]
fn refused(nodes: Vec<Node>, expected: Expect) {
    let problems = plan(nodes).expect_err("refused");
    expected.assert_eq(&crate::config::Problems::new("plugins.toml".as_ref(), problems).to_string());
}

const SHIPPED: &str = "
    database:
    openai:
    twilio:
    google_calendar: database
    smtp:
    twilio_service: twilio database?
    memory_service: openai database
    orchestrator_service: openai database
    messaging_service: twilio_service memory_service database? orchestrator_service?
    voice_assistant: openai orchestrator_service database? memory_service? twilio_service?
    realtime_call_bridge: voice_assistant
    scheduler_service: database google_calendar? messaging_service? smtp? orchestrator_service?
";

#[test]
fn waves_and_orders() {
    let plan = planned(SHIPPED);
    expect![[r#"
        database openai smtp twilio
        google_calendar memory_service orchestrator_service twilio_service
        messaging_service voice_assistant
        realtime_call_bridge scheduler_service"#]]
    .assert_eq(&plan.waves().iter().map(|wave| wave.join(" ")).collect::<Vec<_>>().join("\n"));
    let order: Vec<_> = plan.order().collect();
    let stop_order: Vec<_> = plan.stop_order().collect();
    assert_eq!(order.iter().rev().collect::<Vec<_>>(), stop_order.iter().collect::<Vec<_>>());
}

#[test]
fn neighbours() {
    let plan = planned("a:\nb: a a?\nc: b a? gone?");
    let edge = |to: &str, required| Edge { to: to.to_owned(), required };
    assert_eq!(plan.dependencies("b"), [edge("a", true)], "who requires and wants it requires it");
    assert_eq!(plan.dependencies("c"), [edge("a", false), edge("b", true)], "what is not there is no edge");
    assert_eq!(plan.requires("c").collect::<Vec<_>>(), ["b"]);
    assert_eq!(plan.dependents("a"), ["b", "c"]);
    assert_eq!(plan.dependents("gone"), [""; 0]);
    assert_eq!(plan.edges().count(), 3);
}

#[test]
fn impact_follows_requirements_only() {
    let plan = planned(SHIPPED);
    assert_eq!(
        plan.required_dependents_closure("database"),
        [
            "google_calendar",
            "memory_service",
            "messaging_service",
            "orchestrator_service",
            "realtime_call_bridge",
            "scheduler_service",
            "voice_assistant"
        ]
    );
    assert_eq!(plan.required_dependents_closure("smtp"), [""; 0]);
    assert_eq!(plan.required_dependents_closure("no_such"), [""; 0]);
}

#[test]
fn the_critical_path_is_the_chain_that_takes_longest() {
    let seconds = |pairs: &[(&str, u64)]| -> HashMap<String, Duration> {
        pairs.iter().map(|(name, seconds)| ((*name).to_owned(), Duration::from_secs(*seconds))).collect()
    };
    let plan = planned("a:\nb:\nc: a b\nd: c?\ne: b");
    assert_eq!(plan.critical_path(&seconds(&[("a", 1), ("b", 2), ("c", 1), ("d", 1)])), ["b", "c", "d"]);
    assert_eq!(plan.critical_path(&seconds(&[("a", 1), ("b", 2), ("e", 9)])), ["b", "e"]);
    assert_eq!(plan.critical_path(&HashMap::new()), ["a"]);
    assert_eq!(plan.critical_path(&seconds(&[("a", 3), ("b", 3), ("c", 1)])), ["a", "c"]);
    assert_eq!(planned("").critical_path(&HashMap::new()), [""; 0]);
}

#[test]
fn a_missing_dependency() {
    refused(
        nodes("memory_service: database"),
        expect![[r#"
        plugins.toml:1: `memory_service` requires `database`, which plugins.toml does not name
          hint: add a section `[plugins.database]`"#]],
    );
    refused(
        nodes("memory_service: database\ndatabse:"),
        expect![[r#"
        plugins.toml:1: `memory_service` requires `database`, which plugins.toml does not name
          hint: did you mean `database` by `[plugins.databse]`? else add a section `[plugins.database]`"#]],
    );
    let mut disabled = nodes("memory_service: database");
    disabled[0].requires[0].disabled = true;
    refused(
        disabled,
        expect![[r#"
        plugins.toml:1: `memory_service` requires `database`, which plugins.toml does not name
          hint: it is there with `enabled = false`: remove that from `[plugins.database]`"#]],
    );
    let mut another = nodes("memory_service: openai\nopenai_eu:");
    another[1].plugin = "openai".to_owned();
    refused(
        another,
        expect![[r#"
        plugins.toml:1: `memory_service` requires `openai`, which plugins.toml does not name
          hint: let `openai_eu` serve it: `bind = { openai = "openai_eu" }` in `[plugins.memory_service]`"#]],
    );
    let mut bound = nodes("memory_service: openai");
    bound[0].requires[0].instance = "openai_eu".to_owned();
    refused(
        bound,
        expect![[r#"
        plugins.toml:1: `memory_service` requires `openai` (as `openai_eu`), which plugins.toml does not name
          hint: add a section `[plugins.openai_eu]`"#]],
    );
}

#[test]
fn cycles() {
    refused(
        nodes("a: a"),
        expect![[r#"
        plugins.toml:1: plugins depend on each other in a cycle: `a -> a`
          hint: each would wait for the next: remove one of their sections, or `bind` a dependency to another instance"#]],
    );
    refused(
        nodes("b: a\na: b?"),
        expect![[r#"
        plugins.toml:2: plugins depend on each other in a cycle: `a -> b -> a`
          hint: each would wait for the next: remove one of their sections, or `bind` a dependency to another instance"#]],
    );
    refused(
        nodes("x:\nc: a x\nb: c\na: b"),
        expect![[r#"
        plugins.toml:4: plugins depend on each other in a cycle: `a -> b -> c -> a`
          hint: each would wait for the next: remove one of their sections, or `bind` a dependency to another instance"#]],
    );
    refused(
        nodes("hub: a b\na: hub\nb: hub"),
        expect![[r#"
        plugins.toml:2: plugins depend on each other in a cycle: `a -> hub -> a`
          hint: each would wait for the next: remove one of their sections, or `bind` a dependency to another instance
        plugins.toml:3: plugins depend on each other in a cycle: `b -> hub -> b`
          hint: each would wait for the next: remove one of their sections, or `bind` a dependency to another instance"#]],
    );
}

#[test]
fn binds_of_what_is_no_dependency() {
    let mut stray = nodes("a: openai\nopenai:");
    stray[0].bound = vec!["opnai".to_owned()];
    refused(
        stray.clone(),
        expect![[r#"
        plugins.toml:1: `a` binds `opnai`, which it does not depend on
          hint: did you mean `openai`?"#]],
    );
    stray[0] = Node { kind: None, requires: Vec::new(), ..stray[0].clone() };
    assert!(plan(stray).is_ok(), "nothing is known of a library that could not be loaded");
}

#[test]
fn everything_at_once() {
    refused(
        nodes("a: b missing\nb: a\nc:\nc: gone"),
        expect![[r#"
            plugins.toml:1: `a` requires `missing`, which plugins.toml does not name
              hint: add a section `[plugins.missing]`
            plugins.toml:1: plugins depend on each other in a cycle: `a -> b -> a`
              hint: each would wait for the next: remove one of their sections, or `bind` a dependency to another instance
            plugins.toml:4: `c` requires `gone`, which plugins.toml does not name
              hint: add a section `[plugins.gone]`
            plugins.toml:4: there are two plugins `c`"#]],
    );
}

#[test]
fn nodes_come_from_sections_and_manifests() {
    let text = "[plugins.openai_eu]\nlibrary = 'openai'\n[plugins.off]\nenabled = false\n\
                [plugins.memory]\nbind = { openai = 'openai_eu' }\n";
    let environment = crate::config::Environment::default();
    let config = crate::config::parse("/nowhere/plugins.toml".as_ref(), text, &environment).unwrap();
    let manifest: Manifest = serde_json::from_value(serde_json::json!({
        "name": "memory_service", "version": "0.1.0", "kind": "service", "settings": {},
        "requires": ["openai", "host"], "wants": ["off"],
    }))
    .unwrap();
    let need = |role: &str, instance: &str, disabled| Need {
        role: role.to_owned(),
        instance: instance.to_owned(),
        disabled,
    };
    assert_eq!(
        node(&config.plugins[1], Some(&manifest), &config),
        Node {
            name: "memory".to_owned(),
            line: Some(5),
            plugin: "memory_service".to_owned(),
            kind: Some(Kind::Service),
            requires: vec![need("openai", "openai_eu", false)],
            wants: vec![need("off", "off", true)],
            bound: vec!["openai".to_owned()],
        }
    );
    let unloaded = node(&config.plugins[0], None, &config);
    assert_eq!((unloaded.plugin.as_str(), unloaded.kind), ("openai", None));
}

#[test]
fn drawings() {
    let plan =
        planned("database:\nsmtp:\nmemory_service: database\nvoice_service: memory_service database smtp?");
    expect![[r#"
        voice_service
        ├─ database
        ├─ memory_service
        │  └─ database
        └─ smtp (wanted)
    "#]]
    .assert_eq(&render::tree(&plan));
    expect![[r#"
        digraph switchboard {
          rankdir = LR;
          "database" [shape = ellipse];
          "smtp" [shape = ellipse];
          "memory_service" [shape = box];
          "voice_service" [shape = box];
          "memory_service" -> "database";
          "voice_service" -> "database";
          "voice_service" -> "memory_service";
          "voice_service" -> "smtp" [style = dashed];
        }
    "#]]
    .assert_eq(&render::dot(&plan));
    expect![[r#"
        flowchart LR
          p_database([database])
          p_smtp([smtp])
          p_memory_service[memory_service]
          p_voice_service[voice_service]
          p_memory_service --> p_database
          p_voice_service --> p_database
          p_voice_service --> p_memory_service
          p_voice_service -.-> p_smtp
    "#]]
    .assert_eq(&render::mermaid(&plan));
    let json: serde_json::Value = serde_json::from_str(&render::json(&plan)).unwrap();
    assert_eq!(json["waves"][0], serde_json::json!(["database", "smtp"]));
    assert_eq!(json["plugins"][3], serde_json::json!({ "name": "voice_service", "kind": "service" }));
    assert_eq!(
        json["edges"][3],
        serde_json::json!({ "from": "voice_service", "to": "smtp", "required": false })
    );
    expect![[r#"
        database takes down: memory_service, voice_service
    "#]]
    .assert_eq(&render::down(&plan, "database").unwrap());
    expect![[r#"
        nothing requires smtp
        keeps running with reduced function: voice_service
    "#]]
    .assert_eq(&render::down(&plan, "smtp").unwrap());
    expect![[r#"
        there is no plugin `smpt`
          hint: did you mean `smtp`?"#]]
    .assert_eq(&render::down(&plan, "smpt").unwrap_err().to_string());
}

/// A graph in which every node depends only on nodes of a smaller index, under names in no order.
fn dag() -> impl Strategy<Value = Vec<Node>> {
    (1..30_usize).prop_flat_map(|size| {
        let edges = prop::collection::vec((0..size, 0..size, any::<bool>()), 0..90);
        let names = Just((0..size).map(|index| format!("p{index}")).collect::<Vec<_>>()).prop_shuffle();
        (names, edges).prop_map(|(names, edges)| {
            let mut nodes: Vec<_> = names.iter().map(Node::new).collect();
            for (one, other, required) in edges.into_iter().filter(|(one, other, _)| one != other) {
                let need = Need::new(&names[one.min(other)]);
                let node = &mut nodes[one.max(other)];
                if required { node.requires.push(need) } else { node.wants.push(need) }
            }
            nodes
        })
    })
}

/// A DAG, and a chain through some of its nodes that is closed into a circle.
fn with_a_cycle() -> impl Strategy<Value = Vec<Node>> {
    (dag(), prop::collection::vec(any::<prop::sample::Index>(), 1..6)).prop_map(|(mut nodes, chain)| {
        let mut chain: Vec<_> = chain.iter().map(|index| index.index(nodes.len())).collect();
        chain.sort_unstable();
        chain.dedup();
        for (position, from) in chain.iter().enumerate() {
            let to = nodes[chain[(position + 1) % chain.len()]].name.clone();
            nodes[*from].wants.push(Need::new(to));
        }
        nodes
    })
}

proptest! {
    #[test]
    fn any_dag_is_ordered_along_its_edges(nodes in dag()) {
        let plan = plan(nodes.clone()).unwrap();
        let place: HashMap<&str, usize> = plan.order().enumerate().map(|(place, name)| (name, place)).collect();
        prop_assert_eq!(place.len(), nodes.len());
        for node in &nodes {
            for need in node.requires.iter().chain(&node.wants) {
                prop_assert!(place[need.instance.as_str()] < place[node.name.as_str()]);
            }
        }
    }

    #[test]
    fn any_cycle_is_refused_with_a_path_that_is_one(nodes in with_a_cycle()) {
        let depends = |from: &str, to: &str| {
            let from = nodes.iter().find(|node| node.name == from).unwrap();
            from.requires.iter().chain(&from.wants).any(|need| need.instance == to)
        };
        let problems = plan(nodes.clone()).unwrap_err();
        for problem in problems {
            let path = problem.message.split('`').nth(1).unwrap();
            let path: Vec<_> = path.split(" -> ").collect();
            prop_assert!(path.len() > 1 && path.first() == path.last());
            prop_assert!(path.windows(2).all(|pair| depends(pair[0], pair[1])), "{:?}", path);
            prop_assert!(path.iter().all(|name| path[0] <= *name), "it begins at its smallest name: {:?}", path);
        }
    }

    #[test]
    fn no_chain_takes_longer_than_the_critical_path(nodes in dag(), seconds in prop::collection::vec(0..9_u64, 30)) {
        let plan = plan(nodes).unwrap();
        let durations: HashMap<_, _> =
            plan.order().zip(seconds).map(|(name, length)| (name.to_owned(), Duration::from_secs(length))).collect();
        let path = plan.critical_path(&durations);
        let length: Duration = path.iter().map(|name| durations[name]).sum();
        let mut ends: HashMap<&str, Duration> = HashMap::new();
        for name in plan.order() {
            let before = plan.dependencies(name).iter().map(|edge| ends[edge.to.as_str()]).max().unwrap_or_default();
            ends.insert(name, before + durations[name]);
        }
        prop_assert_eq!(length, ends.values().copied().max().unwrap());
        let follows = |pair: &[String]| plan.dependencies(&pair[1]).iter().any(|edge| edge.to == pair[0]);
        prop_assert!(path.windows(2).all(follows));
    }
}
