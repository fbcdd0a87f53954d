//! sqlite-vec, built in: every SQLite connection of this library knows `vec0` tables and the `vec_…` functions.

#![expect(unsafe_code, reason = "an SQLite extension is registered through SQLite's C interface")]

use std::{
    ffi::{c_char, c_int},
    sync::Once,
};

use libsqlite3_sys::{sqlite3, sqlite3_api_routines, sqlite3_auto_extension};

/// What SQLite calls for each new connection.
type EntryPoint = unsafe extern "C" fn(*mut sqlite3, *mut *mut c_char, *const sqlite3_api_routines) -> c_int;

/// Registers sqlite-vec with the copy of SQLite that this library is linked with. To be called before the first
/// connection; more than once does no harm.
pub fn register() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        let declared: unsafe extern "C" fn() = sqlite_vec::sqlite3_vec_init;
        // SAFETY: sqlite-vec declares its entry point without parameters; in its C source it has those of every SQLite
        // extension, which are those of `EntryPoint`. It is linked in statically, and so lives as long as SQLite.
        let entry = unsafe { std::mem::transmute::<unsafe extern "C" fn(), EntryPoint>(declared) };
        // SAFETY: SQLite keeps the pointer, and calls it as the extension's entry point it is.
        let outcome = unsafe { sqlite3_auto_extension(Some(entry)) };
        assert_eq!(outcome, libsqlite3_sys::SQLITE_OK, "SQLite has no memory left for an extension");
    });
}
