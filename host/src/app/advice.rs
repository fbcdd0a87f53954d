//! An error of the operating system at the start becomes what mends it: the same call fails for reasons that need
//! different steps.

use std::io::{Error, ErrorKind};

/// What to do if the host cannot listen on its address.
pub(super) fn listening(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::AddrInUse => {
            "stop what listens there, or choose another address by `SWITCHBOARD_LISTEN` or `listen`"
        }
        ErrorKind::PermissionDenied => {
            "choose a port above 1023 by `SWITCHBOARD_LISTEN` or `listen`, or give the process CAP_NET_BIND_SERVICE"
        }
        ErrorKind::AddrNotAvailable => {
            "this machine does not have that address: set `SWITCHBOARD_LISTEN` or `listen` to one that it has, or to \
             `0.0.0.0`"
        }
        _ => "choose another address by `SWITCHBOARD_LISTEN` or `listen`",
    }
}

/// What to do if the folder for data cannot be used.
pub(super) fn data_dir(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "free space there, or set `data_dir` to another folder"
        }
        ErrorKind::ReadOnlyFilesystem => {
            "mount its file system writable, or set `data_dir` to another folder"
        }
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            "a file is where a folder should be: move it away, or set `data_dir` to another folder"
        }
        ErrorKind::PermissionDenied => {
            "let the user of this process write there, or set `data_dir` to another folder"
        }
        _ => "check that folder and its file system, or set `data_dir` to another folder",
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn told(advice: fn(&Error) -> &'static str, kinds: &[ErrorKind]) -> String {
        let lines = kinds.iter().map(|kind| format!("{kind}: {}", advice(&Error::from(*kind))));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn each_reason_has_what_mends_it() {
        use ErrorKind::{
            AddrInUse, AddrNotAvailable, AlreadyExists, NotADirectory, Other, PermissionDenied,
            ReadOnlyFilesystem, StorageFull,
        };
        expect![[r#"
            address in use: stop what listens there, or choose another address by `SWITCHBOARD_LISTEN` or `listen`
            permission denied: choose a port above 1023 by `SWITCHBOARD_LISTEN` or `listen`, or give the process CAP_NET_BIND_SERVICE
            address not available: this machine does not have that address: set `SWITCHBOARD_LISTEN` or `listen` to one that it has, or to `0.0.0.0`
            other error: choose another address by `SWITCHBOARD_LISTEN` or `listen`"#]].assert_eq(&told(listening, &[AddrInUse, PermissionDenied, AddrNotAvailable, Other]));
        let kinds = [PermissionDenied, ReadOnlyFilesystem, StorageFull, NotADirectory, AlreadyExists, Other];
        expect![[r#"
            permission denied: let the user of this process write there, or set `data_dir` to another folder
            read-only filesystem or storage medium: mount its file system writable, or set `data_dir` to another folder
            no storage space: free space there, or set `data_dir` to another folder
            not a directory: a file is where a folder should be: move it away, or set `data_dir` to another folder
            entity already exists: a file is where a folder should be: move it away, or set `data_dir` to another folder
            other error: check that folder and its file system, or set `data_dir` to another folder"#]].assert_eq(&told(data_dir, &kinds));
    }
}
