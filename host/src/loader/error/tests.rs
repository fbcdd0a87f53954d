//! Every way in which a library is refused, with what to do about it.

use expect_test::expect;

use super::*;

fn every_error() -> Vec<LoadError> {
    let path = || PathBuf::from("/opt/plugins/libmail.so");
    let system = |kind: io::ErrorKind| io::Error::from(kind);
    let text = |text: &str| text.to_owned();
    vec![
        LoadError::Missing(path()),
        LoadError::Unreadable(path(), system(io::ErrorKind::PermissionDenied)),
        LoadError::Unreadable(path(), system(io::ErrorKind::IsADirectory)),
        LoadError::Unreadable(path(), system(io::ErrorKind::StaleNetworkFileHandle)),
        LoadError::NoThread(path(), system(io::ErrorKind::WouldBlock)),
        LoadError::NotALibrary(path(), "a text file"),
        LoadError::Truncated { path: path(), found: 10, needed: 20 },
        LoadError::Processor { path: path(), found: text("aarch64"), host: "x86_64" },
        LoadError::Linker(path(), Obstacle::NoExecution),
        LoadError::Linker(path(), Obstacle::NoPermission),
        LoadError::NoSymbol(path(), "switchboard_preamble"),
        LoadError::NotOurs(path()),
        LoadError::AbiVersion { path: path(), plugin: 0, host: 1 },
        LoadError::Target {
            path: path(),
            plugin: text("x86_64-unknown-linux-musl"),
            host: text("x86_64-unknown-linux-gnu"),
        },
        LoadError::PanicStrategy { path: path(), plugin: text("abort") },
        LoadError::NoManifest(path(), text("EOF while parsing a value")),
        LoadError::BadManifest(path(), vec![text("`mail` depends on itself")]),
        LoadError::Layout {
            path: path(),
            plugin: text("rustc 1.80"),
            host: "rustc 1.90",
            difference: String::new(),
        },
        LoadError::Hangs(path(), Duration::from_secs(10)),
    ]
}

/// A fix for each: what it says has to bring the library in.
#[test]
fn every_refusal_says_what_mends_it() {
    let lines = every_error().into_iter().map(|error| format!("{error}\n    {}", error.fix()));
    expect![[r#"
        `/opt/plugins/libmail.so` does not exist: build it with `cargo build`, or correct `library` or `library_dir`
            Build `/opt/plugins/libmail.so`, or correct `library` or `library_dir`; then reload
        `/opt/plugins/libmail.so` cannot be read: permission denied
            Let the user of this process read `/opt/plugins/libmail.so` and its folders, then reload
        `/opt/plugins/libmail.so` cannot be read: is a directory
            Name the library in `/opt/plugins/libmail.so`, not the folder; then reload
        `/opt/plugins/libmail.so` cannot be read: stale network file handle
            Check the disk and the folder of `/opt/plugins/libmail.so`, then reload
        `/opt/plugins/libmail.so` cannot be opened: no thread can be started: operation would block
            Raise the limits of processes and memory of this host, then restart it
        `/opt/plugins/libmail.so` is not a dynamic library, but a text file: point `library` at a built plugin
            Put a built plugin at `/opt/plugins/libmail.so`, or correct `library`; then reload
        `/opt/plugins/libmail.so` is truncated: it has 10 bytes and needs 20: build or copy it again
            Build or copy `/opt/plugins/libmail.so` again, then reload
        `/opt/plugins/libmail.so` is a library for aarch64, this host runs on x86_64: build it for this machine
            Build the library for x86_64, then reload
        `/opt/plugins/libmail.so` cannot be opened: the system does not let it run from there: is its file system mounted with `noexec`?
            Mount the file system of `/opt/plugins` without `noexec`, or set `library_dir` to a folder on another; then reload
        `/opt/plugins/libmail.so` cannot be opened: this process may not read it, or a library that it needs
            Let the user of this process read `/opt/plugins/libmail.so` and the libraries that it needs, then reload
        `/opt/plugins/libmail.so` is not a Switchboard plugin: it has no symbol `switchboard_preamble`: end its lib.rs with `plugin_api::export_plugin!`
            Name the library of a plugin, or end its lib.rs with `export_plugin!` and build it; then restart the host
        `/opt/plugins/libmail.so` is not a Switchboard plugin: its preamble does not begin with the marker
            Put a built plugin at `/opt/plugins/libmail.so`, or correct `library`; then restart the host
        `/opt/plugins/libmail.so` speaks plugin ABI 0, this host speaks 1: rebuild it with the plugin-api of this host
            Rebuild the library with the plugin-api of this host, then restart the host
        `/opt/plugins/libmail.so` was built for x86_64-unknown-linux-musl, this host runs on x86_64-unknown-linux-gnu: build it for x86_64-unknown-linux-gnu
            Build the library for x86_64-unknown-linux-gnu, then restart the host
        `/opt/plugins/libmail.so` was built with `panic = "abort"`, this host needs `panic = "unwind"` to contain panics: remove `panic` from the profile that builds it
            Rebuild the library without `panic` in its profile, then restart the host
        `/opt/plugins/libmail.so` gives no manifest: EOF while parsing a value
            Correct what the plugin declares and rebuild the library, then restart the host
        `/opt/plugins/libmail.so` has a manifest that cannot be used: `mail` depends on itself
            Correct what the plugin declares and rebuild the library, then restart the host
        `/opt/plugins/libmail.so` (built by rustc 1.80) has a different boundary layout than this host (built by rustc 1.90): rebuild both from one lock file; `--verbose` shows the difference
            Rebuild the library and the host from one lock file, then restart the host
        `/opt/plugins/libmail.so` does not finish loading within 10s: its initialisers block
            Replace the library with one that loads, then restart the host"#]].assert_eq(&lines.collect::<Vec<_>>().join("\n"));
}

/// Only what the linker never mapped may be opened again in this process.
#[test]
fn a_fix_that_ends_in_a_reload_is_tried_again_by_it() {
    for error in every_error() {
        let restarts = error.fix().contains("restart") && !matches!(error, LoadError::NoThread(..));
        assert_eq!(error.may_be_tried_again(), !restarts, "{error}: {}", error.fix());
    }
}
