//! The machine's clock is stepped by hours while a host runs: ages stay what they are, and nothing stops or goes stale.

use libtest_mimic::Trial;
use plugin_api::jiff::Timestamp;
use serde_json::{Value, json};
use switchboard_tests::{
    Setup, TestHost,
    flip::flip,
    partners::stepped_clock::SteppedClock,
    trial::Outcome,
    trials,
    wait::{LIMIT, wait_until},
};
use tempfile::TempDir;

pub fn tests() -> Vec<Trial> {
    trials![ages_survive_a_clock_that_steps]
}

const HOURS: i64 = 5 * 3600;

const PATHS: [&str; 5] = [
    "/api/health",
    "/api/health/integrations",
    "/api/health/integrations/faulty",
    "/api/health/services",
    "/api/health/connections",
];

/// Every time and every count of seconds in it, with its place.
fn moments(place: &str, value: &Value, found: &mut Vec<(String, Timestamp)>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, value)| moments(&format!("{place}.{key}"), value, found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| moments(&format!("{place}[{at}]"), item, found));
        }
        Value::String(text) => found.extend(text.parse().ok().map(|time| (place.to_owned(), time))),
        _ => {}
    }
}

/// How far what is told lies from now, in seconds, by a clock that is off by so many.
fn ages(host: &TestHost, offset: i64) -> Vec<(String, i64)> {
    let mut found = Vec::new();
    for path in PATHS {
        let answer = host.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        moments(path, &answer.json(), &mut found);
    }
    let now = Timestamp::now().as_second() + offset;
    found.into_iter().map(|(place, time)| (place, now - time.as_second())).collect()
}

/// Far less than a step, and more than a test may take.
fn is_near(seconds: i64) -> bool {
    seconds.unsigned_abs() < 4 * LIMIT.as_secs()
}

fn uptime(host: &TestHost) -> i64 {
    host.get("/api/health").json()["uptime_s"].as_i64().expect("a number")
}

fn ages_survive_a_clock_that_steps() -> Outcome {
    let folder = TempDir::new().expect("a folder can be made");
    let clock = SteppedClock::new(folder.path())?;
    let probed = "probe = { interval = \"1s\" }\n";
    let config = format!("[plugins.database]\n{probed}[plugins.faulty]\n{probed}[plugins.dependent]\n");
    let host = clock.of_host(Setup::new(&config)).start();
    for name in ["database", "faulty", "dependent"] {
        host.wait_for_status(name, "connected");
    }
    let before = ages(&host, 0);
    assert!(before.iter().all(|(_, age)| is_near(*age)) && before.len() > 20, "{before:#?}");
    for offset in [HOURS, -HOURS, 0] {
        let lived = uptime(&host);
        clock.step_to(offset);
        wait_until(
            "times by the new clock",
            || ages(&host, offset),
            |ages| ages.iter().all(|(_, age)| is_near(*age)),
        );
        let uptime = uptime(&host);
        assert!(uptime >= lived && is_near(uptime), "{uptime} s after a step to {offset}, before it {lived}");

        // Checks go on, each by the clock as it stands now.
        let checked = |name: &str| host.plugin(name)["checked_at"].clone();
        for name in ["database", "faulty"] {
            let earlier = checked(name);
            wait_until("another check", || checked(name), |now| *now != earlier);
        }
        let health = host.get("/api/health").json();
        assert_eq!((&health["status"], &health["stale"]), (&json!("healthy"), &json!(false)), "{health:#}");
        for path in ["/livez", "/readyz"] {
            assert_eq!(host.get(path).status, 200, "{path}");
        }
        let echoed = host.call("faulty", "echo", &json!({"text": "hello"}));
        assert_eq!(echoed.status, 200, "{}", echoed.body);
        if offset == HOURS {
            // The flips under one clock are told by the next one. More of them would be flapping.
            (0..2).for_each(|turn| flip(&host, &[], turn));
        }
    }
    Ok(())
}
