//! Row 9: what a step of a run takes without the model: asking what tools there are, writing the turn, calling one tool,
//! writing its result. Beside it the same transactions, made directly. The model is a fixture that answers at once.

use std::time::Instant;

use serde_json::json;
use switchboard_tests::{Setup, TestHost, partners::postgres::Postgres};

use crate::{measure::by_turns, table::Row};

/// Steps of a run. Each asks the model with all that was said before.
const STEPS: u32 = 40;

const PLUGINS: &str = r#"
    [plugins.database]
    [plugins.toolbox]
    [plugins.orchestrator_service]
    bind = { openai = "toolbox" }
    tools = ["toolbox.look"]
    calls = { timeout = "310s" }
    [plugins.orchestrator_service.settings]
    max_steps = 1000
"#;

pub fn taken(rounds: usize) -> Vec<Row> {
    let mut rows = vec![compare(rounds, "SQLite", Setup::new(PLUGINS))];
    match Postgres::start() {
        Ok(postgres) => {
            rows.push(compare(
                rounds,
                "PostgreSQL",
                Setup::new(PLUGINS).env("DATABASE_URL", &postgres.url()),
            ));
        }
        Err(missing) => eprintln!("without PostgreSQL: {missing}"),
    }
    rows
}

fn compare(rounds: usize, database: &str, setup: Setup) -> Row {
    let host = setup.start();
    host.wait_for_status("orchestrator_service", "connected");
    host.wait_for_status("database", "connected");
    let pair = by_turns(rounds, || run(&host), || transactions(&host));
    Row::comparison(9, &format!("a step of a run, {database}; its two transactions"), "us", pair)
}

/// Microseconds for one step of a run that goes on until it is told to end.
fn run(host: &TestHost) -> f64 {
    let goal = json!([[["toolbox-look", { "what": "x" }]]]).to_string();
    let request = json!({ "goal": goal, "wait_seconds": 15, "limits": { "steps": STEPS } });
    let began = Instant::now();
    let response = host.call("orchestrator_service", "run", &request);
    let took = began.elapsed();
    assert_eq!(response.status, 200, "{}", response.body);
    assert_eq!(response.json()["usage"]["tool_calls"], STEPS, "{}", response.body);
    took.as_secs_f64() * 1e6 / f64::from(STEPS)
}

/// Microseconds for what one step writes.
fn transactions(host: &TestHost) -> f64 {
    let response = host.call("toolbox", "transactions", &json!({ "count": STEPS }));
    assert_eq!(response.status, 200, "{}", response.body);
    response.json()["ns"].as_f64().expect("it tells nanoseconds") / 1000.0 / f64::from(STEPS)
}
