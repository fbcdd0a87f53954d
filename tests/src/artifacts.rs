//! Builds the workspace as `cargo run` does, once in a test process. Cargo builds no library for a test that does not
//! depend on it, and puts none beside the binary; when all is fresh this takes a moment.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// Where things stand after a build.
pub struct Artifacts {
    folder: PathBuf,
}

impl Artifacts {
    /// The `switchboard` command.
    pub fn binary(&self) -> PathBuf {
        self.folder.join("switchboard")
    }

    /// The library of a plugin or a fixture.
    pub fn library(&self, name: &str) -> PathBuf {
        self.folder.join(format!("lib{name}.so"))
    }
}

/// The artifacts of this workspace, in the profile and the target folder of the running test.
///
/// # Panics
/// If the workspace does not build.
pub fn artifacts() -> &'static Artifacts {
    static ARTIFACTS: OnceLock<Artifacts> = OnceLock::new();
    ARTIFACTS.get_or_init(|| {
        // <target>/<profile>/deps/<test>
        let test = env::current_exe().expect("a process knows its own file");
        let folder = test.ancestors().nth(2).expect("cargo puts tests two folders deep").to_owned();
        build(&folder);
        Artifacts { folder }
    })
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests stand in a folder of the repository")
}

/// The names of the shipped plugins: each has a folder of its name.
///
/// # Panics
/// If the repository has none.
pub fn shipped_plugins() -> Vec<String> {
    let entries = fs::read_dir(repository().join("plugins")).expect("the repository has plugins");
    let entries = entries.map(|entry| entry.expect("a folder can be read"));
    let folders = entries.filter(|entry| entry.path().is_dir());
    folders.map(|folder| folder.file_name().to_string_lossy().into_owned()).collect()
}

fn build(folder: &Path) {
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--workspace", "--quiet", "--profile", profile]);
    cargo.arg("--target-dir").arg(folder.parent().expect("a profile's folder has a parent"));
    // Build scripts watch what cargo tells of the package under test: left in place it would rebuild dependencies.
    let of_this_test = |name: &str| {
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|prefix| name.starts_with(prefix))
    };
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_this_test)) {
        cargo.env_remove(name);
    }
    let status = cargo.current_dir(repository()).status().expect("cargo runs, for it runs this test");
    assert!(status.success(), "`cargo build --workspace` failed: see its output above");
}
