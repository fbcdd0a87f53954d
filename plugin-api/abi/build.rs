//! Hands the compiler's version and the target to the crate, which every plugin then carries in its preamble.

use std::{env, process::Command};

fn main() {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = Command::new(rustc)
        .arg("--version")
        .output()
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .unwrap_or_else(|| "rustc, version unknown".to_owned());
    println!("cargo:rustc-env=SWITCHBOARD_RUSTC={}", version.trim());
    println!("cargo:rustc-env=SWITCHBOARD_TARGET={}", env::var("TARGET").unwrap_or_default());
    println!("cargo:rerun-if-changed=build.rs");
}
