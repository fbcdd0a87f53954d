//! Which process work was claimed by, so that nobody waits for the leases of one that is gone.
//!
//! On SQLite only one process has the database: the host holds the lock on `data_dir`. Whatever another process claimed is
//! free, and its lease need not be waited for. On PostgreSQL hosts share the database: there only the lease tells.

use std::{fs, sync::OnceLock};

use crate::{
    context::Dependency,
    error::OperationError,
    requests::sql::{Dialect, Execute},
};

/// Begins the name of every owner of a claim that this process makes. No other process has it: on Linux it is made of the
/// boot, the process id and the moment of its start, so that the host in a restarted container is told from its
/// predecessor. Elsewhere it is the process id: a predecessor that happened to have the same one is waited for.
pub fn name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let boot = boot.get(..8).unwrap_or_default();
        let started = fs::read_to_string("/proc/self/stat").ok().and_then(|stat| started(&stat));
        format!("{boot}.{}.{}:", std::process::id(), started.unwrap_or_default())
    })
}

/// The 22nd field, in ticks since the boot (proc_pid_stat(5)). The second one, in parentheses, may hold anything.
fn started(stat: &str) -> Option<String> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
}

/// Where leases are kept.
#[derive(Debug, Clone, Copy)]
pub struct Leases<'a> {
    /// The table.
    pub table: &'a str,
    /// The column with the name of an owner, which begins with [`name`].
    pub owner: &'a str,
    /// The column with the end of the lease, in milliseconds.
    pub until: &'a str,
}

/// Ends the leases of all other processes at once, on SQLite: their end becomes 0 in the rows for which `condition` holds.
///
/// # Errors
/// The database's.
pub async fn end_leases_of_others(
    database: &Dependency,
    dialect: Dialect,
    Leases { table, owner, until }: Leases<'_>,
    condition: &str,
) -> Result<(), OperationError> {
    if dialect != Dialect::Sqlite {
        return Ok(());
    }
    let end = format!(
        "update {table} set {until} = 0
        where {condition} and {until} > 0 and {owner} <> '' and substr({owner}, 1, length($1)) <> $1"
    );
    database.call(Execute::new(end).bind(name())).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_of_a_process_is_read_whatever_its_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 9 10";
        assert_eq!(started(stat).as_deref(), Some("4242"));
        assert_eq!(started(""), None);
        assert!(name().ends_with(':') && name().contains(&format!(".{}.", std::process::id())));
    }
}
