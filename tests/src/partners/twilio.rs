//! Twilio's own library signs requests: the PyPI package `twilio`.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

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

const SIGN_ALL: &str = "
import json, sys
from twilio.request_validator import RequestValidator
token, url, forms = json.load(sys.stdin)
validator = RequestValidator(token)
print(json.dumps([validator.compute_signature(url, form) for form in forms]))
";

/// The signatures of many requests to one URL, in their order.
///
/// # Errors
/// As [`sign`].
pub fn sign_all(token: &str, url: &str, forms: &[Value]) -> Result<Vec<String>, Missing> {
    let mut signer = Command::new(python()?)
        .args(["-c", SIGN_ALL])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python starts");
    let asked = serde_json::json!([token, url, forms]).to_string();
    // A signer that misses its package ends without reading.
    let _ = signer.stdin.take().expect("it is piped").write_all(asked.as_bytes());
    let output = signer.wait_with_output().expect("it ends");
    let complaint = String::from_utf8_lossy(&output.stderr);
    if complaint.contains("ModuleNotFoundError") {
        return Err(Missing::of("the Python package `twilio`"));
    }
    assert!(output.status.success(), "the signatures cannot be made: {complaint}");
    Ok(serde_json::from_slice(&output.stdout).expect("it prints JSON"))
}
