//! Dead letters: what nobody could do, and what nobody knows of.

use std::collections::BTreeMap;

use plugin_api::{
    requests::{
        scheduler::Does,
        sql::{self, Execute, Query, Statement},
    },
    serde_json::Value,
};

use super::{
    Outcome, Page, Store,
    jobs::{self, NewJob},
};

const COLUMNS: &str =
    "id, job, person, title, does, task, zone, outcome, fire_ms, at_ms, attempts, error, settled";

/// A dead letter as it lies there.
#[plugin_api::row]
pub struct DeadLetter {
    pub id: String,
    pub job: String,
    pub person: String,
    pub title: String,
    pub does: Does,
    #[serde(with = "sql::json")]
    pub task: Value,
    pub zone: String,
    pub outcome: String,
    pub fire_ms: i64,
    pub at_ms: i64,
    pub attempts: u32,
    pub error: String,
    pub settled: Option<String>,
}

impl Store {
    /// The newest first.
    pub async fn letters(&self, all: bool, page: &Page) -> Outcome<Vec<DeadLetter>> {
        let (at_ms, id) = page.after.clone().unwrap_or((i64::MAX, String::new()));
        let which = if all { "1 = 1" } else { "settled is null" };
        let sql = format!(
            "select {COLUMNS} from scheduler_service_letters
            where (at_ms < $1 or (at_ms = $1 and id < $2)) and {which} order by at_ms desc, id desc"
        );
        self.tables.query(Query::new(sql).bind(at_ms).bind(id).row_limit(page.limit)).await?.read()
    }

    pub async fn letter(&self, id: &str) -> Outcome<Option<DeadLetter>> {
        let sql = format!("select {COLUMNS} from scheduler_service_letters where id = $1");
        self.tables.query(Query::new(sql).bind(id)).await?.read_first()
    }

    /// How many nobody has dealt with, by their outcome.
    pub async fn open_letters(&self) -> Outcome<BTreeMap<String, u64>> {
        let sql = "select outcome, count(*) as n from scheduler_service_letters where settled is null
            group by outcome";
        Ok(self.tables.query(Query::new(sql)).await?.read()?.into_iter().collect())
    }

    /// How many nobody has dealt with that no caller brought about: a task that is refused as wrong is its author's, but
    /// not one that was taken and came to nothing.
    pub async fn open_faults(&self) -> Outcome<u64> {
        let sql = "select count(*) as n from scheduler_service_letters where settled is null and (is_lost = 1 or not (
            outcome = 'failed' and (error like 'invalid: %' or error like 'denied: %' or error like 'not_found: %'
                or error like 'conflict: %')))";
        self.tables.query(Query::new(sql)).await?.read_one()
    }

    /// A job sent this message; what becomes of it is looked for.
    pub async fn sent(&self, message: &str, job: &str, fire_ms: i64, now_ms: i64) -> Outcome<()> {
        let insert =
            "insert into scheduler_service_sent (message, job, fire_ms, at_ms) values ($1, $2, $3, $4)
            on conflict (message) do nothing";
        let insert = Execute::new(insert).bind(message).bind(job).bind(fire_ms).bind(now_ms);
        self.tables.execute(insert).await.map(drop)
    }

    /// Messages of which nobody knows yet that they arrive, in the order of their names: the next ones.
    pub async fn sent_after(&self, message: &str, most: u32) -> Outcome<Vec<String>> {
        let query = "select message from scheduler_service_sent where message > $1 order by message";
        self.tables.query(Query::new(query).bind(message).row_limit(most)).await?.read()
    }

    /// A message that a job sent did not arrive: the job has failed, and has a dead letter, once. False if no job sent it.
    pub async fn lost_message(&self, message: &str, why: &str, now_ms: i64) -> Outcome<bool> {
        let letter = Statement::new(
            "insert into scheduler_service_letters
                (id, job, person, title, does, task, zone, outcome, fire_ms, at_ms, attempts, error, is_lost)
            select $1, j.id, j.person, j.title, j.does, j.task, j.zone, 'failed', s.fire_ms, $2, j.attempts, $3, 1
            from scheduler_service_sent s join scheduler_service_jobs j on j.id = s.job where s.message = $1
            on conflict (id) do nothing",
        );
        let letter = letter.bind(message).bind(now_ms).bind(format!("denied: {why}"));
        let job = "update scheduler_service_jobs set last_outcome = 'failed', last_error = $2,
                state = case state when 'done' then 'failed' else state end
            where id = (select job from scheduler_service_sent where message = $1)";
        let job = Statement::new(job).bind(message).bind(why);
        let over = Statement::new("delete from scheduler_service_sent where message = $1").bind(message);
        let done = self.tables.transaction(vec![letter, job, over]).await?;
        Ok(done.first().is_some_and(|letter| letter.rows_affected == 1))
    }

    /// Forgets what was sent before this moment.
    pub async fn forget_sent(&self, before_ms: i64) -> Outcome<()> {
        let delete = "delete from scheduler_service_sent where at_ms < $1";
        self.tables.execute(Execute::new(delete).bind(before_ms)).await.map(drop)
    }

    /// Makes a job in place of a letter, once. A `conflict`, if somebody has dealt with it.
    pub async fn replace_letter(&self, id: &str, job: &NewJob) -> Outcome<()> {
        let settle = "update scheduler_service_letters set settled = $2 where id = $1 and settled is null";
        let settle = Statement::new(settle).bind(id).bind(&job.id).expect_rows(1);
        self.tables.transaction(vec![settle, jobs::insert(job)?]).await.map(drop)
    }

    /// `false`: somebody has dealt with it.
    pub async fn dismiss_letter(&self, id: &str) -> Outcome<bool> {
        let sql =
            "update scheduler_service_letters set settled = 'dismissed' where id = $1 and settled is null";
        Ok(self.tables.execute(Execute::new(sql).bind(id)).await?.rows_affected == 1)
    }

    /// Forgets what was dealt with, and is older than this moment.
    pub async fn forget_letters(&self, before_ms: i64) -> Outcome<()> {
        let sql = "delete from scheduler_service_letters where settled is not null and at_ms < $1";
        self.tables.execute(Execute::new(sql).bind(before_ms)).await.map(drop)
    }
}
