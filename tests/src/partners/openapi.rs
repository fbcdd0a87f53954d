//! An OpenAPI document becomes what the validator of python-openapi complains of.

use std::process::Command;

use serde_json::Value;

use super::{Missing, python};

/// Prints each thing that is wrong on a line of its own.
const VALIDATE: &str = "\
import json, sys
from openapi_spec_validator import OpenAPIV31SpecValidator
for error in OpenAPIV31SpecValidator(json.load(open(sys.argv[1]))).iter_errors():
    print(list(getattr(error, 'absolute_path', [])), error.message if hasattr(error, 'message') else error)
";

/// What is wrong with a document of OpenAPI 3.1; empty if nothing.
///
/// # Errors
/// If Python or the validator is not there.
pub fn complaints(document: &Value) -> Result<String, Missing> {
    let file = tempfile::NamedTempFile::new().expect("a file can be made");
    serde_json::to_writer(&file, document).expect("a document can be written");
    let output = Command::new(python()?).args(["-c", VALIDATE]).arg(file.path()).output();
    let output = output.expect("python can be started");
    let complaints = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned();
    assert!(output.status.success() || !complaints.is_empty(), "the validator fails without a word");
    Ok(complaints)
}
