//! Judges of what is deployed: systemd's own of units, and Kubernetes' schemas of manifests (the package
//! `kubernetes-validate`, which brings them along).

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::{Missing, program, python};

/// `systemd-analyze`, with these arguments.
///
/// # Errors
/// If it is not there.
pub fn systemd_analyze(arguments: &[&str], unit: &Path) -> Result<Output, Missing> {
    let program = program("systemd-analyze", &[])?;
    Ok(Command::new(program).args(arguments).arg(unit).output().expect("it can be started"))
}

/// The judgement of manifests, each against the schema of its kind; unknown keys count as wrong.
///
/// # Errors
/// If Python or the package is not there.
pub fn kubernetes_validate(manifests: &[PathBuf]) -> Result<Output, Missing> {
    let tool = python()?.with_file_name("kubernetes-validate");
    if !tool.is_file() {
        return Err(Missing::of("the Python package `kubernetes-validate`"));
    }
    Ok(Command::new(tool).arg("--strict").args(manifests).output().expect("it can be started"))
}
