//! Commands become what they print, typed one after another into one shell that is a newcomer's: its own home, and
//! nothing of the test's environment but where the tools are.

use std::{
    env,
    fs::{self, File},
    io::Write,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::{artifacts::artifacts, wait::poll};

/// How long one block may take: it may build what was never built before, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(1500);

/// A shell that ends with the first command that fails. Its processes end with it.
pub struct Shell {
    child: Child,
    output: PathBuf,
    typed: usize,
}

impl Shell {
    /// A shell in a folder, with this home and these variables.
    pub fn new(folder: &Path, home: &Path, variables: &[(&str, &str)]) -> Self {
        let output = home.join("output.txt");
        let file = File::create(&output).expect("a file can be made");
        let errors = file.try_clone().expect("a file can be shared");
        let mut command = Command::new("bash");
        command.args(["-e", "-s"]).current_dir(folder).env_clear().env("HOME", home);
        command.envs(tools()).envs(variables.iter().copied());
        command.stdin(Stdio::piped()).stdout(file).stderr(errors).process_group(0);
        Self { child: command.spawn().expect("bash is there"), output, typed: 0 }
    }

    /// Types a block and waits until it is done; gives everything that was printed so far.
    ///
    /// # Panics
    /// If a command fails, with everything that was printed.
    #[track_caller]
    pub fn type_in(&mut self, block: &str) -> String {
        self.typed += 1;
        let done = format!("-- block {} is done", self.typed);
        let input = self.child.stdin.as_mut().expect("its input is a pipe");
        // A shell that has ended takes no more; that is seen below.
        let _ = writeln!(input, "{block}\necho '{done}'");
        let (child, output) = (&mut self.child, &self.output);
        let ask = || (child.try_wait().expect("a child can be waited for"), read(output));
        let seen = poll(PATIENCE, ask, |(end, output)| end.is_some() || output.contains(&done));
        match seen {
            Ok((None, output)) => output,
            Ok((end, output)) if output.contains(&done) && end.is_some_and(|end| end.success()) => output,
            Ok((end, output)) => panic!("the shell ended ({end:?}) in\n{block}\n{output}"),
            Err((_, output)) => panic!("waited {PATIENCE:?} for\n{block}\n{output}"),
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // All may have ended already.
        let _ = group.map(|group| kill_process_group(group, Signal::KILL));
        let _ = self.child.wait();
    }
}

/// Where the tools are, and how cargo was told to get crates; it gets none anew.
fn tools() -> Vec<(String, String)> {
    let of_this_test = |name: &str| {
        let those = ["PKG_", "MANIFEST_", "BIN_", "CRATE_", "PRIMARY_", "TARGET_", "MAKEFLAGS"];
        name.strip_prefix("CARGO_").is_some_and(|rest| those.iter().any(|prefix| rest.starts_with(prefix)))
    };
    let kept = |name: &str| name.starts_with("CARGO_") || name.starts_with("RUSTUP_");
    let mut variables: Vec<_> = env::vars().filter(|(name, _)| kept(name) && !of_this_test(name)).collect();
    let home = PathBuf::from(env::var_os("HOME").unwrap_or_default());
    for (variable, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        if env::var_os(variable).is_none() && home.join(folder).is_dir() {
            variables.push((variable.to_owned(), home.join(folder).display().to_string()));
        }
    }
    let binaries =
        artifacts().binary().parent().map(|folder| folder.display().to_string()).unwrap_or_default();
    let path = format!("{binaries}:{}", env::var("PATH").unwrap_or_default());
    variables.extend([("PATH".to_owned(), path), ("CARGO_NET_OFFLINE".to_owned(), "true".to_owned())]);
    variables
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
