//! The tables, version by version.

use plugin_api::requests::sql::Migrate;

const OWNER: &str = "messaging_service";

const TABLES: &str = "
    create table messaging_service_threads (
        person text primary key,
        first_ms bigint not null,
        last_ms bigint not null,
        last_channel text not null,
        whatsapp_ms bigint not null,
        sms_stopped bigint not null,
        whatsapp_stopped bigint not null
    );
    create index messaging_service_threads_last on messaging_service_threads (last_ms);
    create table messaging_service_lanes (
        lane text primary key,
        person text not null,
        direction text not null,
        wanted bigint not null,
        owner text not null,
        lease_ms bigint not null,
        due_ms bigint not null
    );
    create index messaging_service_lanes_due on messaging_service_lanes (due_ms);
    create table messaging_service_inbox (
        sid text primary key,
        person text not null,
        seq bigint not null,
        is_person bigint not null,
        channel text not null,
        keyword text not null,
        is_answered bigint not null,
        body text not null,
        attachments text not null,
        display_name text not null,
        state text not null,
        attempts bigint not null,
        round bigint not null,
        run text not null,
        error text not null,
        at_ms bigint not null,
        since_ms bigint not null,
        next_ms bigint not null
    );
    create index messaging_service_inbox_open on messaging_service_inbox (person, state, seq);
    create index messaging_service_inbox_state on messaging_service_inbox (state, at_ms);
    create table messaging_service_outbox (
        message text not null,
        part bigint not null,
        person text not null,
        seq bigint not null,
        channel text not null,
        fingerprint text not null,
        body text not null,
        media text not null,
        state text not null,
        attempts bigint not null,
        sid text not null,
        error text not null,
        kind text not null,
        remembered bigint not null,
        at_ms bigint not null,
        since_ms bigint not null,
        next_ms bigint not null,
        primary key (message, part)
    );
    create index messaging_service_outbox_open on messaging_service_outbox (person, state, seq, part);
    create index messaging_service_outbox_state on messaging_service_outbox (state, at_ms)";

/// Only what ended by itself has a moment: answered, or refused for good.
const ENDS: &str = "
    alter table messaging_service_inbox add column ended_ms bigint not null default 0;
    alter table messaging_service_inbox add column is_refused bigint not null default 0;
    create index messaging_service_inbox_ended on messaging_service_inbox (ended_ms)";

const RCS: &str = "alter table messaging_service_threads add column rcs_sender text not null default ''";

/// `round` counts how often a message that was not delivered is sent again.
const UNDELIVERED: &str = "
    alter table messaging_service_outbox add column advice text not null default '';
    alter table messaging_service_outbox add column round bigint not null default 0;
    create index messaging_service_outbox_sid on messaging_service_outbox (sid)";

/// `looking_ms` is when an outcome began to be looked for; `since_ms` stays that of the first attempt.
const LOOKING: &str = "
    alter table messaging_service_outbox add column looking_ms bigint not null default 0;
    update messaging_service_outbox set looking_ms = since_ms where state = 'looking'";

/// Who wrote a text; empty: whoever sends it.
const ORIGIN: &str = "
    alter table messaging_service_inbox add column origin text not null default '';
    alter table messaging_service_outbox add column origin text not null default ''";

/// All versions there ever were.
pub fn migrations() -> Migrate {
    Migrate::new(OWNER)
        .version("threads, lanes, inbox, outbox", TABLES)
        .version("how and when messages ended", ENDS)
        .version("our RCS sender that somebody wrote to", RCS)
        .version("messages that were not delivered", UNDELIVERED)
        .version("since when an outcome is looked for", LOOKING)
        .version("who wrote a text", ORIGIN)
}
