//! The folder for data and everything in it is for the user of this process alone, whatever the umask, whoever made it,
//! and whatever an earlier version left.

use std::{
    fs::{self, Metadata, Permissions},
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::Mode,
    process::{geteuid, umask},
};

/// What the group and all others may do.
const OTHERS: u32 = 0o077;
/// The superuser can read everything anyway, and what is theirs is not this process's to change: `lost+found` on a file
/// system of its own.
const ROOT: u32 = 0;

/// Why other users of this machine could read or change what is kept.
#[derive(Debug, thiserror::Error)]
pub enum Exposed {
    /// It belongs to somebody else, who could take it away or change it.
    #[error(
        "`{path}` belongs to user {owner}, and this process runs as user {user}: run it as that user, or type \
         `chown -R {user} '{path}'`", path = .path.display()
    )]
    Foreign {
        /// The folder, or the file in it.
        path: PathBuf,
        /// The user whose it is.
        owner: u32,
        /// The user of this process.
        user: u32,
    },
    /// Others may use it, and this process may not change that.
    #[error(
        "`{path}` is open to other users of this machine ({reason}): type `chmod -R go= '{path}'`, or set `data_dir` to a \
         folder in it, which is made for this process alone", path = .path.display()
    )]
    Open {
        /// The folder, or the file in it.
        path: PathBuf,
        /// Why that cannot be changed.
        reason: io::Error,
    },
    /// It cannot be looked at.
    #[error("`{path}` cannot be looked at: {reason}", path = .path.display())]
    Unreadable {
        /// The folder, or the file in it.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
}

/// Every file and folder that this process makes from now on is closed to other users.
pub(super) fn from_now_on() {
    umask(Mode::from_raw_mode(OTHERS));
}

/// Closes the folder and everything in it to other users. Blocks.
///
/// # Errors
/// What stays open to others.
pub(super) fn close_all(folder: &Path) -> Result<(), Exposed> {
    let unreadable = |reason| Exposed::Unreadable { path: folder.to_owned(), reason };
    let mut closed = close(folder, &fs::metadata(folder).map_err(unreadable)?)?;
    let is_root = geteuid().as_raw() == ROOT;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let unreadable = |reason| Exposed::Unreadable { path: folder.clone(), reason };
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let metadata = match fs::symlink_metadata(&path) {
                // SQLite removes files of its own at any time.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata.map_err(|reason| Exposed::Unreadable { path: path.clone(), reason })?,
            };
            if metadata.uid() == ROOT && !is_root {
                continue;
            }
            // A link leads to what the operator keeps elsewhere.
            if metadata.is_dir() || metadata.is_file() {
                closed += close(&path, &metadata)?;
            }
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    if closed > 0 {
        tracing::warn!(
            "other users of this machine could use `{}` or files in it ({closed} in all): they cannot any more",
            folder.display()
        );
    }
    Ok(())
}

/// Whether other users of this machine can look into a folder or use it.
pub(super) fn is_open(folder: &Path) -> bool {
    fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & OTHERS != 0)
}

/// How many were open to others: it itself, or none.
fn close(path: &Path, metadata: &Metadata) -> Result<u32, Exposed> {
    let (owner, user) = (metadata.uid(), geteuid().as_raw());
    if owner != user && owner != ROOT {
        return Err(Exposed::Foreign { path: path.to_owned(), owner, user });
    }
    let mode = metadata.permissions().mode();
    if mode & OTHERS == 0 {
        return Ok(0);
    }
    let closed = fs::set_permissions(path, Permissions::from_mode(mode & 0o700));
    closed.map(|()| 1).map_err(|reason| Exposed::Open { path: path.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn everything_is_closed_to_others_and_links_are_not_followed() {
        let outside = tempfile::NamedTempFile::new().unwrap();
        fs::set_permissions(outside.path(), Permissions::from_mode(0o644)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("recordings");
        fs::create_dir(&inner).unwrap();
        let files = [folder.path().join("a.db"), inner.join("call.wav")];
        for file in &files {
            fs::write(file, "hush").unwrap();
            fs::set_permissions(file, Permissions::from_mode(0o666)).unwrap();
        }
        for folder in [folder.path(), &inner] {
            fs::set_permissions(folder, Permissions::from_mode(0o777)).unwrap();
        }
        symlink(outside.path(), folder.path().join("link")).unwrap();
        from_now_on();
        close_all(folder.path()).unwrap();
        assert_eq!([folder.path(), &inner].map(mode), [0o700; 2]);
        assert_eq!(files.each_ref().map(|file| mode(file)), [0o600; 2]);
        assert_eq!(mode(outside.path()), 0o644);
        let later = folder.path().join("later");
        fs::write(&later, "hush").unwrap();
        assert_eq!(mode(&later), 0o600, "whatever the umask was");
    }

    #[test]
    fn a_folder_of_somebody_else_is_refused_with_the_command_to_type() {
        let user = geteuid().as_raw();
        let exposed = Exposed::Foreign { path: "/srv/data".into(), owner: 4711, user: 1000 };
        assert_eq!(
            exposed.to_string(),
            "`/srv/data` belongs to user 4711, and this process runs as user 1000: run it as that user, or type \
             `chown -R 1000 '/srv/data'`"
        );
        // Only the superuser can give a folder away, as in a container.
        if user == ROOT {
            let folder = tempfile::tempdir().unwrap();
            std::os::unix::fs::chown(folder.path(), Some(4711), None).unwrap();
            assert!(matches!(close_all(folder.path()), Err(Exposed::Foreign { owner: 4711, .. })));
        }
    }
}
