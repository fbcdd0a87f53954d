//! A file system whose server has gone away, as a network's does: whoever asks it for anything waits. To mount it takes
//! the rights of root.

use std::{
    fs::{self, File},
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::Missing;

/// A mounted file system; unmounted when dropped, which ends all waiting. Let it go before the folder that it is in.
#[derive(Debug)]
pub struct DeadMount {
    folder: PathBuf,
    /// The kernel asks here, and nobody reads it.
    _server: File,
}

impl DeadMount {
    /// Mounts one on a folder, which is made.
    ///
    /// # Errors
    /// If this user may not mount anything, or the kernel knows no FUSE.
    ///
    /// # Panics
    /// If the folder cannot be made.
    pub fn mount(folder: &Path) -> Result<Self, Missing> {
        fs::create_dir_all(folder).expect("a folder can be made");
        let missing = || Missing::of("the right to mount by FUSE, which root has");
        let server = File::options().read(true).write(true).open("/dev/fuse").map_err(|_| missing())?;
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd());
        let options = std::ffi::CString::new(options).expect("there is no zero in it");
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("switchboard-test", folder, "fuse", flags, Some(options.as_c_str())).map_err(|_| missing())?;
        Ok(Self { folder: folder.to_owned(), _server: server })
    }
}

impl Drop for DeadMount {
    fn drop(&mut self) {
        // The test has its outcome already.
        let _ = unmount(&self.folder, UnmountFlags::DETACH);
    }
}
