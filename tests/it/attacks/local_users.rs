//! Other users of the machine: they read files, and listen where a host did.

use std::{
    fs::{self, File, Permissions},
    io::ErrorKind,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use libtest_mimic::Trial;
use switchboard_tests::{Setup, trials};

pub fn tests() -> Vec<Trial> {
    trials![a_stranger_at_the_address_of_a_killed_host_is_sent_nothing, what_is_kept_is_closed_to_other_users]
}

const TOKEN: &str = "correct-horse-battery-staple";

/// After a kill anybody may listen where the host did.
fn a_stranger_at_the_address_of_a_killed_host_is_sent_nothing() {
    let host = Setup::new("[plugins.faulty]\n").env("SWITCHBOARD_TOKEN", TOKEN).start();
    host.wait_until_ready();
    let address = host.address().to_owned();
    let setup = host.kill();
    assert!(setup.path("data/run.json").exists(), "it was killed");
    let stranger = TcpListener::bind(&address).expect("the port is free");
    stranger.set_nonblocking(true).expect("it need not wait");
    let asks = || {
        let called = setup.command(&["call", "faulty.echo", "{}"]);
        assert_eq!(called.code, Some(3), "{called:?}");
        assert!(called.stderr.contains("no host runs in"), "{called:?}");
        let came = stranger.accept().map(drop).map_err(|error| error.kind());
        assert_eq!(came, Err(ErrorKind::WouldBlock), "nobody connected");
    };
    asks();
    // The next host is about to start.
    let lock = File::open(setup.path("data/lock")).expect("it is left");
    lock.lock().expect("nobody holds it");
    asks();
}

fn what_is_kept_is_closed_to_other_users() {
    let setup = Setup::new("[plugins.database]\n").file("data/of_an_earlier_version/call.wav", "hush");
    let set = |path: &str, mode| {
        fs::set_permissions(setup.path(path), Permissions::from_mode(mode)).expect("it is ours");
    };
    set("data", 0o777);
    set("data/of_an_earlier_version/call.wav", 0o666);
    let host = setup.start();
    host.wait_for_status("database", "connected");
    host.wait_for_output("they cannot any more");
    let mut folders = vec![host.setup().path("data")];
    let mut names = Vec::new();
    while let Some(folder) = folders.pop() {
        is_closed(&folder);
        for entry in fs::read_dir(&folder).expect("it is ours") {
            let path = entry.expect("it can be listed").path();
            is_closed(&path);
            names.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    for name in ["switchboard.db", "run.json", "lock", "call.wav"] {
        assert!(names.iter().any(|found| found == name), "{name}: {names:?}");
    }
}

#[track_caller]
fn is_closed(path: &Path) {
    let mode = fs::metadata(path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
}
