//! The tables, and how a list of JSON becomes rows in each dialect.

use plugin_api::requests::sql::Dialect;

/// Moments are milliseconds since 1970: whole numbers are the same on every database. `''` is nobody.
pub const TABLES: &str = "
    create table scheduler_service_jobs (
        id text primary key,
        fingerprint text not null,
        person text not null,
        title text not null,
        does text not null,
        task text not null,
        rule text not null,
        zone text not null,
        if_late text not null,
        late_ms bigint not null,
        state text not null,
        fire_ms bigint,
        due_ms bigint,
        owner text,
        begun bigint not null,
        cancel bigint not null,
        attempts bigint not null,
        doubt bigint not null,
        frozen text,
        parked_for text,
        last_outcome text,
        last_ms bigint,
        last_error text,
        trouble text,
        created_ms bigint not null,
        ended_ms bigint
    );
    create index scheduler_service_jobs_due on scheduler_service_jobs (due_ms);
    create index scheduler_service_jobs_owner on scheduler_service_jobs (owner);
    create index scheduler_service_jobs_parked on scheduler_service_jobs (parked_for);
    create index scheduler_service_jobs_person on scheduler_service_jobs (person, created_ms);
    create table scheduler_service_letters (
        id text primary key,
        job text not null,
        person text not null,
        title text not null,
        does text not null,
        task text not null,
        zone text not null,
        outcome text not null,
        fire_ms bigint not null,
        at_ms bigint not null,
        attempts bigint not null,
        error text not null,
        settled text
    );
    create index scheduler_service_letters_job on scheduler_service_letters (job, fire_ms);
    create index scheduler_service_letters_settled on scheduler_service_letters (settled, at_ms)";

/// Messages that jobs sent, until it is clear whether they arrive.
pub const SENT: &str = "
    create table scheduler_service_sent (
        message text primary key,
        job text not null,
        fire_ms bigint not null,
        at_ms bigint not null
    )";

/// How far ahead `due_ms` was set at most, where that was no person's choice: the end of a lease or a pause.
pub const WAITS: &str = "
    alter table scheduler_service_jobs add column wait_ms bigint;
    create index scheduler_service_jobs_wait on scheduler_service_jobs (due_ms) where wait_ms is not null";

/// Whether a dead letter is of a message that was taken and came to nothing, whatever the reason.
pub const LOST: &str = "
    alter table scheduler_service_letters add column is_lost bigint not null default 0;
    update scheduler_service_letters set is_lost = 1 where error like 'denied: not delivered: %'";

/// How certain it was who scheduled it, as JSON; empty: an operator did, or a version that did not know.
pub const LEVEL: &str = "alter table scheduler_service_jobs add column level text not null default ''";

/// Rows out of the JSON list `$1`, as a table of these columns.
pub fn rows(dialect: Dialect, columns: &[(&str, &str)]) -> String {
    match dialect {
        Dialect::Postgres => {
            let typed: Vec<_> = columns.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
            format!("(select * from jsonb_to_recordset($1) as r({}))", typed.join(", "))
        }
        Dialect::Sqlite => {
            let read: Vec<_> =
                columns.iter().map(|(name, _)| format!("value ->> '{name}' as {name}")).collect();
            format!("(select {} from json_each($1))", read.join(", "))
        }
    }
}
