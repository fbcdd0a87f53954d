//! The fixture `faulty` goes to and fro between two statuses, one transition at a time.

use serde_json::{Value, json};

use crate::host::TestHost;

/// Where each turn leads to, the even ones and the odd ones.
pub const STATUSES: [&str; 2] = ["disconnected", "connected"];

/// Makes `faulty` change its status, and waits until it has. An even turn begins at `connected`.
#[track_caller]
pub fn flip(host: &TestHost, headers: &[(&str, &str)], turn: usize) {
    let faults = [json!({"probe": {"fail": {"code": "consent_required"}}}), json!({})];
    let headers = [headers, &[("content-type", "application/json")]].concat();
    let post = |path: &str, body: &Value| {
        let answer = host.request("POST", path, &headers, Some(&body.to_string()));
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    };
    post("/api/operations/faulty/become", &faults[turn % 2]);
    let verified = post("/api/health/integrations/faulty/verify", &json!({}));
    assert_eq!(verified["status"], STATUSES[turn % 2]);
}
