//! The codes by which callers prove who they are, and how often that may be tried: each step is one statement.

use plugin_api::{
    lease,
    prelude::Duration,
    requests::sql::{Execute, Row},
};

use super::{Outcome, Store};

/// How long a code is valid.
const LIFE: Duration = Duration::from_secs(5 * 60);
/// How many codes a call is good for, and a number within a day: each costs an SMS, and disturbs whoever has the number.
const CODES_A_CALL: i64 = 3;
const CODES_A_DAY: i64 = 10;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How often one code may be tried.
const TRIES: i64 = 3;

impl Store {
    /// Keeps the hash of a new code. Gives the number that it may be sent to; `None` if none may.
    pub async fn keep_code(&self, call: &str, hash: &str) -> Outcome<Option<String>> {
        let keep = "update voice_assistant_calls
            set code_hash = $2, code_ms = now_ms() + $3, code_tries = 0, codes = codes + 1
            where call = $1 and state = 'live' and person = '' and level = 'shown' and number <> '' and codes < $4
                and (select coalesce(sum(others.codes), 0) from voice_assistant_calls others
                    where others.number = voice_assistant_calls.number and others.started_ms > now_ms() - $5) < $6
            returning number";
        let keep = Execute::new(keep).bind(call).bind(hash).bind(lease::millis(LIFE)).bind(CODES_A_CALL);
        let kept = self.execute(keep.bind(lease::millis(DAY)).bind(CODES_A_DAY)).await?;
        kept.returned.first().map(|row| row.get("number")).transpose()
    }

    /// Counts an attempt. Gives the hash that it is held against, and how many attempts are left; `None` if none was.
    pub async fn try_code(&self, call: &str) -> Outcome<Option<(String, i64)>> {
        let attempt = format!(
            "update voice_assistant_calls set code_tries = code_tries + 1
            where call = $1 and state = 'live' and person = '' and code_hash <> '' and code_tries < $2 and not {}
            returning code_hash, code_tries",
            lease::is_over("code_ms", LIFE)
        );
        let tried = self.execute(Execute::new(attempt).bind(call).bind(TRIES)).await?;
        let row = |row: Row<'_>| Ok((row.get("code_hash")?, TRIES - row.get::<i64>("code_tries")?));
        tried.returned.first().map(row).transpose()
    }

    /// The caller is the person whose number they show. Uses the code up.
    pub async fn set_proven(&self, call: &str, hash: &str) -> Outcome<Option<String>> {
        let set = "update voice_assistant_calls set person = number, level = 'attested', code_hash = ''
            where call = $1 and state = 'live' and person = '' and code_hash = $2
            returning person";
        let set = self.execute(Execute::new(set).bind(call).bind(hash)).await?;
        set.returned.first().map(|row| row.get("person")).transpose()
    }
}
