//! The name of a mail, made before it is sent: from the idempotency key of the call, so that a repeat has the same
//! name even after a restart, else by chance.

use plugin_api::error::OperationError;
use ring::{
    digest::{Context, SHA256},
    rand::{SecureRandom as _, SystemRandom},
};

/// Bytes of the left part: enough that two mails never share one.
const LENGTH: usize = 16;

/// The same parts give the same name.
pub fn derived(parts: &[&str], domain: &str) -> String {
    let mut digest = Context::new(&SHA256);
    for part in parts {
        // With its length, so that no two lists of parts look the same.
        digest.update(&(part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    write(&digest.finish().as_ref()[..LENGTH], domain)
}

/// A name that nothing else has.
///
/// # Errors
/// `internal` if the machine gives no random numbers.
pub fn random(domain: &str) -> Result<String, OperationError> {
    let mut bytes = [0; LENGTH];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| OperationError::internal("the machine gives no random numbers for a Message-ID"))?;
    Ok(write(&bytes, domain))
}

fn write(bytes: &[u8], domain: &str) -> String {
    let left: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("<{left}@{domain}>")
}
