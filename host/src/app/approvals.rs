//! That a person agreed to a tool call -> a signed text that may lie in any database, and back: whoever can write there
//! can neither make one nor use one for another call. HMAC-SHA256 under a key of its own, derived from the host's secret
//! key; hosts that share a database share that key.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use plugin_api::{
    error::OperationError,
    files,
    protocol::CallHeader,
    requests::host::{Approve, CallTool},
};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::seal::Sealer;

/// Where it is kept which approvals were used, in the folder for data: a database may be set back to what it held before.
const FILE: &str = "approvals.json";

/// Signs and checks approvals. Cheap to clone.
#[derive(Clone)]
pub(super) struct Approvals {
    sealer: Sealer,
    used: Arc<Mutex<Ledger>>,
}

/// The digests of those that were used for what can be done once only, until they are too old anyway.
struct Ledger {
    file: PathBuf,
    used: Option<BTreeMap<String, i64>>,
}

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Approved {
    caller: String,
    tool: String,
    /// Their digest.
    arguments: String,
    person: Option<String>,
    key: Option<String>,
    decision: String,
    by: String,
    until_ms: i64,
}

/// An approval that is used up, unless it is given back.
pub(super) struct Used {
    approvals: Approvals,
    approval: String,
}

impl Approvals {
    pub(super) fn new(sealer: Sealer, data_dir: &Path) -> Self {
        let used = Ledger { file: data_dir.join(FILE), used: None };
        Self { sealer, used: Arc::new(Mutex::new(used)) }
    }

    /// Signs that a person agreed to a call by this plugin.
    pub(super) fn sign(
        &self,
        caller: &str,
        header: CallHeader,
        approve: Approve,
    ) -> Result<String, OperationError> {
        let approved = Approved {
            caller: caller.to_owned(),
            tool: approve.tool,
            arguments: digest_of(&approve.arguments.to_string()),
            person: header.person,
            key: header.idempotency_key,
            decision: approve.decision,
            by: approve.by,
            until_ms: approve.until_ms,
        };
        let text =
            serde_json::to_vec(&approved).map_err(|error| OperationError::internal(error.to_string()))?;
        let text = URL_SAFE_NO_PAD.encode(text);
        let signature = self.sealer.sign(text.as_bytes())?;
        Ok(format!("{text}.{signature}"))
    }

    /// Checks that an approval is of this call.
    ///
    /// # Errors
    /// `denied`, with what is wrong with it.
    pub(super) fn check(
        &self,
        caller: &str,
        header: &CallHeader,
        call: &CallTool,
        approval: &str,
    ) -> Result<(), OperationError> {
        let refused = |why: &str| {
            Err(OperationError::denied(format!(
                "the approval of this call of `{}` does not count: {why}",
                call.name
            )))
        };
        let Some(approved) = self.read(approval)? else {
            return refused("this host did not sign it, or it was altered since");
        };
        let called = Approved {
            caller: caller.to_owned(),
            tool: call.name.clone(),
            arguments: digest_of(&call.arguments.to_string()),
            person: header.person.clone(),
            key: header.idempotency_key.clone(),
            ..approved.clone()
        };
        if approved != called {
            return refused(
                "it is of another call: tool, arguments, person or key differ from what was approved",
            );
        }
        if approved.until_ms < Timestamp::now().as_millisecond() { refused("it is too old") } else { Ok(()) }
    }

    /// Uses an approval that was checked: it is good for no further call.
    ///
    /// # Errors
    /// `denied` if it was used, `unavailable` if that cannot be kept: then it is not.
    pub(super) fn use_up(&self, approval: &str) -> Result<Used, OperationError> {
        let until_ms = self.read(approval)?.map_or(i64::MAX, |approved| approved.until_ms);
        let approval = digest_of(approval);
        let mut ledger = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if ledger.used()?.insert(approval.clone(), until_ms).is_some() {
            return Err(OperationError::denied(
                "the approval of this call was used before, and is good for one call",
            ));
        }
        match ledger.keep() {
            Ok(()) => Ok(Used { approvals: self.clone(), approval }),
            Err(error) => {
                ledger.used()?.remove(&approval);
                Err(error)
            }
        }
    }

    fn read(&self, approval: &str) -> Result<Option<Approved>, OperationError> {
        let Some((text, signature)) = approval.split_once('.') else { return Ok(None) };
        if !self.sealer.is_signed(text.as_bytes(), signature)? {
            return Ok(None);
        }
        let text = URL_SAFE_NO_PAD.decode(text).ok();
        Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
    }
}

impl Used {
    /// The call reached nobody.
    pub(super) fn give_back(self) {
        let mut ledger = self.approvals.used.lock().unwrap_or_else(PoisonError::into_inner);
        let mut give_back = || {
            ledger.used()?.remove(&self.approval);
            ledger.keep()
        };
        if let Err(error) = give_back() {
            tracing::warn!("a call that reached nobody needs another approval: {error}");
        }
    }
}

impl Ledger {
    /// Those that still count; read when they are first needed.
    fn used(&mut self) -> Result<&mut BTreeMap<String, i64>, OperationError> {
        let mut used = match self.used.take() {
            Some(used) => used,
            None => match files::read(&self.file) {
                Err(error) if error.is_missing() => BTreeMap::new(),
                read => read
                    .map_err(|error| error.to_string())
                    .and_then(|json| serde_json::from_slice(&json).map_err(|error| error.to_string()))
                    .map_err(|why| self.unusable(&why))?,
            },
        };
        let now_ms = Timestamp::now().as_millisecond();
        used.retain(|_, until_ms| *until_ms >= now_ms);
        Ok(self.used.insert(used))
    }

    /// Written beside and renamed, so that no crash leaves half of it.
    fn keep(&mut self) -> Result<(), OperationError> {
        let json =
            serde_json::to_vec(self.used()?).map_err(|error| OperationError::internal(error.to_string()))?;
        let beside = self.file.with_extension("new");
        let write = || {
            let mut file = File::create(&beside)?;
            file.write_all(&json)?;
            file.sync_all()?;
            fs::rename(&beside, &self.file)
        };
        write().map_err(|error| self.unusable(&error.to_string()))
    }

    fn unusable(&self, why: &str) -> OperationError {
        let file = self.file.display();
        OperationError::unavailable(format!("the list of used approvals in `{file}` cannot be kept: {why}"))
    }
}

fn digest_of(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use plugin_api::error::ErrorKind;
    use serde_json::json;

    use super::*;
    use crate::{config::SecretKey, scrub::Scrubber};

    fn approvals(key: &str) -> Approvals {
        let key = SecretKey::parse(key).unwrap_or_else(|(refusal, _)| panic!("the key {refusal}"));
        let nowhere = Path::new("/nowhere");
        Approvals::new(Sealer::new(Some(key), nowhere, Scrubber::default()), nowhere)
    }

    fn ours() -> Approvals {
        approvals("+/8QWm2k3J9vQ0xYc1Zt5b7uH8gA2eR4iLpOsTfUdWk=")
    }

    fn header() -> CallHeader {
        CallHeader {
            person: Some("ada".into()),
            idempotency_key: Some("run.1.0".into()),
            ..CallHeader::default()
        }
    }

    fn call() -> CallTool {
        CallTool { name: "bank.pay".into(), arguments: json!({ "amount": 1, "to": "bob" }), approval: None }
    }

    fn signed(approvals: &Approvals, until_ms: i64) -> String {
        let CallTool { name: tool, arguments, .. } = call();
        let (decision, by) = ("1.0.0".to_owned(), "an operator".to_owned());
        approvals.sign("agent", header(), Approve { tool, arguments, decision, by, until_ms }).unwrap()
    }

    #[track_caller]
    fn refused(checked: Result<(), OperationError>, expected: &str) {
        let error = checked.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied);
        assert!(error.message.ends_with(expected), "{error}");
    }

    #[test]
    fn an_approval_is_good_for_the_call_that_was_approved_and_for_no_other() {
        let (ours, approval) = (ours(), signed(&ours(), i64::MAX));
        assert!(ours.check("agent", &header(), &call(), &approval).is_ok());
        assert!(
            approvals("+/8QWm2k3J9vQ0xYc1Zt5b7uH8gA2eR4iLpOsTfUdWk=")
                .check("agent", &header(), &call(), &approval)
                .is_ok()
        );
        let other = "differ from what was approved";
        refused(ours.check("other", &header(), &call(), &approval), other);
        let amount = CallTool { arguments: json!({ "amount": 1000, "to": "bob" }), ..call() };
        refused(ours.check("agent", &header(), &amount, &approval), other);
        let tool = CallTool { name: "bank.close".into(), ..call() };
        refused(ours.check("agent", &header(), &tool, &approval), other);
        let person = CallHeader { person: Some("eve".into()), ..header() };
        refused(ours.check("agent", &person, &call(), &approval), other);
        let again = CallHeader { idempotency_key: Some("run.1.1".into()), ..header() };
        refused(ours.check("agent", &again, &call(), &approval), other);
    }

    #[test]
    fn what_this_host_did_not_sign_does_not_count() {
        let ours = ours();
        let not_signed = "this host did not sign it, or it was altered since";
        let foreign = signed(
            &approvals(
                &base64::engine::general_purpose::STANDARD.encode(*b"0123456789abcdefghijklmnopqrstuv"),
            ),
            i64::MAX,
        );
        let approval = signed(&ours, i64::MAX);
        let (text, signature) = approval.split_once('.').unwrap();
        let altered = URL_SAFE_NO_PAD.decode(text).unwrap();
        let altered = String::from_utf8(altered).unwrap().replace("ada", "eve");
        for forged in [
            foreign,
            format!("{}.{signature}", URL_SAFE_NO_PAD.encode(altered)),
            text.to_owned(),
            format!("{text}."),
            "approved".to_owned(),
            String::new(),
        ] {
            refused(ours.check("agent", &header(), &call(), &forged), not_signed);
        }
    }

    #[test]
    fn an_approval_ends_by_time_and_by_use() {
        let ours = ours();
        refused(ours.check("agent", &header(), &call(), &signed(&ours, 1)), "it is too old");
        let approval = signed(&ours, i64::MAX);
        let folder = tempfile::tempdir().unwrap();
        let starts = || Approvals::new(ours.sealer.clone(), folder.path());
        let host = starts();
        let used = host.use_up(&approval).unwrap();
        let used_up = "was used before, and is good for one call";
        refused(host.use_up(&approval).map(drop), used_up);
        refused(starts().use_up(&approval).map(drop), used_up);
        used.give_back();
        assert!(starts().use_up(&approval).is_ok());
        refused(starts().use_up(&approval).map(drop), used_up);
        assert_eq!(ours.use_up(&approval).map(drop).unwrap_err().kind, ErrorKind::Unavailable);
    }
}
