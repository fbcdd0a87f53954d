//! Jobs as people see them: schedule, show, list, cancel, count.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use plugin_api::{
    level::Level,
    prelude::*,
    requests::{
        scheduler::{Does, IfLate, JobState, Overall},
        sql::{self, Execute, Query, Statement},
    },
    serde::{Deserialize as _, Deserializer},
    serde_json::{self, Value},
};

use super::{Outcome, Store};
use crate::{rule::Rule, task::Task, times};

/// Everything of a job.
pub const COLUMNS: &str = "id, fingerprint, person, title, does, task, rule, zone as zone_name, zone, if_late, late_ms, \
    case when begun = 1 and owner is not null then 'running' else state end as state, fire_ms, \
    coalesce(owner, '') as owner, begun, cancel, attempts, doubt, frozen, parked_for, last_outcome, last_ms, last_error, trouble, created_ms, \
    nullif(level, '') as level";

/// What is not over.
const OPEN: &str = "state in ('waiting', 'parked', 'retrying')";

/// A job to be.
#[derive(Debug, Clone)]
pub struct NewJob {
    pub id: String,
    /// A digest of the request: the same key must not stand for two.
    pub fingerprint: String,
    pub person: String,
    /// How certain it is who they are.
    pub level: Option<Level>,
    pub title: String,
    pub task: Task,
    pub rule: Rule,
    pub zone: String,
    pub if_late: IfLate,
    pub late_ms: i64,
    pub fire_ms: i64,
    pub due_ms: i64,
    pub now_ms: i64,
}

/// A job as it stands.
#[plugin_api::row]
pub struct Job {
    pub id: String,
    pub fingerprint: String,
    pub person: String,
    /// How certain it was who they are.
    pub level: Option<Level>,
    pub title: String,
    pub does: Does,
    #[serde(with = "sql::json")]
    pub task: Value,
    #[serde(with = "sql::json")]
    pub rule: Rule,
    pub zone_name: String,
    #[serde(deserialize_with = "zone")]
    pub zone: TimeZone,
    #[serde(with = "sql::json")]
    pub if_late: IfLate,
    pub late_ms: i64,
    pub state: JobState,
    pub fire_ms: Option<i64>,
    /// The claim that has it; empty, if none does.
    pub owner: String,
    /// Its host began it, and did not end it.
    pub begun: bool,
    /// It is over when what was begun has ended.
    pub cancel: bool,
    pub attempts: u32,
    /// An attempt before may have had an effect.
    pub doubt: bool,
    /// The request of the firing that was begun, where it is not the task itself: one key stands for one request.
    #[serde(with = "sql::json")]
    pub frozen: Option<Value>,
    pub parked_for: Option<String>,
    pub last_outcome: Option<String>,
    pub last_ms: Option<i64>,
    pub last_error: Option<String>,
    /// Why it is not done yet, or why it was cancelled.
    pub trouble: Option<String>,
    pub created_ms: i64,
}

/// A zone that is not known any more is UTC.
fn zone<'de, D: Deserializer<'de>>(name: D) -> Result<TimeZone, D::Error> {
    Ok(times::zone("zone", &String::deserialize(name)?).unwrap_or(TimeZone::UTC))
}

/// Which part of a list: so many, after this one.
#[derive(Debug, Clone)]
pub struct Page {
    pub limit: u32,
    pub after: Option<(i64, String)>,
}

impl Store {
    /// `false`: there is one of this id already.
    pub async fn insert(&self, job: &NewJob) -> Outcome<bool> {
        let Statement { sql, params, .. } = insert(job)?;
        Ok(self.tables.execute(Execute { sql, params }).await?.rows_affected == 1)
    }

    pub async fn job(&self, id: &str) -> Outcome<Option<Job>> {
        let sql = format!("select {COLUMNS} from scheduler_service_jobs where id = $1");
        self.tables.query(Query::new(sql).bind(id)).await?.read_first()
    }

    /// The newest first. `person`: only theirs.
    pub async fn list(
        &self,
        person: Option<&str>,
        all: bool,
        parked: bool,
        page: &Page,
    ) -> Outcome<Vec<Job>> {
        let (created_ms, id) = page.after.clone().unwrap_or((i64::MAX, String::new()));
        let which = match (parked, all) {
            (true, _) => "state = 'parked'",
            (false, false) => OPEN,
            (false, true) => "1 = 1",
        };
        let sql = format!(
            "select {COLUMNS} from scheduler_service_jobs
            where (created_ms < $1 or (created_ms = $1 and id < $2)) and ($3 = 0 or person = $4) and {which}
            order by created_ms desc, id desc"
        );
        let query = Query::new(sql)
            .bind(created_ms)
            .bind(id)
            .bind(i64::from(person.is_some()))
            .bind(person.unwrap_or_default());
        self.tables.query(query.row_limit(page.limit)).await?.read()
    }

    /// Nobody begins it any more. A firing that has begun ends, and then the job is over. `false`: it is over already.
    pub async fn cancel(&self, id: &str, now_ms: i64) -> Outcome<bool> {
        let sql = format!(
            "update scheduler_service_jobs set
                cancel = 1,
                state = case when begun = 1 then state else 'cancelled' end,
                due_ms = case when begun = 1 then due_ms end,
                wait_ms = case when begun = 1 then wait_ms end,
                fire_ms = case when begun = 1 then fire_ms end,
                owner = case when begun = 1 then owner end,
                parked_for = null,
                ended_ms = case when begun = 1 then ended_ms else $2 end
            where id = $1 and {OPEN}"
        );
        Ok(self.tables.execute(Execute::new(sql).bind(id).bind(now_ms)).await?.rows_affected == 1)
    }

    /// How many jobs of this person are not over.
    pub async fn open_jobs(&self, person: &str) -> Outcome<u64> {
        let sql = format!("select count(*) as n from scheduler_service_jobs where person = $1 and {OPEN}");
        self.tables.query(Query::new(sql).bind(person)).await?.read_one()
    }

    /// How all jobs stand.
    pub async fn overview(&self) -> Outcome<Overall> {
        let jobs = format!(
            "select case when begun = 1 then 'running' else state end as stands, coalesce(parked_for, '') as plugin,
                count(*) as n
            from scheduler_service_jobs where {OPEN} group by 1, 2"
        );
        let mut overall = Overall { dead_letters: self.open_letters().await?, ..Overall::default() };
        for (state, plugin, n) in
            self.tables.query(Query::new(jobs)).await?.read::<(String, String, u64)>()?
        {
            match state.as_str() {
                "waiting" => overall.waiting += n,
                "running" => overall.running += n,
                "retrying" => overall.retrying += n,
                _ => *overall.parked.entry(plugin).or_default() += n,
            }
        }
        Ok(overall)
    }

    /// How many jobs wait for which plugin.
    pub async fn parked(&self) -> Outcome<BTreeMap<String, u64>> {
        let sql = "select parked_for, count(*) as n from scheduler_service_jobs where parked_for is not null
            group by parked_for";
        Ok(self.tables.query(Query::new(sql)).await?.read()?.into_iter().collect())
    }

    /// Forgets what was over before this moment.
    pub async fn forget_jobs(&self, before_ms: i64) -> Outcome<()> {
        let sql = "delete from scheduler_service_jobs where due_ms is null and ended_ms < $1";
        self.tables.execute(Execute::new(sql).bind(before_ms)).await.map(drop)
    }
}

/// The statement that makes a job.
pub fn insert(job: &NewJob) -> Outcome<Statement> {
    let sql =
        "insert into scheduler_service_jobs (id, fingerprint, person, title, does, task, rule, zone, if_late,
            late_ms, state, fire_ms, due_ms, begun, cancel, attempts, doubt, created_ms, level)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'waiting', $11, $12, 0, 0, 0, 0, $13, $14)
        on conflict (id) do nothing";
    Ok(Statement::new(sql)
        .bind(&job.id)
        .bind(&job.fingerprint)
        .bind(&job.person)
        .bind(&job.title)
        .bind(job.task.does().as_str())
        .bind(job.task.json()?.to_string())
        .bind(text(&job.rule)?)
        .bind(&job.zone)
        .bind(text(&job.if_late)?)
        .bind(job.late_ms)
        .bind(job.fire_ms)
        .bind(job.due_ms)
        .bind(job.now_ms)
        .bind(job.level.map_or("", Level::as_str)))
}

fn text(value: &impl plugin_api::serde::Serialize) -> Outcome<String> {
    serde_json::to_string(value)
        .map_err(|error| OperationError::internal(format!("a job cannot be written as JSON: {error}")))
}
