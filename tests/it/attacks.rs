//! What an attacker tries, a file a class: each test does as somebody who writes, a hostile model or a hostile server would,
//! and looks at what they got.

mod approvals;
mod caching;
mod calendars;
mod local_users;
mod model;
mod on_the_way;
mod origins;
mod plugins;
mod speakers;

use libtest_mimic::Trial;
use serde_json::Value;
use switchboard_tests::{Setup, TestHost, http::Response, partners::postgres::Postgres, trial::Outcome};

pub fn tests() -> Vec<Trial> {
    [
        approvals::tests(),
        caching::tests(),
        calendars::tests(),
        local_users::tests(),
        on_the_way::tests(),
        origins::tests(),
        plugins::tests(),
        speakers::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The same attack with each database.
fn on_both_databases(attack: impl Fn(&dyn Fn(Setup) -> Setup)) -> Outcome {
    attack(&|setup| setup);
    let postgres = Postgres::start()?;
    attack(&|setup| setup.env("DATABASE_URL", &postgres.url()));
    Ok(())
}

/// Asks the memory, on behalf of a person, as an operator does.
#[track_caller]
fn remembered(host: &TestHost, person: &str, operation: &str, request: &Value) -> Response {
    let headers = [("switchboard-person", person), ("content-type", "application/json")];
    let path = format!("/api/operations/memory_service/{operation}");
    host.request("POST", &path, &headers, Some(&request.to_string()))
}
