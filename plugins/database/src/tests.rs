//! The operations against SQLite files and a PostgreSQL server of their own. Shared behaviour is checked on both.

mod support;
mod plugin;
mod operations;
mod limits;
mod migrations;
mod typed_values;
mod sqlite_files;
mod postgres_outages;
mod postgres_read_only;
mod postgres_tls;
mod postgres_pooler;
mod taking_writes;
mod examining;
mod durability;
