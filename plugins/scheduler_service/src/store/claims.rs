//! What hosts do with jobs whose moment has come: claim, begin, end, renew, release, resume. Many at once, in one
//! statement: a claim on PostgreSQL passes over what another host is claiming.

use std::{collections::BTreeSet, time::Duration};

use plugin_api::{
    lease::{is_impossible, millis},
    requests::sql::{Dialect, Execute, Query, Statement, Value as Sql},
    serde_json::json,
};

use super::{
    Outcome, Store,
    jobs::{COLUMNS, Job},
    tables,
};

/// A job, and the claim that has it.
pub type Claim = (String, String);
pub type Claims = BTreeSet<Claim>;

/// A moment of a job that is about to be done.
#[plugin_api::message]
pub struct Firing {
    pub job_id: String,
    /// The claim under which it is done.
    pub job_owner: String,
    pub new_fire: i64,
    /// [`Job::frozen`], as text.
    pub new_frozen: Option<String>,
}

/// What became of a job that a host had claimed.
#[plugin_api::message]
#[derive(PartialEq, Eq)]
pub struct Record {
    pub job_id: String,
    /// The claim under which it was done.
    pub job_owner: String,
    /// `waiting`, `parked`, `retrying`, or how it is over.
    pub new_state: String,
    pub new_fire: Option<i64>,
    /// When somebody looks at it again; `None`: nobody does.
    pub new_due: Option<i64>,
    /// How far ahead that is at most; `None`: it is a moment that a person chose.
    pub new_wait: Option<i64>,
    pub new_attempts: u32,
    /// 1: an attempt may have had an effect.
    pub new_doubt: u8,
    pub new_parked: Option<String>,
    /// The moment of the firing that is over.
    pub fired: Option<i64>,
    /// What became of it.
    pub outcome: Option<String>,
    pub at: i64,
    pub error: Option<String>,
    /// The job is over.
    pub ended: Option<i64>,
    #[serde(flatten)]
    pub letter: Letter,
}

/// A dead letter to be written with a [`Record`]; none, if it has no id.
#[plugin_api::message]
#[derive(Default, PartialEq, Eq)]
pub struct Letter {
    pub letter_id: Option<String>,
    pub letter_outcome: Option<String>,
    pub letter_fire: Option<i64>,
    pub letter_attempts: Option<u32>,
    pub letter_error: Option<String>,
}

const RECORD: [(&str, &str); 18] = [
    ("job_id", "text"),
    ("job_owner", "text"),
    ("new_state", "text"),
    ("new_fire", "bigint"),
    ("new_due", "bigint"),
    ("new_wait", "bigint"),
    ("new_attempts", "bigint"),
    ("new_doubt", "bigint"),
    ("new_parked", "text"),
    ("outcome", "text"),
    ("at", "bigint"),
    ("error", "text"),
    ("ended", "bigint"),
    ("letter_id", "text"),
    ("letter_outcome", "text"),
    ("letter_fire", "bigint"),
    ("letter_attempts", "bigint"),
    ("letter_error", "text"),
];

/// A job that was cancelled while it was at work is over, whatever was to come.
const END: &str = "update scheduler_service_jobs as j set
        owner = null, begun = 0,
        state = case when j.cancel = 0 or x.ended is not null then x.new_state else 'cancelled' end,
        fire_ms = case when j.cancel = 0 then x.new_fire end,
        due_ms = case when j.cancel = 0 then x.new_due end,
        wait_ms = case when j.cancel = 0 then x.new_wait end,
        attempts = x.new_attempts, doubt = x.new_doubt,
        frozen = case when x.new_attempts > 0 then j.frozen end,
        parked_for = case when j.cancel = 0 then x.new_parked end,
        last_outcome = coalesce(x.outcome, j.last_outcome),
        last_ms = case when x.outcome is null then j.last_ms else x.at end,
        last_error = case when x.outcome is null then j.last_error else x.error end,
        trouble = case when x.outcome is null then x.error end,
        ended_ms = case when j.cancel = 0 then x.ended else x.at end";

impl Store {
    /// Takes up to so many jobs whose moment has come, for as long as a lease; none of `working`.
    pub async fn claim(
        &self,
        owner: &str,
        lease: Duration,
        most: usize,
        working: &Claims,
    ) -> Outcome<Vec<Job>> {
        let dialect = self.tables.dialect().await?;
        let due = format!(
            "select id from scheduler_service_jobs where due_ms <= now_ms() and id not in {}
            order by due_ms limit $3",
            dialect.texts(4)
        );
        let which = match dialect {
            // Once, before anything is updated: a plan that asked again would lock more than it takes.
            Dialect::Postgres => format!("id = any(array({due} for update skip locked))"),
            Dialect::Sqlite => format!("id in ({due})"),
        };
        let sql = format!(
            "update scheduler_service_jobs set owner = $1, due_ms = now_ms() + $2, wait_ms = $2, parked_for = null
            where {which} returning {COLUMNS}, now_ms() as now_ms"
        );
        let working = Sql::Json(working.iter().map(|(id, _)| json!(id)).collect());
        let claim = Execute::new(sql).bind(owner).bind(millis(lease)).bind(most as i64).bind(working);
        let claimed = self.tables.execute(claim).await?.returned;
        claimed.first().map_or(Ok(()), |row| self.tables.set_clock(row))?;
        let mut jobs: Vec<Job> = claimed.read()?;
        jobs.sort_by(|one, two| (one.fire_ms, &one.id).cmp(&(two.fire_ms, &two.id)));
        Ok(jobs)
    }

    /// Written before anything is done for these moments. Gives those whose claim is good, and that may be done.
    pub async fn begin(&self, firings: &[Firing]) -> Outcome<Claims> {
        let columns =
            [("job_id", "text"), ("job_owner", "text"), ("new_fire", "bigint"), ("new_frozen", "text")];
        let sql = format!(
            "update scheduler_service_jobs as j set
                begun = 1, fire_ms = x.new_fire, frozen = x.new_frozen, attempts = j.attempts + 1
            from {} as x where j.id = x.job_id and j.owner = x.job_owner returning id, owner",
            tables::rows(self.tables.dialect().await?, &columns)
        );
        let begun = self.tables.execute(Execute::new(sql).bind(Sql::Json(json!(firings)))).await?;
        Ok(begun.returned.read()?.into_iter().collect())
    }

    /// Writes what became of jobs. Gives those whose claim was still good; of the others nothing is written.
    pub async fn end(&self, records: &[Record]) -> Outcome<Claims> {
        let dialect = self.tables.dialect().await?;
        let rows = tables::rows(dialect, &RECORD);
        let list = Sql::Json(json!(records));
        let statement = |sql: String| Statement::new(sql).bind(list.clone());
        // Locked first, so that all is written or nothing.
        let lock = format!(
            "update scheduler_service_jobs as j set owner = j.owner
            from {rows} as x where j.id = x.job_id and j.owner = x.job_owner returning id, owner"
        );
        let letters = format!(
            "insert into scheduler_service_letters
                (id, job, person, title, does, task, zone, outcome, fire_ms, at_ms, attempts, error)
            select x.letter_id, j.id, j.person, j.title, j.does, j.task, j.zone, x.letter_outcome, x.letter_fire, x.at,
                x.letter_attempts, x.letter_error
            from {rows} as x join scheduler_service_jobs as j on j.id = x.job_id
            where j.owner = x.job_owner and x.letter_id is not null on conflict (id) do nothing"
        );
        let end = format!("{END} from {rows} as x where j.id = x.job_id and j.owner = x.job_owner");
        let mut statements = vec![statement(lock)];
        if records.iter().any(|record| record.letter.letter_id.is_some()) {
            statements.push(statement(letters));
        }
        statements.push(statement(end));
        let results = self.tables.transaction(statements).await?;
        Ok(results.first().map(|locked| locked.returned.read()).transpose()?.into_iter().flatten().collect())
    }

    /// A host that was thought to be gone tells that it was done: nobody need wonder any more.
    pub async fn clear_up(&self, job: &str, fire_ms: i64, now_ms: i64) -> Outcome<bool> {
        let forget = "delete from scheduler_service_letters
            where job = $1 and fire_ms = $2 and outcome = 'unknown_outcome' and settled is null";
        let correct =
            "update scheduler_service_jobs set last_outcome = 'done', last_ms = $2, last_error = null,
                state = case when state = 'unknown_outcome' then 'done' else state end
            where id = $1 and last_outcome = 'unknown_outcome'";
        let forgotten =
            self.tables.execute(Execute::new(forget).bind(job).bind(fire_ms)).await?.rows_affected == 1;
        if forgotten {
            self.tables.execute(Execute::new(correct).bind(job).bind(now_ms)).await?;
        }
        Ok(forgotten)
    }

    /// These jobs stay with their claims for another lease.
    pub async fn renew(&self, claims: &Claims, lease: Duration) -> Outcome<()> {
        let sql = format!(
            "update scheduler_service_jobs as j set due_ms = now_ms() + $2, wait_ms = $2
            from {} as x where j.id = x.job_id and j.owner = x.job_owner",
            tables::rows(self.tables.dialect().await?, &[("job_id", "text"), ("job_owner", "text")])
        );
        let row = |(id, owner): &(String, String)| json!({ "job_id": id, "job_owner": owner });
        let rows = Sql::Json(claims.iter().map(row).collect());
        self.tables.execute(Execute::new(sql).bind(rows).bind(millis(lease))).await.map(drop)
    }

    /// What was claimed and not begun by claims whose names begin so is for others.
    pub async fn release(&self, owner: &str) -> Outcome<()> {
        let sql = "update scheduler_service_jobs set owner = null, due_ms = now_ms(), wait_ms = null
            where substr(owner, 1, length($1)) = $1 and begun = 0";
        self.tables.execute(Execute::new(sql).bind(owner)).await.map(drop)
    }

    /// What waited for this plugin is due.
    pub async fn resume(&self, plugin: &str) -> Outcome<u64> {
        let sql = "update scheduler_service_jobs set parked_for = null, due_ms = now_ms(), state = 'waiting'
            where parked_for = $1 and owner is null";
        Ok(self.tables.execute(Execute::new(sql).bind(plugin)).await?.rows_affected)
    }

    /// Looks at the clock. A lease, or a pause, that ends later than any can is from before the clock was put back: it is
    /// over.
    pub async fn look_at_clock(&self) -> Outcome<()> {
        let is_impossible = format!("wait_ms is not null and {}", is_impossible("due_ms", "wait_ms"));
        let look = format!(
            "select now_ms() as now_ms, case when exists
                (select 1 from scheduler_service_jobs where {is_impossible}) then 1 else 0 end as is_any"
        );
        let looked = self.tables.query(Query::new(look)).await?;
        let Some(row) = looked.first() else { return Ok(()) };
        self.tables.set_clock(row)?;
        if row.get::<bool>("is_any")? {
            let end = format!("update scheduler_service_jobs set due_ms = now_ms() where {is_impossible}");
            self.tables.execute(Execute::new(end)).await?;
        }
        Ok(())
    }
}
