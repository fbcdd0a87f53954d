//! The tables, version by version.

use plugin_api::requests::sql::Migrate;

const OWNER: &str = "voice_assistant";

const TABLES: &str = "
    create table voice_assistant_calls (
        call text primary key,
        is_outbound bigint not null,
        number text not null,
        person text not null,
        objective text not null,
        way text not null,
        state text not null,
        outcome text not null,
        answered_by text not null,
        token_hash text not null,
        token_ms bigint not null,
        redeemed_ms bigint not null,
        next text not null,
        next_detail text not null,
        started_ms bigint not null,
        heard_ms bigint not null,
        ended_ms bigint not null
    );
    create index voice_assistant_calls_state on voice_assistant_calls (state, heard_ms);
    create index voice_assistant_calls_person on voice_assistant_calls (person, started_ms);
    create index voice_assistant_calls_started on voice_assistant_calls (started_ms, call);
    create table voice_assistant_entries (
        call text not null,
        seq bigint not null,
        kind text not null,
        subject text not null,
        body text not null,
        result text not null,
        flag bigint not null,
        took_ms bigint not null,
        at_ms bigint not null,
        is_remembered bigint not null,
        primary key (call, seq)
    );
    create index voice_assistant_entries_due on voice_assistant_entries (is_remembered, at_ms);
    create table voice_assistant_recordings (
        recording text primary key,
        call text not null,
        is_voicemail bigint not null,
        url text not null,
        number text not null,
        seconds bigint not null,
        is_announced bigint not null,
        at_ms bigint not null
    );
    create index voice_assistant_recordings_due on voice_assistant_recordings (is_announced, at_ms);
    create index voice_assistant_recordings_call on voice_assistant_recordings (call, at_ms);
    create table voice_assistant_orders (
        reference text primary key,
        fingerprint text not null,
        person text not null,
        objective text not null,
        opening text not null,
        message text not null,
        created_ms bigint not null
    )";

const OPENING: &str = "alter table voice_assistant_calls add column opening text not null default ''";

const UNREACHED: &str = "
    alter table voice_assistant_calls add column unreached_ms bigint not null default 0;
    alter table voice_assistant_calls add column unreached text not null default ''";

const REFUSED: &str = "
    alter table voice_assistant_recordings add column refused text not null default '';
    alter table voice_assistant_recordings add column retry_ms bigint not null default 0";

/// The SMS that told of a message, until the next one does.
const TOLD_BY: &str = "
    alter table voice_assistant_recordings add column told_by text not null default '';
    create index voice_assistant_recordings_told_by on voice_assistant_recordings (told_by)";

/// How certain it was who called, and the code by which they can prove it: its hash, until when it is valid, how often one
/// was tried, and how many were sent.
const PROOF: &str = "
    alter table voice_assistant_calls add column level text not null default '';
    alter table voice_assistant_calls add column code_hash text not null default '';
    alter table voice_assistant_calls add column code_ms bigint not null default 0;
    alter table voice_assistant_calls add column code_tries bigint not null default 0;
    alter table voice_assistant_calls add column codes bigint not null default 0;
    create index voice_assistant_calls_number on voice_assistant_calls (number, started_ms)";

/// All versions there ever were.
pub fn migrations() -> Migrate {
    Migrate::new(OWNER)
        .version("calls, entries, recordings, orders", TABLES)
        .version("how a call of ours begins", OPENING)
        .version("whose audio did not arrive", UNREACHED)
        .version("messages that nobody could be told of", REFUSED)
        .version("which SMS told of a message", TOLD_BY)
        .version("how a caller proves who they are", PROOF)
}
