//! What was said long ago, in short: one summary a person, carried on from turn to turn.

use plugin_api::requests::sql::{Execute, Query};

use super::{Outcome, Place, Store};

/// What stands for the turns up to a place.
#[plugin_api::row]
#[derive(PartialEq, Eq)]
pub struct Summary {
    pub text: String,
    /// The last turn that it stands for.
    pub until: Place,
    /// How many turns it stands for.
    pub turns: u64,
}

impl Store {
    pub async fn summary(&self, person: &str) -> Outcome<Option<Summary>> {
        self.ready().await?;
        let sql =
            "select summary as text, seq as until, turns from memory_service_summaries where person = $1";
        self.query(Query::new(sql).bind(person)).await?.read_first()
    }

    /// Keeps a summary in the place of the one that it was made from. `false`: that one is another by now, or something
    /// was forgotten that may be in this one.
    pub async fn write_summary(
        &self,
        person: &str,
        epoch: i64,
        before: Option<&Summary>,
        summary: &Summary,
    ) -> Outcome<bool> {
        let turns = |summary: &Summary| i64::try_from(summary.turns).unwrap_or(i64::MAX);
        let sql = "insert into memory_service_summaries (person, summary, seq, turns)
            select person, $3, $4, $5 from memory_service_people where person = $1 and epoch = $2
            on conflict (person) do update set summary = excluded.summary, seq = excluded.seq, turns = excluded.turns
            where memory_service_summaries.seq = $6 and memory_service_summaries.turns = $7";
        let put = Execute::new(sql)
            .bind(person)
            .bind(epoch)
            .bind(&summary.text)
            .bind(summary.until.0)
            .bind(turns(summary))
            .bind(before.map_or(i64::MIN, |before| before.until.0))
            .bind(before.map_or(-1, turns));
        Ok(self.execute(put).await?.rows_affected > 0)
    }

    /// Drops a summary that turns which came late are missing from.
    pub async fn drop_summary(&self, person: &str) -> Outcome<()> {
        let sql = "delete from memory_service_summaries where person = $1";
        self.execute(Execute::new(sql).bind(person)).await.map(drop)
    }
}
