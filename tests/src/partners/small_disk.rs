//! A file system of a few MiB, which a test fills and makes room on again. To mount it takes the rights of root.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::Missing;

/// A mounted file system; unmounted when dropped. Let it go before the folder that it is mounted in.
#[derive(Debug)]
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts one of so many MiB on a folder, which is made.
    ///
    /// # Errors
    /// If this user may not mount anything.
    ///
    /// # Panics
    /// If the folder cannot be made.
    pub fn mount(folder: &Path, mib: u32) -> Result<Self, Missing> {
        fs::create_dir_all(folder).expect("a folder can be made");
        let disk = Self { folder: folder.to_owned() };
        if disk.run(&["mount", "-t", "tmpfs", "-o", &format!("size={mib}m"), "switchboard-test"]) {
            return Ok(disk);
        }
        Err(Missing::of("the right to mount a small file system, which root has"))
    }

    /// Takes all the room that is left.
    ///
    /// # Panics
    /// If it cannot be written for any other reason than that it is full.
    pub fn fill(&self) {
        let mut file = File::options().append(true).create(true).open(self.filler()).expect("our own disk");
        for size in [64 * 1024, 4096, 1] {
            let chunk = vec![b'x'; size];
            let error = loop {
                if let Err(error) = file.write_all(&chunk) {
                    break error;
                }
            };
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
        }
    }

    /// Gives the room back.
    ///
    /// # Panics
    /// If it was not filled.
    pub fn make_room(&self) {
        fs::remove_file(self.filler()).expect("it was filled");
    }

    /// Lets it be written, or not; nothing may be open on it.
    ///
    /// # Panics
    /// If something is.
    pub fn set_writable(&self, writable: bool) {
        let options = if writable { "remount,rw" } else { "remount,ro" };
        assert!(self.run(&["mount", "-o", options]), "it cannot be mounted anew: {options}");
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }

    fn run(&self, command: &[&str]) -> bool {
        let (program, arguments) = command.split_first().expect("a program");
        let mut command = Command::new(program);
        command.args(arguments).arg(&self.folder).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Nothing was mounted if this user may not.
        self.run(&["umount", "--lazy"]);
    }
}
