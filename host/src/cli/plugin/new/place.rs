//! Where a new crate goes: into this workspace, or outside with the path of the SDK. Reads, and writes nothing.

use std::{
    env, fs,
    path::{Path, PathBuf, absolute},
};

use switchboard::loader;
use toml::Table;

/// Where the crate goes, and what it is built with.
pub(super) struct Place {
    /// The folder of the crate, which does not exist yet.
    pub(super) folder: PathBuf,
    /// The workspace that it belongs to; `None` outside.
    pub(super) workspace: Option<PathBuf>,
    /// The SDK, as an absolute path; `None` inside the workspace, which names it.
    pub(super) sdk: Option<PathBuf>,
    name: String,
}

impl Place {
    /// Into `plugins/NAME` of the workspace that the current folder is part of.
    pub(super) fn inside(name: &str) -> Result<Self, String> {
        let here = env::current_dir().map_err(|error| format!("the current folder is gone: {error}"))?;
        let root = here.ancestors().find(|folder| is_switchboard(folder)).ok_or_else(|| {
            format!(
                "`{}` is not inside Switchboard's sources: go there, or give the path of `plugin-api` with `--sdk \
                 PATH`",
                here.display()
            )
        })?;
        if root.join("tests/fixtures").join(name).exists() {
            return Err(format!("a fixture of the tests is named `{name}`: choose another name"));
        }
        // Shown to a person, so from where he stands.
        let shown = if root == here { PathBuf::new() } else { root.to_owned() };
        let folder = vacant(shown.join("plugins").join(name))?;
        Ok(Self { folder, workspace: Some(shown), sdk: None, name: name.to_owned() })
    }

    /// Into a folder of its own, as a workspace of its own.
    pub(super) fn outside(name: &str, sdk: &Path, folder: Option<&Path>) -> Result<Self, String> {
        if package_name(sdk).as_deref() != Some("plugin-api") {
            let below = sdk.join("plugin-api");
            let hint = if package_name(&below).is_some() {
                format!("did you mean `{}`?", below.display())
            } else {
                "it is the folder `plugin-api` of Switchboard's sources".to_owned()
            };
            return Err(format!("`{}` is not the SDK: {hint}", sdk.display()));
        }
        let folder = vacant(folder.map_or_else(|| PathBuf::from(name), Path::to_owned))?;
        let sdk = fs::canonicalize(sdk).map_err(|error| format!("`{}`: {error}", sdk.display()))?;
        Ok(Self { folder, workspace: None, sdk: Some(sdk), name: name.to_owned() })
    }

    /// Where `cargo build` will put the library of a crate outside.
    pub(super) fn library(&self) -> PathBuf {
        let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let target = target.unwrap_or_else(|| self.folder.join("target"));
        loader::path_of(&target.join("debug"), &self.name)
    }

    /// The lock file of the SDK: with it a plugin is built from the very crates that the host is built from.
    pub(super) fn lock_file(&self) -> Option<String> {
        fs::read_to_string(self.sdk.as_ref()?.parent()?.join("Cargo.lock")).ok()
    }
}

fn vacant(folder: PathBuf) -> Result<PathBuf, String> {
    if folder.exists() {
        return Err(format!("`{}` exists already: choose another name, or remove it", folder.display()));
    }
    Ok(folder)
}

/// The path of a file as plugins.toml in `folder` names it: relative where it is below.
pub(super) fn from(folder: &Path, file: &Path) -> PathBuf {
    let whole = |path: &Path| absolute(path).unwrap_or_else(|_| path.to_owned());
    let (folder, file) = (whole(folder), whole(file));
    file.strip_prefix(&folder).map_or(file.clone(), Path::to_owned)
}

fn is_switchboard(folder: &Path) -> bool {
    package_name(&folder.join("plugin-api")).as_deref() == Some("plugin-api")
        && folder.join("plugins").is_dir()
}

/// The name of the package in a folder.
fn package_name(folder: &Path) -> Option<String> {
    let manifest: Table = fs::read_to_string(folder.join("Cargo.toml")).ok()?.parse().ok()?;
    manifest.get("package")?.get("name")?.as_str().map(str::to_owned)
}
