//! The dashboard in a real browser: what people see in each state of a host, by mouse, by keyboard, on a phone, in the
//! dark, without scripts, and while the host is gone. Axe looks at each of them.

mod ground;

use libtest_mimic::Trial;
use plugin_api::requests::{
    messaging::{Threads, Unprocessed},
    voice::CallList,
};
use serde_json::{Value, from_value, json};
use switchboard_tests::{
    Setup,
    flip::flip,
    partners::{browser::Browser, free_port},
    trial::Outcome,
    trials,
    wait::wait_until,
};

use crate::shipped;
use ground::{TROUBLED, become_faulty, many, troubled};

pub fn tests() -> Vec<Trial> {
    trials![
        everything_works,
        a_first_run_says_what_to_set,
        a_cause_is_shown_with_what_it_takes_down,
        what_changes_is_shown_and_said,
        without_events_it_asks_every_few_seconds,
        two_hundred_plugins_can_be_searched,
        it_fits_a_phone_and_the_dark,
        everything_can_be_reached_by_keyboard,
        without_scripts_it_still_tells_everything,
        a_host_that_is_gone_is_shown_as_gone_and_comes_back,
        a_press_of_verify_brings_a_plugin_back,
        a_press_of_acknowledge_ends_what_fails_in_use,
        a_reload_says_what_it_did_and_why_it_did_not,
        behind_a_token_it_asks_for_a_login_and_works_by_the_cookie,
        runs_are_listed_where_the_orchestrator_runs,
        calls_and_messages_are_told_in_rows,
        lists_that_hang_do_not_pile_up,
    ]
}

const DESK: Value = Value::Null;

fn everything_works() -> Outcome {
    let browser = Browser::start()?;
    let host = Setup::new(
        "[plugins.database]\nrequired = true\n\
         [plugins.faulty]\nprobe = { interval = \"200ms\", timeout = \"2s\" }\n[plugins.dependent]\n",
    )
    .start();
    for name in ["database", "faulty", "dependent"] {
        host.wait_for_status(name, "connected");
    }
    host.call("faulty", "echo", &json!({ "text": "hello" }));
    browser.open(host.address(), &DESK);
    browser.wait("document.querySelector('h1').innerText === 'Healthy'");
    browser.wait("document.querySelector('#graph .node.is-connected[data-name=faulty]')");
    assert_eq!(browser.text(".overall .sentence"), "Everything works.");
    assert_eq!(browser.ask("document.querySelectorAll('#causes, .feed').length"), 0);
    // As probes go on, their durations become a line.
    browser.wait("document.querySelector('#plugin-faulty .spark polyline').points.length > 3");
    browser.wait("document.querySelector('#plugin-faulty .traffic').innerText === '1 call'");
    assert_eq!(browser.text("#start .sentence").split('.').next_back(), Some(""));
    browser
        .wait("document.querySelector('#events').innerText.includes('dependent: initializing → connected')");
    browser.wait("document.querySelector('#line').innerText === 'live'");
    browser.check("healthy");
    browser.run("await page.click('.bottom a[href=\"/api/docs\"]')");
    browser.wait("document.querySelector('.docs details')");
    browser.check("what can be asked");
    Ok(())
}

fn a_first_run_says_what_to_set() -> Outcome {
    let browser = Browser::start()?;
    let host = Setup::new(&shipped::text()).start();
    host.wait_until_ready();
    browser.open(host.address(), &DESK);
    browser.wait("document.querySelector('#graph .node.root.idle[data-name=openai]')");
    assert_eq!(browser.text("#causes-title"), "What is not set up");
    let variables = browser.texts("#plugin-twilio .variables code");
    assert_eq!(
        variables,
        ["TWILIO_ACCOUNT_SID", "TWILIO_PHONE_NUMBER", "TWILIO_AUTH_TOKEN", "TWILIO_API_KEY"]
    );
    assert_eq!(browser.texts(".cause[data-key=openai] .variables code"), ["OPENAI_API_KEY"]);
    let cut = "(() => { \
            const { width, height } = document.querySelector('#canvas svg').viewBox.baseVal; \
            return [...document.querySelectorAll('#canvas .edge path')] \
                .map((path) => path.getBBox()) \
                .filter((box) => box.x < 0 || box.y < 0 || box.x + box.width > width || box.y + box.height > height).length; \
        })()";
    assert_eq!(browser.ask("document.querySelectorAll('#canvas .edge path').length > 20"), true);
    assert_eq!(browser.ask(cut), 0, "lines of the drawing that pass out of it");
    let waits = browser.text("#plugin-memory_service .waits");
    assert_eq!(waits, "cannot start before openai");
    assert_eq!(browser.ask("document.querySelectorAll('#plugin-openai .verify').length"), 0);
    browser.check("first run");
    Ok(())
}

fn a_cause_is_shown_with_what_it_takes_down() -> Outcome {
    let browser = Browser::start()?;
    let host = troubled();
    browser.open(host.address(), &DESK);
    browser.wait("document.querySelector('#graph .node.root[data-name=openai]')");
    assert_eq!(browser.text("h1"), "Unhealthy");
    assert_eq!(browser.text(".cause[data-key=openai] .victims"), "blocks: bridge, memory, voice");
    assert_eq!(browser.text(".cause[data-key=openai] .reason"), "no answer within 10 s");
    assert_eq!(browser.text("#plugin-bridge .waits"), "waits for voice, because of openai");
    let described =
        |name: &str| browser.ask(&format!("document.querySelector('.node[data-name={name}]').ariaLabel"));
    assert_eq!(described("openai"), "openai takes down 3, error");
    assert_eq!(described("bridge"), "bridge waits for openai, connected");
    // Not by colour alone: a double border, a dashed one, and a cross on what does not carry.
    assert_eq!(browser.ask("document.querySelectorAll('.node.root .halo').length"), 1);
    assert_eq!(browser.ask("document.querySelectorAll('#canvas > svg .edge.broken .cross').length"), 3);
    let dashes = "getComputedStyle(document.querySelector('.node.victim .box')).strokeDasharray";
    assert_ne!(browser.ask(dashes), "none");
    // What a plugin leans on, and what leans on it, stands out.
    browser.run("await page.hover('.node[data-name=voice]')");
    let near =
        browser.ask("[...document.querySelectorAll('.node.near')].map((node) => node.dataset.name).sort()");
    assert_eq!(near, json!(["bridge", "openai", "voice"]));
    browser.run("await page.mouse.move(0, 0)");
    browser.check("trouble");
    Ok(())
}

fn what_changes_is_shown_and_said() -> Outcome {
    let browser = Browser::start()?;
    let host = Setup::new(TROUBLED).start();
    host.wait_for_status("mail", "connected");
    browser.open(host.address(), &DESK);
    browser.wait("document.querySelector('#graph .node.is-connected[data-name=mail]')");
    // What a reader opened, and where he is, stays.
    browser.run("await page.click('#plugin-mail summary'); await page.focus('#plugin-mail .verify')");
    become_faulty(&host, "mail", "refused");
    host.wait_for_status("mail", "error");
    browser.wait("document.querySelector('#graph .node.is-error[data-name=mail]')");
    browser.wait("document.querySelector('#say').innerText.includes('mail is error')");
    assert_eq!(browser.text("#plugin-mail .reason"), "as told by the settings");
    let stays =
        "[document.querySelector('#plugin-mail details').open, document.activeElement.dataset.verify]";
    assert_eq!(browser.ask(stays), json!([true, "/api/health/integrations/mail/verify"]));
    assert!(browser.text("#events li").contains("mail: connected → error"), "{}", browser.text("#events li"));
    browser.check("after a change");
    Ok(())
}

fn without_events_it_asks_every_few_seconds() -> Outcome {
    let browser = Browser::start()?;
    let host = Setup::new("[plugins.faulty]\n").start();
    host.wait_for_status("faulty", "connected");
    // Something between browser and host that lets no events through.
    let cut = "const fresh = await tools.open({}); \
               await fresh.route('**/api/health/events', (route) => route.fulfill({ status: 503 })); \
               await fresh.goto('http://ADDRESS/')";
    browser.run(&cut.replace("ADDRESS", host.address()));
    browser.wait("document.querySelector('#line').innerText === 'checked every 5 s'");
    become_faulty(&host, "faulty", "auth_invalid");
    host.post("/api/health/integrations/faulty/verify", &json!({}));
    browser.wait("document.querySelector('#plugin-faulty').dataset.status === 'error'");
    assert_eq!(browser.text("#line"), "checked every 5 s");
    Ok(())
}

fn two_hundred_plugins_can_be_searched() -> Outcome {
    let browser = Browser::start()?;
    let host = Setup::new(&many(200)).start();
    host.wait_until_ready();
    browser.open(host.address(), &DESK);
    browser.wait("document.querySelectorAll('#plugins .plugin').length === 200");
    // The graph shows what is in trouble first, and all of them if one wants.
    browser.wait("document.querySelectorAll('#graph .node').length === 11");
    browser.run("await page.check('#all-plugins')");
    browser.wait("document.querySelectorAll('#graph .node').length === 200");
    browser.wait("document.querySelector('#filter output').value === '200 of 200'");
    browser.run("await page.fill('#search', 'service_001_')");
    assert_eq!(browser.text("#filter output"), "10 of 200");
    browser.run("await page.fill('#search', ''); await page.check('#troubled')");
    // Number 7 is in error, and ten lean on it.
    assert_eq!(browser.text("#filter output"), "11 of 200");
    assert_eq!(browser.ask("document.documentElement.scrollWidth <= innerWidth"), true);
    browser.check("two hundred plugins");
    Ok(())
}

fn it_fits_a_phone_and_the_dark() -> Outcome {
    let browser = Browser::start()?;
    let host = troubled();
    let phone = json!({ "viewport": { "width": 360, "height": 740 }, "hasTouch": true, "isMobile": true });
    browser.open(host.address(), &phone);
    browser.wait("document.querySelector('#graph .node.root[data-name=openai]')");
    assert_eq!(browser.ask("document.documentElement.scrollWidth <= innerWidth"), true, "nothing sticks out");
    let (cause, canvas) = ("'.node.root'", "'#canvas'");
    let edges = |of: &str| format!("document.querySelector({of}).getBoundingClientRect()");
    let is_seen = format!("{0}.left >= {1}.left && {0}.right <= {1}.right", edges(cause), edges(canvas));
    assert_eq!(browser.ask(&is_seen), true, "the cause is in sight");
    let tops = "['openai', 'voice', 'bridge'].map((name) => \
                document.querySelector(`.node[data-name=${name}]`).getBoundingClientRect().top)";
    let tops = browser.ask(tops);
    let tops: Vec<f64> = tops.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    assert!(tops.is_sorted() && tops.len() == 3, "dependencies stand above: {tops:?}");
    browser.check("phone");

    let paper = "getComputedStyle(document.body).backgroundColor";
    let light = browser.ask(paper);
    let still = json!({ "colorScheme": "dark", "reducedMotion": "reduce" });
    browser.open(host.address(), &still);
    browser.wait("document.querySelector('#graph .node.root[data-name=openai]')");
    assert_ne!(browser.ask(paper), light);
    assert_eq!(browser.ask("getComputedStyle(document.documentElement).scrollBehavior"), "auto");
    assert_eq!(
        browser.ask("getComputedStyle(document.querySelector('.node')).transitionDuration"),
        "0s",
        "nothing moves for who wants no motion"
    );
    browser.check("dark");
    Ok(())
}

fn everything_can_be_reached_by_keyboard() -> Outcome {
    let browser = Browser::start()?;
    let host = troubled();
    browser.open(host.address(), &DESK);
    browser.wait("document.querySelector('#graph .node.root[data-name=openai]')");
    let press = |key: &str| browser.run(&format!("await page.keyboard.press('{key}')"));
    let focused = "document.activeElement.dataset.name ?? document.activeElement.id ?? ''";
    press("Tab");
    assert_eq!(browser.ask("document.activeElement.className"), "skip");
    assert_eq!(browser.ask("document.activeElement.getBoundingClientRect().top >= 0"), true, "it is seen");
    // One stop in the graph, however many plugins.
    let in_graph = "await (async () => { for (let tries = 0; tries < 60; tries += 1) { \
                    await page.keyboard.press('Tab'); \
                    if (await page.evaluate(() => document.activeElement.closest('#canvas') !== null)) return; } \
                    throw new Error('no stop in the graph'); })()";
    browser.run(in_graph);
    browser.run("await page.evaluate(() => document.querySelector('.node[data-name=openai]').focus())");
    press("ArrowRight");
    let beside = browser.ask(focused);
    assert!(beside == "memory" || beside == "voice", "{beside}");
    press("Tab");
    assert_eq!(browser.ask("document.activeElement.closest('#canvas') === null"), true);
    press("Shift+Tab");
    assert_eq!(browser.ask(focused), beside, "the stop is where one was");
    press("Enter");
    browser.wait(&format!("document.activeElement.id === 'plugin-{}'", beside.as_str().unwrap_or_default()));
    // The next stops are within the plugin: what it waits for, then its button.
    browser.run("await page.focus('#plugin-openai .verify')");
    let outline = "getComputedStyle(document.activeElement).outlineStyle";
    press("Shift+Tab");
    press("Tab");
    assert_eq!(browser.ask(outline), "solid", "one sees where one is");
    press("Enter");
    browser.wait("document.querySelector('#told p').innerText === 'openai was verified: error'");
    assert_eq!(
        browser.ask("document.activeElement.dataset.verify"),
        "/api/health/integrations/openai/verify"
    );
    Ok(())
}

fn without_scripts_it_still_tells_everything() -> Outcome {
    let browser = Browser::start()?;
    let host = troubled();
    browser.open(host.address(), &json!({ "javaScriptEnabled": false }));
    let shown = browser.run("return await page.innerText('body')");
    let shown = shown.as_str().unwrap_or_default();
    for expected in [
        "Unhealthy",
        "no answer within 10 s",
        "blocks: bridge, memory, voice",
        "waits for voice, because of openai",
        "The critical path: ",
        "initializing → connected",
        "as it was when this page was loaded",
    ] {
        assert!(shown.contains(expected), "{expected} is not in {shown}");
    }
    for absent in ["Reload plugins.toml", "Verify", "Dependencies\n"] {
        assert!(!shown.contains(absent), "{absent} does nothing without scripts: {shown}");
    }
    let connect =
        browser.run("return await page.getAttribute('#plugin-calendar .fix a', 'href').catch(() => null)");
    assert_eq!(connect, Value::Null, "the fixture names no page");
    // Details open without scripts.
    browser.run("await page.click('#plugin-bridge summary')");
    let details = browser.run("return await page.innerText('#plugin-bridge details')");
    assert!(details.as_str().is_some_and(|text| text.contains("Requires")), "{details}");
    Ok(())
}

fn a_host_that_is_gone_is_shown_as_gone_and_comes_back() -> Outcome {
    let browser = Browser::start()?;
    let address = format!("127.0.0.1:{}", free_port());
    let setup = Setup::new("[plugins.faulty]\n[plugins.dependent]\n").env("SWITCHBOARD_LISTEN", &address);
    let host = setup.start();
    host.wait_for_status("dependent", "connected");
    browser.open(&address, &DESK);
    browser.wait("document.querySelector('h1').innerText === 'Healthy'");
    let setup = host.kill();
    browser.wait("document.querySelector('#line').innerText === 'host unreachable'");
    browser.wait("/as it was \\d+ (s|min) ago/.test(document.querySelector('#outage').innerText)");
    assert_eq!(browser.text("h1"), "Healthy", "what was known stays");
    browser.check("gone");
    browser.run("await page.click('#plugin-faulty .verify')");
    browser.wait("document.querySelector('#told p').innerText === 'the host cannot be reached'");

    let host = setup.start();
    host.wait_for_status("dependent", "connected");
    browser.wait("document.querySelector('#outage').hidden");
    browser.wait("document.querySelector('#line').innerText === 'live'");
    become_faulty(&host, "faulty", "auth_invalid");
    host.post("/api/health/integrations/faulty/verify", &json!({}));
    browser.wait("document.querySelector('#plugin-faulty').dataset.status === 'error'");
    Ok(())
}

fn a_press_of_verify_brings_a_plugin_back() -> Outcome {
    let browser = Browser::start()?;
    let host = Setup::new(
        "[plugins.faulty]\nsettings = { init = { fail = { code = \"auth_invalid\", times = 1 } } }\n",
    )
    .start();
    host.wait_for_status("faulty", "error");
    browser.open(host.address(), &DESK);
    browser.wait("document.querySelector('#plugin-faulty').dataset.status === 'error'");
    browser.run("await page.click('.cause[data-key=faulty] .verify')");
    browser.wait("document.querySelector('#told p').innerText === 'faulty was verified: connected'");
    browser.wait("document.querySelector('h1').innerText === 'Healthy'");
    assert_eq!(host.status("faulty"), "connected");
    browser.check("verified");
    browser.run("await page.click('#told button')");
    assert_eq!(browser.ask("document.querySelector('#told')"), Value::Null);
    Ok(())
}

fn a_press_of_acknowledge_ends_what_fails_in_use() -> Outcome {
    let browser = Browser::start()?;
    let host = Setup::new("[plugins.faulty]\n").start();
    host.wait_for_status("faulty", "connected");
    for _ in 0..20 {
        host.call("faulty", "fail", &json!({ "kind": "unavailable", "message": "the ledger is closed" }));
    }
    host.wait_for_plugin("faulty", "a finding", |plugin| plugin["failing"] != json!([]));
    browser.open(host.address(), &DESK);
    browser.wait("document.querySelector('h1').innerText === 'Degraded'");
    assert_eq!(browser.text(".cause[data-key=faulty] .reason"), "fails in use: the ledger is closed");
    browser.check("failing in use");
    browser.run("await page.click('.cause[data-key=faulty] .acknowledge')");
    browser.wait(
        "document.querySelector('#told p').innerText.startsWith('the failures of faulty are acknowledged')",
    );
    browser.wait("document.querySelector('h1').innerText === 'Healthy'");
    Ok(())
}

fn a_reload_says_what_it_did_and_why_it_did_not() -> Outcome {
    let browser = Browser::start()?;
    let host = Setup::new("[plugins.faulty]\n").start();
    host.wait_for_status("faulty", "connected");
    browser.open(host.address(), &DESK);
    let file = host.setup().path("plugins.toml");
    let write = |text: &str| std::fs::write(&file, text).expect("a file can be written");
    write("[plugins.faulty]\n[plugins.second]\nlibrary = \"faulty\"\n");
    browser.run("await page.click('#reload')");
    browser.wait(
        "document.querySelector('#told p').innerText === 'plugins.toml was read again: started second'",
    );
    browser.wait("document.querySelector('#plugin-second')?.dataset.status === 'connected'");
    write("[plugins.faulty]\nrequierd = true\n");
    browser.run("await page.click('#reload')");
    browser.wait("document.querySelector('#told.failed pre')?.innerText.includes('requierd')");
    browser.check("a refused reload");
    Ok(())
}

fn behind_a_token_it_asks_for_a_login_and_works_by_the_cookie() -> Outcome {
    const TOKEN: &str = "correct-horse-battery-staple";
    let browser = Browser::start()?;
    let address = format!("127.0.0.1:{}", free_port());
    let host = Setup::new("[plugins.faulty]\n[plugins.dependent]\n")
        .env("SWITCHBOARD_LISTEN", &address)
        .env("SWITCHBOARD_TOKEN", TOKEN)
        .env("PUBLIC_BASE_URL", &format!("http://{address}"))
        .start();
    host.wait_until_ready();
    browser.open(&address, &DESK);
    browser.wait("location.pathname === '/login'");
    browser.check("login");
    let log_in = |token: &str| {
        browser.run(&format!("await page.fill('#token', '{token}'); await page.keyboard.press('Enter')"))
    };
    log_in("battery-staple-correct-horse");
    browser.wait("document.querySelector('[role=alert]')?.innerText.includes('not the operator')");
    log_in(TOKEN);
    browser.wait("document.querySelector('#plugin-faulty')?.dataset.status === 'connected'");
    browser.run("await page.click('#plugin-faulty .verify')");
    browser.wait("document.querySelector('#told p')?.innerText === 'faulty was verified: connected'");
    browser.check("logged in");
    // The session ends elsewhere: the page notices, and asks for the token again.
    browser.run("await page.evaluate(() => fetch('/logout', { method: 'POST' }))");
    browser.wait("location.pathname === '/login'");
    Ok(())
}

fn runs_are_listed_where_the_orchestrator_runs() -> Outcome {
    let browser = Browser::start()?;
    let host = crate::orchestrator::started();
    let goal = json!([[["toolbox-spend", { "what": "all" }]], "done"]).to_string();
    let started = host.post("/api/runs", &json!({ "goal": goal, "person": "+15550001111" }));
    assert_eq!(started.status, 201, "{}", started.body);
    browser.open(host.address(), &DESK);
    browser.wait("document.querySelector('[data-feed=runs] li')?.innerText.includes('waiting')");
    assert!(browser.text("[data-feed=runs] li").contains("+15550001111"));
    let run = started.json()["run"].as_str().expect("it has a name").to_owned();
    host.post(&format!("/api/runs/{run}/cancel"), &json!({}));
    browser.wait("document.querySelector('[data-feed=runs] li')?.innerText.includes('cancelled')");
    browser.check("runs");
    // Only where something changed is drawn anew.
    wait_until(
        "the list to be as the host has it",
        || browser.ask("document.querySelectorAll('[data-feed=runs] li').length"),
        |count| *count == 1,
    );
    Ok(())
}

/// The plugins behind these lists have tests of their own: here it counts what a reader makes of their answers.
fn calls_and_messages_are_told_in_rows() -> Outcome {
    let browser = Browser::start()?;
    let host = Setup::new("[plugins.faulty]\n").start();
    let calls: CallList = from_value(json!({ "calls": [
        { "call": "CA1", "outbound": false, "number": "+15550001111", "way": "turns", "live": true, "started_ms": 0 },
        { "call": "CA2", "outbound": true, "person": "+15550002222", "objective": "to say hello", "way": "turns",
          "live": false, "started_ms": 0, "ended_ms": 65_000 },
    ] }))
    .expect("it is what voice_assistant answers");
    let threads: Threads = from_value(json!({ "threads": [
        { "person": "+15550003333", "first_ms": 0, "last_ms": 0, "last_channel": "sms", "open": 2, "failed": 1 },
    ] }))
    .expect("it is what messaging_service answers");
    let unprocessed: Unprocessed = from_value(json!({ "open": 0, "failed": 1, "messages": [
        { "id": "SM1", "inbound": true, "person": "+15550003333", "channel": "sms", "state": "failed", "text": "hi",
          "attempts": 3, "error": "no answer", "since_ms": 0 },
    ] }))
    .expect("it is what messaging_service answers");
    let lists = json!({ "calls": calls, "threads": threads, "unprocessed": unprocessed, "runs": { "detail": "it is down" } });
    browser.open(host.address(), &DESK);
    let script = "const lists = LISTS; \
        await page.route('**/lists/*', (route) => { \
            const name = route.request().url().split('/').pop(); \
            return route.fulfill({ status: name === 'runs' ? 503 : 200, json: lists[name] }); }); \
        await page.evaluate(async (names) => { \
            for (const name of names) { \
                const place = document.createElement('div'); \
                Object.assign(place.dataset, { feed: name, from: `/lists/${name}`, own: '' }); \
                document.querySelector('.feeds').append(place); \
            } \
            const { readFeeds } = await import(`/assets/${document.documentElement.dataset.build}/feeds.js`); \
            await readFeeds(); \
        }, Object.keys(lists))";
    browser.run(&script.replace("LISTS", &lists.to_string()));
    // The state, what it is about, and what else is known, the last of it how long ago it was.
    let cells = |name: &str| {
        let cells = browser.texts(&format!("[data-feed={name}] li > *"));
        cells.iter().map(|cell| cell.split(" · 2").next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let calls =
        ["in progress", "+15550001111", "inbound", "over", "+15550002222", "outbound · to say hello · 65 s"];
    assert_eq!(cells("calls"), calls);
    let threads = cells("threads");
    assert_eq!(threads[..2], ["failed", "+15550003333"]);
    assert!(threads[2].starts_with("sms"), "{threads:?}");
    assert_eq!(cells("unprocessed"), ["failed", "from +15550003333", "sms · no answer"]);
    assert_eq!(browser.text("[data-feed=runs]"), "cannot be read: it is down");
    browser.check("lists");
    Ok(())
}

/// Each look at the page would ask for them again, while a browser has six connections to a host.
fn lists_that_hang_do_not_pile_up() -> Outcome {
    let browser = Browser::start()?;
    let host = Setup::new("[plugins.faulty]\n").start();
    host.wait_for_status("faulty", "connected");
    browser.open(host.address(), &DESK);
    browser.wait("document.querySelector('#line').innerText === 'live'");
    let script = "await page.route('**/hangs', () => {}); \
        await page.evaluate(() => { \
            const heard = { asked: 0, open: 0, most: 0, looks: 0 }; \
            const send = window.fetch; \
            window.heard = heard; \
            window.fetch = async (path, ...rest) => { \
                if (path === '/') heard.looks += 1; \
                if (path !== '/hangs') return send(path, ...rest); \
                heard.asked += 1; heard.open += 1; \
                heard.most = Math.max(heard.most, heard.open); \
                try { return await send(path, ...rest); } finally { heard.open -= 1; } \
            }; \
            const place = document.createElement('div'); \
            Object.assign(place.dataset, { feed: 'calls', from: '/hangs', own: '' }); \
            document.querySelector('.feeds').append(place); \
        })";
    browser.run(script);
    let heard = |what: &str| browser.ask(&format!("heard.{what}")).as_u64().unwrap_or_default();
    let mut turn = 0;
    let mut change = || {
        flip(&host, &[], turn);
        turn += 1;
    };
    wait_until("it to be asked for", || heard("asked"), |asked| *asked > 0);
    let before = heard("looks");
    wait_until(
        "the page to be looked at again and again",
        || {
            change();
            heard("looks")
        },
        |looks| *looks >= before + 10,
    );
    assert_eq!(heard("most"), 1, "one round at a time");
    assert!(heard("asked") < heard("looks") - before, "what is read from plugins is read less often");
    Ok(())
}
