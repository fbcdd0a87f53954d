//! Twilio's own library signs requests: the PyPI package `twilio`.

use std::process::Command;

use serde_json::Value;

use super::{Missing, python};

const SIGN: &str = "
import json, sys
from twilio.request_validator import RequestValidator
token, url, params, algorithm = json.loads(sys.argv[1])
print(RequestValidator(token).compute_signature(url, params, algorithm))
";

/// The signature of a request with these parameters, by `HMAC_SHA1` or `HMAC_SHA256`.
///
/// # Errors
/// If Python or the package is not there.
pub fn sign(token: &str, url: &str, params: &Value, algorithm: &str) -> Result<String, Missing> {
    let arguments = serde_json::json!([token, url, params, algorithm]).to_string();
    let output = Command::new(python()?).args(["-c", SIGN, &arguments]).output().expect("python starts");
    let complaint = String::from_utf8_lossy(&output.stderr);
    if complaint.contains("ModuleNotFoundError") {
        return Err(Missing::of("the Python package `twilio`"));
    }
    assert!(output.status.success(), "the signature cannot be made: {complaint}");
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
