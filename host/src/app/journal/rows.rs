//! Transitions become statements, and rows become transitions. Pure.

use jiff::Timestamp;
use plugin_api::{
    error::{OperationError, ReasonCode},
    requests::sql::{Row as SqlRow, Rows, Statement, Transaction},
};

use crate::status::{PluginHealth, Status, Transition};

/// How many are kept of a plugin.
pub(super) const KEPT: u32 = 100;

/// A plugin counts its transitions in each run of the host; one that was taken out and came back begins anew.
pub(super) const TABLES: &str = "
    create table host_transitions (
        host text not null,
        plugin text not null,
        boot text not null,
        number bigint not null,
        at_us bigint not null,
        from_status text not null,
        to_status text not null,
        code text not null,
        message text not null,
        primary key (host, plugin, at_us, number, boot)
    );
    create table host_hosts (
        host text primary key,
        seen_ms bigint not null
    )";

/// The newest first, so that the limit cuts the oldest.
pub(super) const LAST: &str = "
    select at_us, from_status, to_status, code, message from host_transitions
    where host = $1 and plugin = $2 order by at_us desc, number desc";

const INSERT: &str = "
    insert into host_transitions (host, plugin, boot, number, at_us, from_status, to_status, code, message)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing";

const FORGET: &str = "delete from host_transitions where host = $1 and plugin = $2 and at_us < $3";

const SEEN: &str = "
    insert into host_hosts (host, seen_ms) values ($1, $2)
    on conflict (host) do update set seen_ms = excluded.seen_ms";

/// A transition that is not written yet.
pub(super) struct Row<'a> {
    plugin: &'a str,
    /// Which transition of the plugin it is since the host started, 1 at first.
    pub(super) number: u64,
    transition: &'a Transition,
}

/// The transitions above a number, oldest first. Those forgotten meanwhile are left out.
pub(super) fn pending(plugin: &PluginHealth, written: u64) -> impl Iterator<Item = Row<'_>> {
    let PluginHealth { name, history, transitions, .. } = plugin;
    let count = transitions.saturating_sub(written).min(history.len() as u64);
    let numbered = history.iter().skip(history.len() - count as usize).zip(transitions - count + 1..);
    numbered.map(move |(transition, number)| Row { plugin: name, number, transition })
}

impl Row<'_> {
    pub(super) fn insert(&self, host: &str, boot_id: &str) -> Statement {
        let Transition { recorded_at, from, to, code, message, .. } = self.transition;
        Statement::new(INSERT)
            .bind(host)
            .bind(self.plugin)
            .bind(boot_id)
            .bind(self.number.cast_signed())
            .bind(recorded_at.as_microsecond())
            .bind(from.as_str())
            .bind(to.as_str())
            .bind(code.map_or("", ReasonCode::as_str))
            .bind(message.as_deref().unwrap_or_default())
    }
}

/// What is older than all that is kept of a plugin.
pub(super) fn forget(host: &str, plugin: &PluginHealth) -> Option<Statement> {
    let oldest = plugin.history.iter().map(|transition| transition.recorded_at).min()?;
    let is_full = plugin.history.len() >= KEPT as usize;
    is_full.then(|| Statement::new(FORGET).bind(host).bind(&plugin.name).bind(oldest.as_microsecond()))
}

/// This host is there; those that were not for long are forgotten with all they saw.
pub(super) fn roll_call(host: &str, now_ms: i64, gone_before_ms: i64) -> Transaction {
    let gone = "select host from host_hosts where seen_ms < $1";
    Transaction::default()
        .then(Statement::new(SEEN).bind(host).bind(now_ms))
        .then(
            Statement::new(format!("delete from host_transitions where host in ({gone})"))
                .bind(gone_before_ms),
        )
        .then(Statement::new("delete from host_hosts where seen_ms < $1").bind(gone_before_ms))
}

/// The transitions in the rows of [`LAST`], oldest first. Rows of another version unknown to this one are left out.
pub(super) fn transitions(rows: &Rows) -> Result<Vec<Transition>, OperationError> {
    let mut transitions = Vec::new();
    for row in rows.iter() {
        transitions.extend(transition(row)?);
    }
    transitions.reverse();
    Ok(transitions)
}

fn transition(row: SqlRow<'_>) -> Result<Option<Transition>, OperationError> {
    let text = |column: &str| row.get::<String>(column);
    let at = Timestamp::from_microsecond(row.get("at_us")?).ok();
    let (from, to) = (status(&text("from_status")?), status(&text("to_status")?));
    let (code, message) = (text("code")?, text("message")?);
    let code = ReasonCode::ALL.into_iter().find(|known| known.as_str() == code);
    let message = Some(message).filter(|message| !message.is_empty());
    let known = at.zip(from).zip(to);
    Ok(known.map(|((at, from), to)| Transition { at, recorded_at: at, from, to, code, message }))
}

fn status(name: &str) -> Option<Status> {
    Status::ALL.into_iter().find(|status| status.as_str() == name)
}

#[cfg(test)]
mod tests;
