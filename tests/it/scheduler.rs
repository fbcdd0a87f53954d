//! The scheduler with real hosts: jobs that are done once whoever is killed, parked and resumed, kept when they fail, and
//! reminders that follow their events.

use std::{collections::BTreeMap, fs};

use libtest_mimic::Trial;
use plugin_api::jiff;
use serde_json::{Value, json};
use switchboard_tests::{
    Setup, TestHost,
    http::Response,
    partners::{postgres::Postgres, smtp::SmtpServer, stepped_clock::SteppedClock},
    trial::Outcome,
    trials,
    wait::{poll, wait_until},
};
use tempfile::TempDir;

pub fn tests() -> Vec<Trial> {
    trials![
        three_hosts_do_ten_thousand_jobs_and_one_is_killed,
        a_killed_host_repeats_only_what_is_harmless_on_sqlite,
        a_killed_host_repeats_only_what_is_harmless_on_postgresql,
        a_clock_that_jumps_ahead_repeats_nothing_on_sqlite,
        a_clock_that_jumps_ahead_repeats_nothing_on_postgresql,
        a_clock_that_is_put_back_strands_no_job_on_sqlite,
        a_clock_that_is_put_back_strands_no_job_on_postgresql,
        jobs_survive_a_restart_and_are_cancelled,
        what_is_parked_goes_on_when_smtp_is_configured,
        a_dead_letter_is_shown_and_sent_again,
        a_reminder_follows_its_event,
        runs_missed_across_a_restart_go_by_their_policy_on_sqlite,
        runs_missed_across_a_restart_go_by_their_policy_on_postgresql,
        a_zone_that_the_machine_does_not_know_yet_is_known,
    ]
}

const JOBS: usize = 10_000;
/// How many jobs one host does at once.
const AT_ONCE: usize = 64;

const PLUGINS: &str = r#"
    [plugins.database]
    calls = { concurrent = 200, queue = 500 }
    [plugins.smtp]
    library = "errand"
    calls = { concurrent = 200, queue = 500 }
    [plugins.messaging_service]
    library = "errand"
    calls = { concurrent = 200, queue = 500 }
    [plugins.scheduler_service]
    [plugins.scheduler_service.settings]
    lease = "3s"
    poll = "100ms"
    concurrent = 64
"#;

#[track_caller]
fn start(setup: Setup) -> TestHost {
    let host = setup.start();
    host.wait_for_status("scheduler_service", "connected");
    host
}

#[track_caller]
fn ok(response: Response) -> Value {
    assert!(response.status < 300, "{} {}", response.status, response.body);
    if response.body.is_empty() { Value::Null } else { response.json() }
}

/// Schedules over the route, and gives the job.
#[track_caller]
fn schedule(host: &TestHost, request: &Value) -> Value {
    ok(host.post("/api/schedule/jobs", request))["job"].clone()
}

fn email(subject: &str) -> Value {
    json!({ "email": { "to": ["ada@example.com"], "subject": subject, "text": "Hello" }, "at": "2150-01-01T00:00:00Z" })
}

fn message(text: &str) -> Value {
    json!({ "message": { "to": "+15550000001", "text": text }, "at": "2150-01-01T00:00:00Z" })
}

fn job(host: &TestHost, job: &Value) -> Value {
    ok(host.get(&format!("/api/schedule/jobs/{}", job["id"].as_str().expect("it has an id"))))
}

#[track_caller]
fn wait_for(host: &TestHost, scheduled: &Value, state: &str) -> Value {
    wait_until(&format!("a job to be {state}"), || job(host, scheduled), |job| job["state"] == state)
}

/// Rows as lists, whatever the database.
#[track_caller]
fn rows(host: &TestHost, sql: &str) -> Vec<Vec<Value>> {
    let answer = ok(host.call("database", "query", &json!({ "sql": sql, "row_limit": 20_000 })));
    serde_json::from_value(answer["rows"].clone()).expect("it has rows")
}

/// Lets the moment of all waiting jobs come.
#[track_caller]
fn all_due(host: &TestHost) {
    let now = jiff::Timestamp::now().as_millisecond();
    let sql =
        format!("update scheduler_service_jobs set fire_ms = {now}, due_ms = {now} where state = 'waiting'");
    ok(host.call("database", "execute", &json!({ "sql": sql })));
}

/// How often each errand had an effect.
fn effects(host: &TestHost) -> BTreeMap<String, u64> {
    let counted = rows(host, "select what, count(*) from errand_effects group by what");
    let pair =
        |row: Vec<Value>| (row[0].as_str().expect("a text").to_owned(), row[1].as_u64().expect("a number"));
    counted.into_iter().map(pair).collect()
}

/// Many jobs like the two that there are, due at once.
const MULTIPLY: &str = "
    insert into scheduler_service_jobs
        (id, fingerprint, person, title, does, task, rule, zone, if_late, late_ms, state, fire_ms, due_ms, begun, cancel,
        attempts, doubt, created_ms)
    select id || '-' || n, fingerprint, person, title, does, replace(task, 'TEMPLATE', does || '-' || n), rule, zone,
        if_late, late_ms, 'waiting', NOW, NOW, 0, 0, 0, 0, created_ms
    from scheduler_service_jobs cross join generate_series(1, COUNT) as n";

fn three_hosts_do_ten_thousand_jobs_and_one_is_killed() -> Outcome {
    let postgres = Postgres::start()?;
    let host = || start(Setup::new(PLUGINS).env("DATABASE_URL", &postgres.url()));
    let (first, second, third) = (host(), host(), host());
    for template in [email("TEMPLATE"), message("TEMPLATE")] {
        schedule(&first, &template);
    }
    let now = jiff::Timestamp::now().as_millisecond();
    let multiply = MULTIPLY.replace("NOW", &now.to_string()).replace("COUNT", &(JOBS / 2).to_string());
    postgres.query(&multiply);
    postgres.query("delete from scheduler_service_jobs where due_ms > 4000000000000 and owner is null and begun = 0 and task like '%TEMPLATE%'");

    let number = |sql: &str| postgres.query(sql).parse::<usize>().expect("a number");
    let done = || number("select count(*) from scheduler_service_jobs where state = 'done'");
    wait_until("a fifth to be done", done, |done| *done >= JOBS / 5);
    drop(second.kill());
    let open = || number("select count(*) from scheduler_service_jobs where ended_ms is null");
    let left = poll(std::time::Duration::from_secs(300), open, |open| *open == 0);
    assert_eq!(left, Ok(0), "all come to an end");

    let states = postgres
        .query("select state || ' ' || count(*) from scheduler_service_jobs group by state order by 1");
    let unknown = number("select count(*) from scheduler_service_jobs where state = 'unknown_outcome'");
    let doubled = number(
        "select count(*) from (select what from errand_effects group by what having count(*) > 1) as d",
    );
    assert_eq!(doubled, 0, "nothing took effect twice");
    assert_eq!(done() + unknown, JOBS, "none is lost: {states}");
    assert!(unknown <= AT_ONCE, "only what the killed host was at: {states}");
    let of = |what: &str| number(&format!("select count(*) from errand_effects where what like '{what}-%'"));
    assert_eq!(of("message"), JOBS / 2, "what honours keys is never in doubt");
    assert!(of("email") + unknown >= JOBS / 2 && of("email") <= JOBS / 2, "{} emails: {states}", of("email"));
    let without_effect = number(
        "select count(*) from scheduler_service_jobs as j where state = 'done'
            and not exists (select 1 from errand_effects as e where e.what = j.does || '-' || split_part(j.id, '-', 2))",
    );
    assert_eq!(without_effect, 0, "what is done took effect");
    let letters =
        ok(first.get("/api/schedule"))["dead_letters"]["unknown_outcome"].as_u64().unwrap_or_default();
    assert_eq!(letters as usize, unknown, "what cannot be decided is shown");
    drop((first, third));
    Ok(())
}

#[track_caller]
fn harmless_alone_is_repeated(setup: Setup) {
    let setup = setup.file("hold", "");
    let host = start(setup);
    let (email, message) = (schedule(&host, &email("an email")), schedule(&host, &message("a message")));
    all_due(&host);
    let both = |effects: &BTreeMap<String, u64>| effects.len() == 2;
    wait_until("both to have an effect", || effects(&host), both);
    assert_eq!(job(&host, &email)["state"], "running");
    let setup = host.kill();
    fs::remove_file(setup.path("hold")).expect("it is there");

    let host = start(setup);
    wait_for(&host, &message, "done");
    wait_for(&host, &email, "unknown_outcome");
    assert!(effects(&host).values().all(|times| *times == 1), "{:?}", effects(&host));
    let letters = ok(host.get("/api/schedule/dead-letters"));
    let letter = &letters["dead_letters"][0];
    assert_eq!((&letter["outcome"], &letter["job"]), (&json!("unknown_outcome"), &email["id"]));
    let id = letter["id"].as_str().expect("it has an id");
    let refused = host.post(&format!("/api/schedule/dead-letters/{id}/retry"), &json!({}));
    assert_eq!(refused.status, 409, "{}", refused.body);
    ok(host.post(&format!("/api/schedule/dead-letters/{id}/dismiss"), &json!({})));
    assert_eq!(ok(host.get("/api/schedule/dead-letters"))["dead_letters"], json!([]));
}

fn a_killed_host_repeats_only_what_is_harmless_on_sqlite() {
    harmless_alone_is_repeated(Setup::new(PLUGINS));
}

fn a_killed_host_repeats_only_what_is_harmless_on_postgresql() -> Outcome {
    let postgres = Postgres::start()?;
    harmless_alone_is_repeated(Setup::new(PLUGINS).env("DATABASE_URL", &postgres.url()));
    Ok(())
}

/// The leases of jobs are over by the clock, while this host is at them.
#[track_caller]
fn a_jump_ahead_repeats_nothing(setup: Setup) -> Outcome {
    let folder = TempDir::new().expect("a folder can be made");
    let clock = SteppedClock::new(folder.path())?;
    let host = start(clock.of_host(setup).file("hold", ""));
    let (first, second) = (schedule(&host, &email("an email")), schedule(&host, &message("a message")));
    all_due(&host);
    wait_until("both to have an effect", || effects(&host), |effects| effects.len() == 2);
    clock.step_to(130);
    // That this one is claimed shows that the host has looked.
    let third = schedule(&host, &email("another email"));
    all_due(&host);
    wait_until("the third to have an effect", || effects(&host), |effects| effects.len() == 3);
    fs::remove_file(host.setup().path("hold")).expect("it is there");
    for job in [&first, &second, &third] {
        wait_for(&host, job, "done");
    }
    assert!(effects(&host).values().all(|times| *times == 1), "{:?}", effects(&host));
    Ok(())
}

fn a_clock_that_jumps_ahead_repeats_nothing_on_sqlite() -> Outcome {
    a_jump_ahead_repeats_nothing(Setup::new(PLUGINS))
}

fn a_clock_that_jumps_ahead_repeats_nothing_on_postgresql() -> Outcome {
    let postgres = Postgres::start()?;
    a_jump_ahead_repeats_nothing(Setup::new(PLUGINS).env("DATABASE_URL", &postgres.url()))
}

/// The host lives on at its jobs; then it is killed at one, which is harmless to repeat.
#[track_caller]
fn a_clock_that_is_put_back_strands_no_job(setup: Setup) -> Outcome {
    const HOUR: i64 = 3600;
    let folder = TempDir::new().expect("a folder can be made");
    let clock = SteppedClock::new(folder.path())?;
    clock.step_to(HOUR);
    let host = start(clock.of_host(setup.file("hold", "")));
    let (first, second) = (schedule(&host, &email("an email")), schedule(&host, &message("a message")));
    all_due(&host);
    wait_until("both to have an effect", || effects(&host), |effects| effects.len() == 2);
    clock.step_to(0);
    fs::remove_file(host.setup().path("hold")).expect("it is there");
    for job in [&first, &second] {
        wait_for(&host, job, "done");
    }

    clock.step_to(HOUR);
    fs::write(host.setup().path("hold"), "").expect("the folder can be written");
    let third = schedule(&host, &message("another message"));
    all_due(&host);
    wait_until("the third to have an effect", || effects(&host), |effects| effects.len() == 3);
    let setup = host.kill();
    clock.step_to(0);
    fs::remove_file(setup.path("hold")).expect("it is there");
    let host = start(setup);
    wait_for(&host, &third, "done");
    let fourth = schedule(&host, &email("another email"));
    all_due(&host);
    wait_for(&host, &fourth, "done");
    assert!(effects(&host).values().all(|times| *times == 1), "{:?}", effects(&host));
    Ok(())
}

fn a_clock_that_is_put_back_strands_no_job_on_sqlite() -> Outcome {
    a_clock_that_is_put_back_strands_no_job(Setup::new(PLUGINS))
}

fn a_clock_that_is_put_back_strands_no_job_on_postgresql() -> Outcome {
    let postgres = Postgres::start()?;
    a_clock_that_is_put_back_strands_no_job(Setup::new(PLUGINS).env("DATABASE_URL", &postgres.url()))
}

fn jobs_survive_a_restart_and_are_cancelled() {
    let host = start(Setup::new(PLUGINS));
    let (kept, gone) = (schedule(&host, &message("kept")), schedule(&host, &message("gone")));
    let path = format!("/api/schedule/jobs/{}", gone["id"].as_str().expect("it has an id"));
    let cancelled = ok(host.request("DELETE", &path, &[], None));
    assert_eq!(cancelled["state"], "cancelled");
    assert_eq!(ok(host.request("DELETE", &path, &[], None)), cancelled);

    let host = start(host.kill());
    let listed = ok(host.get("/api/schedule/jobs"));
    assert_eq!(listed["jobs"], json!([kept]), "as it was");
    all_due(&host);
    wait_for(&host, &kept, "done");
    assert_eq!(effects(&host), BTreeMap::from([("kept".to_owned(), 1)]));
    assert_eq!(job(&host, &gone)["state"], "cancelled");
    let metrics = host.get("/metrics").body;
    assert!(metrics.contains("switchboard_scheduler_service_done_total 1\n"), "{metrics}");
}

fn what_is_parked_goes_on_when_smtp_is_configured() -> Outcome {
    let server = SmtpServer::start(&[])?;
    let config =
        "[plugins.database]\n[plugins.smtp]\n[plugins.scheduler_service.settings]\npoll = \"100ms\"\n";
    let host = start(Setup::new(config));
    let mail = schedule(&host, &email("Parked for a while"));
    all_due(&host);
    let parked = wait_for(&host, &mail, "parked");
    assert_eq!(parked["waits_for"], "smtp");
    let notes = json!(["1 job is parked, waiting for `smtp`, which is `not_configured`"]);
    let noted = |plugin: &Value| plugin["notes"] == notes;
    let health = host.wait_for_plugin("scheduler_service", "noted", noted);
    assert_eq!((&health["status"], &health["healthy"]), (&json!("connected"), &json!(true)), "{health:#}");
    assert_eq!(ok(host.get("/api/schedule"))["parked"], json!({ "smtp": 1 }));

    let settings = format!(
        "[plugins.smtp.settings]\nserver = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nfrom_email = \"bot@example.com\"\n",
        server.port()
    );
    fs::write(host.setup().path("plugins.toml"), config.to_owned() + &settings)
        .expect("a file can be written");
    let reloaded = host.command(&["reload"]);
    assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
    host.wait_for_status("smtp", "connected");
    wait_for(&host, &mail, "done");
    assert_eq!(server.mails().len(), 1);
    host.wait_for_plugin("scheduler_service", "without a note", |plugin| plugin["notes"].is_null());
    Ok(())
}

fn a_dead_letter_is_shown_and_sent_again() {
    let host = start(Setup::new(PLUGINS).file("refuse", ""));
    let refused = schedule(&host, &message("please"));
    all_due(&host);
    let failed = wait_for(&host, &refused, "failed");
    assert_eq!(failed["last"]["error"], "invalid: refused, as it was told");
    let noted = |plugin: &Value| {
        plugin["notes"].to_string().contains("1 dead letter waits for an operator (1 failed)")
    };
    host.wait_for_plugin("scheduler_service", "noted", noted);
    let letters = ok(host.get("/api/schedule/dead-letters"));
    let id = letters["dead_letters"][0]["id"].as_str().expect("there is one").to_owned();
    let metrics = host.get("/metrics").body;
    assert!(metrics.contains("switchboard_scheduler_service_failed_total 1\n"), "{metrics}");

    fs::remove_file(host.setup().path("refuse")).expect("it is there");
    let again = ok(host.call("scheduler_service", "retry", &json!({ "id": id })));
    wait_for(&host, &again, "done");
    assert_eq!(effects(&host), BTreeMap::from([("please".to_owned(), 1)]));
    let settled = ok(host.get("/api/schedule/dead-letters?all=true"));
    assert_eq!(settled["dead_letters"][0]["settled"], again["id"]);
}

/// Google's stand-in knows no single event, so that of the calendar stands in a file.
fn a_reminder_follows_its_event() {
    let event = |id: &str, start: &str| {
        json!({ "id": id, "calendar": "primary", "status": "confirmed", "title": "Planning", "start": start })
            .to_string()
    };
    let config =
        PLUGINS.to_owned() + "event_check = \"200ms\"\n[plugins.google_calendar]\nlibrary = \"errand\"\n";
    let setup = Setup::new(&config)
        .file("event-moved.json", event("moved", "2031-05-01T10:00:00Z"))
        .file("event-gone.json", event("gone", "2031-06-01T10:00:00Z"));
    let host = start(setup);
    let remind = |event: &str| {
        let before = json!({ "event": event, "minutes": 30 });
        schedule(&host, &json!({ "before_event": before, "message": { "to": "+15550000001" } }))
    };
    let change = |start: &str| {
        let file = host.setup().path("event-moved.json");
        // At once, so that nobody reads half of it.
        fs::write(file.with_extension("new"), event("moved", start)).expect("a file can be written");
        fs::rename(file.with_extension("new"), &file).expect("a file can be renamed");
    };
    let (follows, vanishes) = (remind("moved"), remind("gone"));
    assert_eq!(follows["next"], "2031-05-01T09:30:00+00:00");

    change("2032-05-01T10:00:00Z");
    fs::remove_file(host.setup().path("event-gone.json")).expect("it is there");
    let followed = |job: &Value| job["next"] == "2032-05-01T09:30:00+00:00";
    wait_until("the reminder to follow", || job(&host, &follows), followed);
    wait_for(&host, &vanishes, "cancelled");
    assert!(effects(&host).is_empty());

    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(20);
    change(&soon.to_string());
    wait_for(&host, &follows, "done");
    let effects = effects(&host);
    let text = effects.keys().next().expect("it was sent");
    assert!(effects.len() == 1 && text.starts_with("Reminder: Planning, "), "{effects:?}");
}

/// Four moments of an hourly job pass while no scheduler runs, the last of them half an hour ago.
#[track_caller]
fn runs_missed_across_a_restart_go_by_their_policy(setup: Setup) {
    const HOUR_MS: i64 = 3_600_000;
    let host = start(setup);
    let half_an_hour_ago = jiff::Timestamp::now().as_second() / 60 - 30;
    let last = half_an_hour_ago * 60_000;
    let hourly = |name: &str, if_late: &str, late_minutes: u32| {
        let cron = format!("{} * * * *", half_an_hour_ago.rem_euclid(60));
        let message = json!({ "to": "+15550000001", "text": name });
        schedule(
            &host,
            &json!({
                "message": message, "cron": cron, "time_zone": "UTC", "if_late": if_late, "late_minutes": late_minutes,
            }),
        )
    };
    let once = hourly("once", "once", 24 * 60);
    let too_late = hourly("too late", "once", 10);
    let skipped = hourly("skipped", "skip", 24 * 60);
    let all = hourly("all", "all", 24 * 60);
    // Without a scheduler nobody does what is due.
    let (_, setup) = host.terminate();
    let config = fs::read_to_string(setup.path("plugins.toml")).expect("it is there");
    let idle = |config: &str| fs::write(setup.path("plugins.toml"), config).expect("a file can be written");
    idle(
        &config
            .replace("[plugins.scheduler_service]\n", "[plugins.scheduler_service]\n    enabled = false\n"),
    );
    let host = setup.start();
    host.wait_for_status("database", "connected");
    let first = last - 3 * HOUR_MS;
    let sql = format!("update scheduler_service_jobs set fire_ms = {first}, due_ms = {first}");
    ok(host.call("database", "execute", &json!({ "sql": sql })));
    let (_, setup) = host.terminate();
    fs::write(setup.path("plugins.toml"), &config).expect("a file can be written");

    let host = start(setup);
    let next = jiff::Timestamp::from_millisecond(last + HOUR_MS).expect("a moment").to_string();
    let next = next.trim_end_matches('Z').to_owned() + "+00:00";
    for job in [&once, &too_late, &skipped, &all] {
        let goes_on = |job: &Value| job["state"] == "waiting" && job["next"] == next.as_str();
        wait_until("a job to wait for its next moment", || self::job(&host, job), goes_on);
    }
    let expected = BTreeMap::from([("all".to_owned(), 4), ("once".to_owned(), 1)]);
    assert_eq!(effects(&host), expected);
    assert_eq!(job(&host, &too_late)["last"]["outcome"], "missed");
    assert_eq!(job(&host, &skipped)["last"]["outcome"], "skipped");
    let letters =
        ok(host.get("/api/schedule/dead-letters"))["dead_letters"].as_array().cloned().unwrap_or_default();
    let of: Vec<&Value> = letters.iter().map(|letter| &letter["job"]).collect();
    assert_eq!(of, [&too_late["id"]], "what is skipped was meant to be");
    // Each moment has a key of its own, and the moments are those that passed.
    let keys = rows(&host, "select count(*) from errand_effects");
    assert_eq!(keys, [[json!(5)]]);
    let host = start(host.kill());
    wait_for(&host, &all, "waiting");
    assert_eq!(effects(&host), expected, "and none of them a second time");
}

fn runs_missed_across_a_restart_go_by_their_policy_on_sqlite() {
    runs_missed_across_a_restart_go_by_their_policy(Setup::new(PLUGINS));
}

fn runs_missed_across_a_restart_go_by_their_policy_on_postgresql() -> Outcome {
    let postgres = Postgres::start()?;
    runs_missed_across_a_restart_go_by_their_policy(Setup::new(PLUGINS).env("DATABASE_URL", &postgres.url()));
    Ok(())
}

/// A machine whose database of zones is older than the name `Europe/Kyiv`.
fn a_zone_that_the_machine_does_not_know_yet_is_known() {
    let setup = Setup::new(PLUGINS);
    let zones = setup.path("zoneinfo/Europe");
    fs::create_dir_all(&zones).expect("a folder can be made");
    let berlin = jiff::tz::TimeZone::get("Europe/Berlin").is_ok();
    assert!(berlin, "this machine knows zones");
    fs::copy("/usr/share/zoneinfo/Europe/Berlin", zones.join("Berlin")).expect("a file can be copied");
    let folder = setup.path("zoneinfo").display().to_string();
    let host = start(setup.env("TZDIR", &folder));
    let job = |zone: &str| {
        let request = json!({
            "message": { "to": "+15550000001", "text": zone }, "at": "2031-07-01T09:00", "time_zone": zone,
        });
        host.post("/api/schedule/jobs", &request)
    };
    for (zone, next) in [
        ("Europe/Berlin", "2031-07-01T09:00:00+02:00"),
        ("Europe/Kyiv", "2031-07-01T09:00:00+03:00"),
        ("Europe/Kiev", "2031-07-01T09:00:00+03:00"),
    ] {
        assert_eq!(ok(job(zone))["job"]["next"], next, "{zone}");
    }
    let refused = job("Europe/Kijow");
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert!(refused.body.contains("`Europe/Kijow`"), "{}", refused.body);
}
