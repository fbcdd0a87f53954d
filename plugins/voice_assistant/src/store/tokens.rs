//! The right to carry a call's audio: minted once in a call's life, good for one use within a short time. Only its hash is
//! kept.

use plugin_api::{
    error::OperationError,
    lease,
    prelude::Duration,
    requests::sql::{Execute, Query, Statement},
};

use super::{
    Outcome, Store, hash_of, random_id,
    writes::{NewCall, begin},
};
use crate::call::CallBrief;

/// Twilio opens the media stream at once.
const LIFE: Duration = Duration::from_secs(60);

impl Store {
    /// A token for a call that was not answered yet; `None`: it was, so whoever asks is told nothing new. `opening` is told
    /// to whoever redeems it.
    pub async fn mint(&self, new: &NewCall, opening: Option<&str>) -> Outcome<Option<String>> {
        let token = random_id();
        let mint = Statement::new(
            "update voice_assistant_calls set token_hash = $2, token_ms = now_ms() + $3, opening = $4, way = 'realtime'
            where call = $1 and way = 'none' and token_hash = '' and state = 'live'",
        );
        let mint = mint.bind(&new.call).bind(hash_of(&token)).bind(lease::millis(LIFE));
        let mint = mint.bind(opening.unwrap_or_default());
        let committed = self.commit(vec![begin(new), mint]).await?;
        let is_minted = committed.last().is_some_and(|minted| minted.rows_affected == 1);
        Ok(is_minted.then_some(token))
    }

    /// Uses a token up, in one statement.
    ///
    /// # Errors
    /// `denied`: it is of another call, was used, or has expired.
    pub async fn redeem(&self, call: &str, token: &str) -> Outcome<CallBrief> {
        let redeem = Execute::new(format!(
            "update voice_assistant_calls set redeemed_ms = now_ms(), heard_ms = now_ms()
            where call = $1 and token_hash = $2 and token_hash <> '' and redeemed_ms = 0 and not {}
                and state = 'live'
            returning call, nullif(number, '') as number, nullif(person, '') as person,
                nullif(objective, '') as objective, nullif(opening, '') as opening, started_ms",
            lease::is_over("token_ms", LIFE)
        ));
        let redeemed = self.execute(redeem.bind(call).bind(hash_of(token))).await?;
        match redeemed.returned.read_first()? {
            Some(brief) => Ok(brief),
            None => Err(self.why_not(call, token).await?),
        }
    }

    async fn why_not(&self, call: &str, token: &str) -> Outcome<OperationError> {
        let query =
            "select redeemed_ms, state from voice_assistant_calls where call = $1 and token_hash = $2";
        let rows = self.query(Query::new(query).bind(call).bind(hash_of(token))).await?;
        let why = match rows.read_first::<(i64, String)>()? {
            None => "the token is not one of this call",
            Some((redeemed_ms, _)) if redeemed_ms != 0 => "the token was used before",
            Some((_, state)) if state != "live" => "the call is over",
            Some(_) => "the token has expired",
        };
        Ok(OperationError::denied(why))
    }
}
