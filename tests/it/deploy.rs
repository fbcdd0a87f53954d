//! What stands in host/deploy: the layout is installed and run, units and manifests are judged by their own tools, and the
//! production plugins.toml names everything there is.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::Value;
use switchboard_tests::{
    Setup,
    artifacts::{artifacts, repository, shipped_plugins},
    http,
    partners::{
        deploy::{kubernetes_validate, systemd_analyze},
        promtool,
    },
    process::{Finished, Process},
    trial::Outcome,
    trials,
    wait::{LIMIT, wait_until},
};
use tempfile::TempDir;

use crate::shipped;

pub fn tests() -> Vec<Trial> {
    trials![
        the_layout_is_installed_runs_and_is_upgraded,
        what_is_installed_can_be_read_by_the_service_whatever_the_umask,
        an_incomplete_build_is_not_installed,
        the_unit_is_sound_and_gives_little_away,
        the_service_manager_is_told,
        the_manifests_fit_their_schemas,
        prometheus_is_told_how_to_ask,
        the_image_is_built_from_what_is_there,
        a_container_is_sick_when_its_host_does_not_answer,
        who_takes_values_literally_is_named,
        the_production_configuration_names_every_setting,
        every_line_of_the_production_configuration_can_be_set,
        the_production_configuration_tells_the_true_defaults,
        the_production_configuration_allows_what_ships,
    ]
}

fn deploy(path: &str) -> PathBuf {
    repository().join("host/deploy").join(path)
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Installs the build of this test below a folder.
fn install(prefix: &Path) -> Output {
    let binary = artifacts().binary();
    let folder = binary.parent().expect("it stands in a folder");
    let mut command = Command::new(deploy("install"));
    command.arg("--from").arg(folder).arg(prefix).output().expect("bash is there")
}

#[track_caller]
fn installed(prefix: &Path) -> String {
    let output = install(prefix);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// The installed command, with nothing of the test's environment.
fn command(prefix: &Path, arguments: &[&str]) -> Process {
    let mut command = Command::new(prefix.join("bin/switchboard"));
    command.env_clear().env("SWITCHBOARD_LISTEN", "127.0.0.1:0");
    command.arg("--config").arg(prefix.join("etc/switchboard/plugins.toml")).args(arguments);
    Process::start(&mut command, prefix, arguments[0]).expect("it was installed")
}

#[track_caller]
fn ends_well(finished: Finished) -> String {
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished.stdout
}

fn the_layout_is_installed_runs_and_is_upgraded() {
    let folder = TempDir::new().expect("a folder");
    let prefix = folder.path().join("a prefix");
    let told = installed(&prefix);
    assert!(told.starts_with(&format!("installed switchboard {}", env!("CARGO_PKG_VERSION"))), "{told}");
    ends_well(command(&prefix, &["check"]).wait());

    let mut host = command(&prefix, &["run"]);
    let run = prefix.join("var/lib/switchboard/run.json");
    let address = wait_until("the host to serve", || address(&run), Option::is_some).expect("it serves");
    wait_until("it to be ready", || status(&address, "/readyz"), |status| *status == Some(200));
    let health = http::request(&address, "GET", "/api/health/connections", &[], None).expect("it answers");
    let database = &health.json()["integrations"]["database"];
    assert_eq!(database["status"], "connected", "{database:#}");
    let plugins = |kind: &str| health.json()[kind].as_object().expect("plugins").clone();
    for (name, plugin) in plugins("integrations").into_iter().chain(plugins("services")) {
        assert_ne!(plugin["status"], "error", "{name}: {plugin:#}");
    }

    // An upgrade, under the running host: what the operator wrote stays, and what is gone goes.
    let config = prefix.join("etc/switchboard/plugins.toml");
    fs::write(&config, format!("{}\n# mine\n", read(&config))).expect("a file can be written");
    let libraries = prefix.join("lib/switchboard");
    fs::write(libraries.join("installed.txt"), "switchboard\nlibgone.so\n").expect("a file can be written");
    for library in ["libgone.so", "libmine.so"] {
        fs::write(libraries.join(library), "").expect("a file can be written");
    }
    let told = installed(&prefix);
    assert!(told.contains(&format!("kept {}", config.display())), "{told}");
    assert!(read(&config).ends_with("\n# mine\n"));
    assert!(read(prefix.join("etc/switchboard/plugins.toml.dist")).contains(&prefix.display().to_string()));
    assert!(!libraries.join("libgone.so").exists(), "an earlier version's");
    assert!(libraries.join("libmine.so").exists(), "the operator's");
    assert_eq!(status(&address, "/readyz"), Some(200), "the host goes on with what it has open");
    host.signal(Signal::TERM);
    ends_well(host.wait());
    ends_well(command(&prefix, &["check", "--connect"]).wait());
}

/// Its user is another one than who installs it.
fn what_is_installed_can_be_read_by_the_service_whatever_the_umask() {
    let folder = TempDir::new().expect("a folder");
    let prefix = folder.path().join("prefix");
    let binary = artifacts().binary();
    let from = binary.parent().expect("it stands in a folder");
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 077 && exec \"$0\" --from \"$1\" \"$2\""]);
    let output = shell.arg(deploy("install")).arg(from).arg(&prefix).output().expect("sh is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mode = |path: &str| {
        let metadata = fs::metadata(prefix.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        metadata.permissions().mode() & 0o777
    };
    for folder in ["", "bin", "lib/switchboard", "etc/switchboard", "lib/systemd/system", "var", "var/lib"] {
        assert_eq!(mode(folder), 0o755, "{folder}");
    }
    for file in ["etc/switchboard/plugins.toml", "lib/switchboard/installed.txt"] {
        assert_eq!(mode(file), 0o644, "{file}");
    }
    assert_eq!(mode("lib/switchboard/switchboard"), 0o755);
    assert_eq!(mode("var/lib/switchboard"), 0o700, "what the host keeps is nobody else's");
}

fn address(run: &Path) -> Option<String> {
    let run: Value = serde_json::from_str(&fs::read_to_string(run).ok()?).ok()?;
    run["address"].as_str().map(str::to_owned)
}

fn status(address: &str, path: &str) -> Option<u16> {
    http::request(address, "GET", path, &[], None).ok().map(|response| response.status)
}

fn an_incomplete_build_is_not_installed() {
    let folder = TempDir::new().expect("a folder");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(deploy("install"));
        command.args(arguments).current_dir(folder.path()).output().expect("bash is there")
    };
    let output = run(&["--from", "nothing", "prefix"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(told, "error: nothing has no switchboard; build it first: cargo build --workspace\n");
    assert!(!folder.path().join("prefix").exists(), "nothing is half installed");
    assert_eq!(run(&["--unknown", "prefix"]).status.code(), Some(2));
    assert_eq!(run(&[]).status.code(), Some(2));
}

fn the_unit_is_sound_and_gives_little_away() -> Outcome {
    let folder = TempDir::new().expect("a folder");
    let prefix = folder.path().join("prefix");
    installed(&prefix);
    let unit = prefix.join("lib/systemd/system/switchboard.service");
    let verified = systemd_analyze(&["verify"], &unit)?;
    let complaints = String::from_utf8_lossy(&verified.stderr).into_owned();
    let ours: Vec<&str> = complaints.lines().filter(|line| line.contains("switchboard")).collect();
    assert!(verified.status.success() && ours.is_empty(), "{complaints}");
    // What it exits with is what `systemctl reload` says: it must be the command, which knows, and no signal.
    let config = prefix.join("etc/switchboard/plugins.toml");
    let reload =
        format!("\nExecReload={}/bin/switchboard --config {} reload\n", prefix.display(), config.display());
    assert!(read(&unit).contains(&reload), "{}", read(&unit));
    // 100 is no protection at all; what is left is the network.
    let exposed = systemd_analyze(&["security", "--offline=true", "--threshold=20"], &unit)?;
    assert!(exposed.status.success(), "{}", String::from_utf8_lossy(&exposed.stdout));
    Ok(())
}

/// What the service manager hears next.
#[track_caller]
fn hears(socket: &UnixDatagram, what: &str) -> String {
    let mut heard = Vec::new();
    let mut bytes = [0; 1024];
    loop {
        let length =
            socket.recv(&mut bytes).unwrap_or_else(|error| panic!("no {what} ({error}) after {heard:?}"));
        let message = String::from_utf8_lossy(&bytes[..length]).into_owned();
        if message.lines().any(|line| line == what) {
            return message;
        }
        heard.push(message);
    }
}

fn the_service_manager_is_told() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket can be made");
    socket.set_read_timeout(Some(LIMIT)).expect("a limit can be set");
    let slow = "[plugins.faulty]\nsettings = { init = { slow_ms = 1500 } }\n";
    let mut host = Setup::new(slow)
        .env("NOTIFY_SOCKET", &path.display().to_string())
        .env("WATCHDOG_USEC", "200000")
        .start();
    hears(&socket, "READY=1");
    assert_eq!(host.get("/readyz").status, 200, "not before it is ready");
    for _ in 0..3 {
        hears(&socket, "WATCHDOG=1");
    }
    host.process().signal(Signal::HUP);
    let reloading = hears(&socket, "RELOADING=1");
    assert!(reloading.contains("\nMONOTONIC_USEC="), "{reloading}");
    hears(&socket, "READY=1");
    host.process().signal(Signal::TERM);
    hears(&socket, "STOPPING=1");
    assert_eq!(host.wait().0.code, Some(0));
    // Nobody is told anything more.
    socket.set_read_timeout(Some(Duration::from_millis(1))).expect("a limit can be set");
    let mut bytes = [0; 64];
    while let Ok(length) = socket.recv(&mut bytes) {
        assert_eq!(&bytes[..length], b"WATCHDOG=1\n");
    }
}

fn the_manifests_fit_their_schemas() -> Outcome {
    let all = fs::read_dir(deploy("kubernetes")).expect("there are manifests");
    let all = all.map(|entry| entry.expect("a folder can be read").path());
    // kustomize's own file has no schema of Kubernetes; what it names is looked at below.
    let (ours, manifests): (Vec<_>, Vec<_>) = all.partition(|path| path.ends_with("kustomization.yaml"));
    let judged = kubernetes_validate(&manifests)?;
    let told =
        format!("{}{}", String::from_utf8_lossy(&judged.stdout), String::from_utf8_lossy(&judged.stderr));
    assert!(judged.status.success(), "{told}");
    assert_eq!(told.matches(" passed for resource ").count(), manifests.len(), "{told}");
    let kustomization = read(&ours[0]);
    let named = kustomization.lines().filter_map(|line| line.trim().strip_prefix("- ")?.split_once(".yaml"));
    for (name, _) in named {
        assert!(deploy("kubernetes").join(format!("{name}.yaml")).is_file(), "{name}");
    }
    let deployment = read(deploy("kubernetes/deployment.yaml"));
    for part in ["path: /livez", "path: /readyz", "replicas: 2", "secretRef:", "preStop:"] {
        assert!(deployment.contains(part), "the deployment has no `{part}`");
    }
    // Everybody may write into an emptyDir: the doctor would find fault with it.
    let volume = deployment.lines().find_map(|line| line.trim().strip_prefix("mountPath: "));
    let volume = Path::new(volume.expect("there is a volume"));
    let data: toml::Table = read(deploy("plugins.toml")).parse().expect("it is TOML");
    let data = Path::new(data["host"]["data_dir"].as_str().expect("a path"));
    assert!(data != volume && data.starts_with(volume), "the host makes {data:?} itself, below {volume:?}");
    assert!(!deployment.contains("prometheus.io/"), "such a scrape has no token");
    for variable in ["DATABASE_URL", "SWITCHBOARD_TOKEN", "SWITCHBOARD_SECRET_KEY"] {
        assert!(
            read(deploy("kubernetes/secret.example.yaml")).contains(&format!("  {variable}: ")),
            "{variable}"
        );
    }
    Ok(())
}

fn prometheus_is_told_how_to_ask() -> Outcome {
    let readme = read(deploy("README.md"));
    let (_, job) = readme.split_once("```yaml\n").expect("it shows a job");
    let (job, _) = job.split_once("```").expect("which ends");
    assert!(job.contains("credentials_file: "), "metrics demand the operator's token: {job}");
    // Debian's promtool is built without Kubernetes.
    let job: String = job
        .lines()
        .filter(|line| !line.contains("kubernetes_sd_configs: "))
        .map(|line| format!("{line}\n"))
        .collect();
    let judged = promtool::config(&job)?;
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stderr));
    Ok(())
}

/// An outage of what it needs makes no container sick, for that may restart it.
fn a_container_is_sick_when_its_host_does_not_answer() {
    let image = read(deploy("Dockerfile"));
    let check = image.lines().find(|line| line.starts_with("HEALTHCHECK ")).expect("there is one");
    let (_, check) = check.split_once(" CMD ").expect("it runs a command");
    let is_well = |code: i32| {
        let script = format!("switchboard() {{ return {code}; }}\n{check}");
        Command::new("sh").args(["-c", &script]).status().expect("sh is there").success()
    };
    // Healthy, degraded, unhealthy; unreachable, refused.
    assert_eq!([0, 1, 2, 3, 64].map(is_well), [true, true, true, false, false], "{check}");
}

/// The host takes quotes in `.env` away; others keep them.
fn who_takes_values_literally_is_named() {
    for file in ["README.md", "Dockerfile", "kubernetes/secret.example.yaml"] {
        let text = read(deploy(file));
        let (uses, warnings) = (text.matches("env-file").count(), text.matches("literally").count());
        assert_eq!(
            uses, warnings,
            "{file} hands `.env` to others, and does not say what they make of quotes"
        );
    }
}

/// No engine builds images here; that the parts fit together can be seen.
fn the_image_is_built_from_what_is_there() {
    let image = read(deploy("Dockerfile"));
    let workspace: toml::Table = read(repository().join("Cargo.toml")).parse().expect("it is TOML");
    let least = workspace["workspace"]["package"]["rust-version"].as_str().expect("a version").to_owned();
    let rust = image.lines().find_map(|line| line.strip_prefix("FROM rust:")).expect("it builds");
    let version = |text: &str| text.split(['.', '-']).nth(1).and_then(|minor| minor.parse::<u32>().ok());
    assert!(version(rust) >= version(&least), "the image builds by {rust}, and the workspace wants {least}");
    for part in ["host/deploy/install --from target/release", "\nUSER ", "COPY --from=build /opt/switchboard"]
    {
        assert!(image.contains(part), "the Dockerfile has no `{part}`");
    }
    let ignored = read(repository().join(".dockerignore"));
    for folder in [".git", "target", ".env", "data"] {
        assert!(ignored.lines().any(|line| line == folder), ".dockerignore lets `{folder}` in");
    }
}

/// The production configuration, with its own folder for data instead of the system's.
fn production() -> String {
    read(deploy("plugins.toml")).replace("/var/lib/switchboard", "data")
}

/// The lines of each section, by the section's name.
fn sections(text: &str) -> Vec<(String, Vec<&str>)> {
    let mut sections = vec![(String::new(), Vec::new())];
    for line in text.lines() {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(name) => sections.push((name.to_owned(), Vec::new())),
            None => sections.last_mut().expect("there is one").1.push(line),
        }
    }
    sections
}

/// `key = value`, set or commented out.
fn setting(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.trim_start_matches("# ").split_once(" = ")?;
    let is_key = key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    is_key.then_some((key, value))
}

/// The JSON Schema of the production configuration.
fn schema() -> Value {
    let text = ends_well(Setup::new(&production()).command(&["schema"]));
    serde_json::from_str(&text).expect("it prints JSON")
}

/// The properties of a node, through references and combinations.
fn properties(schema: &Value, node: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    if let Some(reference) = node["$ref"].as_str() {
        let target = schema.pointer(reference.trim_start_matches('#')).expect("a reference leads somewhere");
        found.extend(properties(schema, target));
    }
    for part in ["allOf", "anyOf"].iter().filter_map(|key| node[key].as_array()).flatten() {
        found.extend(properties(schema, part));
    }
    found.extend(
        node["properties"].as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())),
    );
    found
}

/// Each section that the schema knows, with its keys: of the host, of a plugin, and of each plugin's settings.
fn known(schema: &Value) -> Vec<(String, Vec<(String, Value)>)> {
    let of = |properties: &[(String, Value)], key: &str| {
        let mut found = properties.iter().filter(|(name, _)| name == key).map(|(_, value)| value.clone());
        found.next_back().unwrap_or_else(|| panic!("the schema has no `{key}`"))
    };
    let root = properties(schema, schema);
    let host = properties(schema, &of(&root, "host"));
    let log = properties(schema, &of(&host, "log"));
    let plugins = properties(schema, &of(&root, "plugins"));
    let mut known = vec![("host".to_owned(), host), ("host.log".to_owned(), log)];
    for (name, plugin) in &plugins {
        let keys = properties(schema, plugin);
        let settings = properties(schema, &of(&keys, "settings"));
        for (key, setting) in &settings {
            let inner = properties(schema, setting);
            known.extend((!inner.is_empty()).then(|| (format!("plugins.{name}.settings.{key}"), inner)));
        }
        known.push((format!("plugins.{name}.settings"), settings));
        // The keys of any plugin are explained once; who may call its operations about people, where there are some.
        let explained = |key: &str| match name.as_str() {
            "database" => key != "callers",
            "memory_service" => key == "callers",
            _ => false,
        };
        let keys: Vec<_> = keys.into_iter().filter(|(key, _)| explained(key)).collect();
        known.extend((!keys.is_empty()).then(|| (format!("plugins.{name}"), keys)));
    }
    known
}

fn the_production_configuration_names_every_setting() {
    let (text, schema) = (production(), schema());
    let sections = sections(&text);
    let known = known(&schema);
    for name in shipped_plugins() {
        let section = format!("plugins.{name}.settings");
        let keys = known.iter().find(|(known, _)| *known == section);
        assert!(keys.is_some(), "host/deploy/plugins.toml does not name `{name}`: add [plugins.{name}]");
    }
    for (section, keys) in &known {
        let lines = sections.iter().filter(|(name, _)| name == section).flat_map(|(_, lines)| lines);
        let named: Vec<&str> = lines.filter_map(|line| setting(line)).map(|(key, _)| key).collect();
        for (key, _) in keys {
            let is_section = sections.iter().any(|(name, _)| *name == format!("{section}.{key}"));
            assert!(
                is_section || named.contains(&key.as_str()),
                "host/deploy/plugins.toml does not explain `{key}` in [{section}]: name it there, commented out"
            );
        }
        for key in named {
            assert!(keys.iter().any(|(known, _)| known == key), "[{section}] has no key `{key}` any more");
        }
    }
}

/// With the `#` taken away everywhere it is still a configuration.
fn every_line_of_the_production_configuration_can_be_set() {
    ends_well(Setup::new(&production()).command(&["check"]));
    let text = production();
    let set = text.lines().map(|line| match line.strip_prefix("# ").and_then(setting) {
        // These would need a file of the machine.
        Some(("token_file" | "library_dir", _)) | None => line.to_owned(),
        Some(_) => line.trim_start_matches("# ").to_owned(),
    });
    let all: String = set.map(|line| line + "\n").collect();
    let setup = Setup::new(&all).env("SWITCHBOARD_TOKEN", "a-token-for-the-operator");
    ends_well(setup.command(&["check"]));
}

fn the_production_configuration_tells_the_true_defaults() {
    let (text, schema) = (production(), schema());
    let sections = sections(&text);
    let mut compared = 0;
    for (section, keys) in known(&schema) {
        let lines = sections.iter().filter(|(name, _)| *name == section).flat_map(|(_, lines)| lines);
        for line in lines.filter(|line| line.starts_with("# ")) {
            let Some((key, value)) = setting(line) else { continue };
            let default =
                keys.iter().find(|(known, _)| known == key).and_then(|(_, schema)| schema.get("default"));
            // What the section of a plugin shows is not all its own; nor is nothing a value to show.
            let Some(default) = default.filter(|default| default.is_number() || default.is_string()) else {
                continue;
            };
            let shown = value.split(" #").next().unwrap_or_default().trim().trim_matches('"');
            let expected = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
            assert_eq!(
                comparable(shown),
                comparable(&expected),
                "`{key}` in [{section}] of host/deploy/plugins.toml"
            );
            compared += 1;
        }
    }
    assert!(compared > 10, "only {compared} defaults were found");
}

/// Who may reach which tool, and how long calls may take, is the same in both.
fn the_production_configuration_allows_what_ships() {
    let plugins = |text: &str| {
        let table: toml::Table = text.parse().expect("it is TOML");
        table["plugins"].as_table().expect("it names plugins").clone()
    };
    let (production, shipped) = (plugins(&production()), plugins(&shipped::text()));
    assert_eq!(production.keys().collect::<Vec<_>>(), shipped.keys().collect::<Vec<_>>());
    for (name, plugin) in &shipped {
        for key in ["tools", "approve", "calls", "required"] {
            assert_eq!(production[name].get(key), plugin.get(key), "`{key}` of [plugins.{name}]");
        }
    }
}

/// A time as its milliseconds: `5m` and `300s` are the same.
fn comparable(value: &str) -> String {
    let (number, unit) =
        value.split_at(value.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(value.len()));
    let factor = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return value.to_owned(),
    };
    number.parse::<u64>().map_or(value.to_owned(), |number| format!("{} ms", number * factor))
}
