//! The integration tests: one binary, a file a subject. `cargo test -p switchboard-tests -- health` runs those of one.

fn main() {
    let tests = [].concat();
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), tests).exit();
}
