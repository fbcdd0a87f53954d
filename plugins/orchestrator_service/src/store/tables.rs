//! The tables, and the statements that several places share. No I/O.

use std::time::Duration;

use plugin_api::lease;

/// When the approver is told again, if the SMS did not arrive: what is in its way is seldom gone within minutes.
pub const SEND_AGAIN: Duration = Duration::from_secs(60 * 60);

pub const TABLES: &str = "
    create table orchestrator_service_runs (
        id text primary key,
        start_key text not null unique,
        fingerprint text not null,
        person text not null,
        goal text not null,
        history text not null,
        instructions text not null,
        trace text not null,
        mark text not null,
        state text not null,
        answer text not null,
        error text not null,
        max_steps bigint not null,
        max_tokens bigint not null,
        max_ms bigint not null,
        steps bigint not null,
        prompt_tokens bigint not null,
        completion_tokens bigint not null,
        worked_ms bigint not null,
        owner text not null,
        lease_ms bigint not null,
        created_ms bigint not null,
        changed_ms bigint not null
    );
    create index orchestrator_service_runs_state on orchestrator_service_runs (state, lease_ms);
    create index orchestrator_service_runs_person on orchestrator_service_runs (person, id);
    create table orchestrator_service_steps (
        run text not null,
        step bigint not null,
        content text not null,
        primary key (run, step)
    );
    create table orchestrator_service_calls (
        run text not null,
        step bigint not null,
        position bigint not null,
        name text not null,
        tool text not null,
        arguments text not null,
        state text not null,
        attempts bigint not null,
        result text not null,
        question text not null,
        expires_ms bigint not null,
        tell_ms bigint not null,
        primary key (run, step, position)
    );
    create index orchestrator_service_calls_state on orchestrator_service_calls (state, expires_ms);
    create table orchestrator_service_links (
        hash text primary key,
        run text not null,
        decision text not null
    )";

/// What the model's server writes beside what is acted on, and what it says when it refuses.
pub const WORDS_OF_SERVERS: &str = "
    alter table orchestrator_service_steps add column wire text not null default '';
    alter table orchestrator_service_runs add column detail text not null default ''";

/// The SMS that told the approver, until the next one does.
pub const TOLD_BY: &str = "
    alter table orchestrator_service_calls add column told_by text not null default ''";

/// What the tools of runs sent, and what was reported of it since.
pub const MESSAGES: &str = "
    create table orchestrator_service_messages (
        sid text not null,
        run text not null,
        step bigint not null,
        position bigint not null,
        tool text not null,
        recipient text not null,
        error_code bigint not null,
        why text not null,
        advice text not null,
        lost_ms bigint not null,
        primary key (sid, run)
    );
    create index orchestrator_service_messages_run on orchestrator_service_messages (run)";

/// The plugins that a run waits for, since when, and how long it may.
pub const HELD: &str = "
    alter table orchestrator_service_runs add column held_by text not null default '';
    alter table orchestrator_service_runs add column held_ms bigint not null default 0;
    alter table orchestrator_service_runs add column tools_ms bigint not null default 120000";

/// Who wrote the goal, how certain it is who the person is, and what is known beside: as JSON.
pub const BESIDE: &str = "
    alter table orchestrator_service_runs add column beside text not null default '{}'";

/// What proves that a call is the one that was wanted, and that a person agreed to it; when the approver may be told of
/// further decisions; links to several decisions, which prove themselves, too. The links of earlier versions do not.
pub const SEALS: &str = "
    alter table orchestrator_service_calls add column decisive text not null default '[]';
    alter table orchestrator_service_calls add column seal text not null default '';
    alter table orchestrator_service_calls add column approval text not null default '';
    create table orchestrator_service_tellings (
        approver text primary key,
        next_ms bigint not null,
        failed bigint not null
    );
    drop table orchestrator_service_links;
    create table orchestrator_service_links (
        hash text not null,
        run text not null,
        decision text not null,
        seal text not null,
        primary key (hash, run, decision)
    )";

pub const RUN: &str = "
    select id, fingerprint, person, goal, history, beside, instructions, trace, mark, state, answer, error, detail, max_steps,
        max_tokens, max_ms, tools_ms, steps, prompt_tokens, completion_tokens, worked_ms, held_by, held_ms, created_ms,
        changed_ms,
        (select count(*) from orchestrator_service_calls
         where run = orchestrator_service_runs.id and attempts > 0) as tool_calls
    from orchestrator_service_runs";

/// The same, as far as a list shows it.
pub const LISTED_RUN: &str = "
    select id, fingerprint, person, substr(goal, 1, 200) as goal, '[]' as history, '{}' as beside, '' as instructions, trace, mark, state,
        '' as answer, '' as error, '' as detail, max_steps, max_tokens, max_ms, tools_ms, steps, prompt_tokens,
        completion_tokens, worked_ms, held_by, held_ms, created_ms, changed_ms,
        (select count(*) from orchestrator_service_calls
         where run = orchestrator_service_runs.id and attempts > 0) as tool_calls
    from orchestrator_service_runs";

pub const STEPS: &str =
    "select step, content, wire from orchestrator_service_steps where run = $1 and step > $2 order by step";

pub const OUTLINE: &str = "
    select run, step, position, name, tool, '' as arguments, state, attempts, '' as result, question, expires_ms,
        '[]' as decisive, '' as seal, '' as approval
    from orchestrator_service_calls where run = $1 order by step, position";

pub const CALL: &str = "
    select run, step, position, name, tool, arguments, state, attempts, result, question, expires_ms, decisive, seal,
        approval
    from orchestrator_service_calls";

pub const INSERT_RUN: &str = "
    insert into orchestrator_service_runs
        (id, start_key, fingerprint, person, goal, history, instructions, trace, mark, state, answer, error, max_steps,
         max_tokens, max_ms, steps, prompt_tokens, completion_tokens, worked_ms, owner, lease_ms, created_ms, changed_ms, tools_ms, beside)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'running', '', '', $10, $11, $12, 0, 0, 0, 0, $13,
        case when $14 > 0 then now_ms() + $14 else 0 end, $15, $15, $16, $17)
    on conflict do nothing";

pub const INSERT_CALL: &str = "
    insert into orchestrator_service_calls
        (run, step, position, name, tool, arguments, state, attempts, result, question, expires_ms, decisive, seal,
         tell_ms)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 0)
    on conflict do nothing";

/// That nobody works on a run.
pub fn is_free(lease: Duration) -> String {
    // Hosts may have different settings.
    format!("state = 'running' and {}", lease::is_over("lease_ms", lease * 10))
}

/// That the approver is to be told of a decision now.
pub fn is_to_be_told() -> String {
    lease::is_over("tell_ms", SEND_AGAIN)
}

/// That the approver may be told of decisions again.
pub fn may_tell(every: Duration) -> String {
    lease::is_over("next_ms", every)
}

/// What there is to do.
pub fn due(lease: Duration, every: Duration) -> String {
    format!(
        "select
            now_ms() as now_ms,
            (select count(*) from orchestrator_service_runs where {}) as runs,
            (select count(*) from orchestrator_service_runs
             where state = 'running' and owner = '' and held_by <> '') as held,
            (select count(*) from orchestrator_service_calls where state = 'waiting' and expires_ms <= now_ms())
                as expired,
            (select count(*) from orchestrator_service_calls where state = 'waiting' and {} and not exists
                (select 1 from orchestrator_service_tellings where approver = $2 and not {})) as untold,
            (select count(*) from orchestrator_service_calls where state = 'waiting' and tell_ms < $1) as unheard",
        is_free(lease),
        is_to_be_told(),
        may_tell(every)
    )
}

/// That whoever has this claim still has it, and the run goes on.
pub const IS_OURS: &str = "id = $1 and owner = $2 and state = 'running'";
