//! A panic becomes a record of the log, and neither it nor the log can end the process, whatever the log goes to. The test
//! runs itself again as another process, whose panic it is.

use std::{
    env,
    fs::{self, File, OpenOptions},
    process::{Command, Stdio},
    thread,
};

use switchboard::{
    app::{log, output},
    config::{self, Environment},
    scrub::Scrubber,
};
use tempfile::TempDir;

const NAME: &str = "a_panic_is_a_record_of_the_log_whatever_the_log_goes_to";
/// Set for the other process: its folder.
const OTHER: &str = "SWITCHBOARD_TEST_FOLDER";

#[test]
fn a_panic_is_a_record_of_the_log_whatever_the_log_goes_to() {
    if let Some(folder) = env::var_os(OTHER) {
        return panic_with_a_log(folder.as_ref());
    }
    let folder = TempDir::new().expect("a folder can be made");
    let path = folder.path().join("stderr");
    run(&folder, File::create(&path).expect("a file can be made"));
    let log = fs::read_to_string(&path).expect("the log can be read");
    assert!(log.contains("panicked: with a [secret]") && log.contains("panics.rs:"), "{log}");
    assert!(!log.contains("RUST_BACKTRACE"), "the standard library says nothing of its own: {log}");

    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    drop(reader);
    run(&folder, writer);
    run(&folder, OpenOptions::new().write(true).open("/dev/full").expect("Linux has it"));
}

/// The other process ends well.
#[track_caller]
fn run(folder: &TempDir, stderr: impl Into<Stdio>) {
    let mut command = Command::new(env::current_exe().expect("this test is a program"));
    command.args(["--exact", NAME, "--nocapture"]).env(OTHER, folder.path());
    let ended = command.stderr(stderr.into()).output().expect("it can be started");
    assert!(ended.status.success(), "{ended:?}");
}

fn panic_with_a_log(folder: &std::path::Path) {
    let path = folder.join("plugins.toml");
    fs::write(&path, "[plugins]\n").expect("a file can be written");
    let config = config::load(&path, &Environment::from_pairs::<String, String>([]))
        .unwrap_or_else(|problems| panic!("{problems}"));
    let scrubber = Scrubber::default();
    scrubber.add(["correct-horse".to_owned()]);
    log::install(&config.host, &scrubber);
    let panicked = thread::spawn(|| panic!("with a correct-horse")).join();
    assert!(panicked.is_err());
    output::finish();
}
