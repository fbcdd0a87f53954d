//! The house rules that a compiler does not know. Each says how to mend what it found.

mod circles;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use circles::{circles_of_imports_are_found, imports_lead_one_way};
use libtest_mimic::Trial;
use switchboard_tests::{
    artifacts::{repository, shipped_plugins},
    trials,
};

pub fn tests() -> Vec<Trial> {
    trials![
        every_file_says_what_it_is,
        modules_are_files_with_names,
        nothing_is_left_to_be_done,
        the_host_uses_only_modules_above,
        imports_lead_one_way,
        circles_of_imports_are_found,
        what_knows_what,
        a_running_host_writes_by_its_outputs_alone,
        long_lived_tasks_are_watched,
        loops_of_plugins_are_watched,
        no_field_of_a_log_record_is_named_message,
        unsafe_stays_where_it_is,
        every_plugin_has_the_same_files,
        the_top_level_stays_small,
        the_boundary_stays_at_its_version,
        every_entry_of_the_fuzzers_has_its_target,
        the_readme_stays_short,
        links_between_pages_lead_somewhere,
        the_architecture_names_files_that_exist,
        pages_are_in_plain_words,
        comments_are_in_plain_words,
    ]
}

/// A tracked Rust file: its path in the repository, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// Lines with their numbers, without comments; an import that spans several lines is one.
    fn code(&self) -> Vec<(usize, String)> {
        let mut lines: Vec<(usize, String)> = Vec::new();
        for (index, line) in self.text.lines().enumerate() {
            let line = line.split("//").next().unwrap_or_default().trim();
            match lines.last_mut() {
                Some((_, import)) if is_open_import(import) => import.push_str(line),
                _ => lines.push((index + 1, line.to_owned())),
            }
        }
        lines
    }

    /// The module of the host it belongs to: `status` for `host/src/status/journal.rs`.
    fn host_module(&self) -> Option<&str> {
        let name = self.path.strip_prefix("host/src/")?.split('/').next()?;
        Some(name.trim_end_matches(".rs"))
    }

    /// Whether it is part of this test, which must name what it forbids.
    fn is_this(&self) -> bool {
        self.path == "tests/it/tidy.rs"
    }
}

fn is_open_import(line: &str) -> bool {
    (line.starts_with("use ") || line.starts_with("pub use ")) && !line.ends_with(';')
}

/// Files that git knows or would take, so that nothing in `target` counts.
fn tracked() -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(repository())
        .output()
        .expect("git is there, for the repository is");
    let listed = String::from_utf8(listed.stdout).expect("names in the repository are UTF-8");
    listed.lines().filter(|path| repository().join(path).is_file()).map(str::to_owned).collect()
}

fn sources() -> Vec<Source> {
    let rust = tracked().into_iter().filter(|path| path.ends_with(".rs"));
    rust.map(|path| {
        let text = fs::read_to_string(repository().join(&path)).expect("a tracked file can be read");
        Source { path, text }
    })
    .collect()
}

/// Fails with every finding, and with what to do about it.
#[track_caller]
fn none(findings: Vec<String>, mend: &str) {
    assert!(findings.is_empty(), "{}\n{mend}", findings.join("\n"));
}

/// Every line of code that satisfies, as `path:line: text`.
fn lines_where(sources: &[Source], satisfies: impl Fn(&Source, &str) -> bool) -> Vec<String> {
    let of_one = |source: &Source| -> Vec<String> {
        let found = source.code().into_iter().filter(|(_, line)| satisfies(source, line));
        found.map(|(number, line)| format!("{}:{number}: {line}", source.path)).collect()
    };
    sources.iter().flat_map(of_one).collect()
}

fn every_file_says_what_it_is() {
    let silent = sources().into_iter().filter(|source| !source.text.starts_with("//! "));
    none(
        silent.map(|source| source.path).collect(),
        "open these files with `//!`: what the file turns into what, and what it never does",
    );
}

fn modules_are_files_with_names() {
    let mods = tracked().into_iter().filter(|path| path.ends_with("/mod.rs"));
    none(mods.collect(), "rename `foo/mod.rs` to `foo.rs`");
}

/// The words are put together here, so that this file is read like the others.
fn nothing_is_left_to_be_done() {
    let macros = ["todo", "unimplemented", "dbg"].map(|name| format!("{name}!("));
    let attributes = ["ignore", "allow(dead_code"].map(|name| format!("#[{name}"));
    let words = [&macros[..], &attributes].concat();
    let marks = ["fixme", "todo", "xxx"].map(str::to_uppercase);
    let sources = sources();
    let mut found = lines_where(&sources, |_, line| words.iter().any(|word| line.contains(word)));
    // These stand in comments, too.
    for source in &sources {
        let marked = source.text.lines().filter(|line| marks.iter().any(|mark| line.contains(mark)));
        found.extend(marked.map(|line| format!("{}: {}", source.path, line.trim())));
    }
    none(
        found,
        "finish these, or take them out; a test that cannot run everywhere asks for its partner and is skipped",
    );
}

/// The modules of the host in the order of lib.rs.
fn host_modules() -> Vec<String> {
    let lib = fs::read_to_string(repository().join("host/src/lib.rs")).expect("the host has a lib.rs");
    let declared = lib.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "));
    declared.filter_map(|rest| rest.strip_suffix(';')).map(str::to_owned).collect()
}

fn the_host_uses_only_modules_above() {
    let modules = host_modules();
    let place = |name: &str| modules.iter().position(|module| module == name);
    let upward = |source: &Source, line: &str| {
        let Some(own) = source.host_module().and_then(place) else { return false };
        let used = uses_of_crate(line);
        used.iter().any(|used| {
            let apart = matches!((modules[own].as_str(), used.as_str()), ("http", "lifecycle"));
            place(used).is_some_and(|used| used > own) || apart
        })
    };
    none(
        lines_where(&sources(), upward),
        "a module of the host uses only those above it in lib.rs, and `http` does not know `lifecycle`: hand the value \
         down as an argument, or make what is asked for an operation of `host` in the switch",
    );
}

/// The modules that `crate::…` names in a line.
fn uses_of_crate(line: &str) -> Vec<String> {
    let of_path = |path: &str| path.trim().split("::").next().unwrap_or_default().trim().to_owned();
    match line.split_once("crate::{") {
        Some((_, group)) => top_level(group).map(of_path).collect(),
        None => line.split("crate::").skip(1).map(|path| of_path(word(path))).collect(),
    }
}

/// The members of a group of imports, without descending into nested groups.
fn top_level(group: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    group.split(move |letter| {
        depth += match letter {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        letter == ',' && depth == 0
    })
}

/// The identifier that a text begins with.
fn word(text: &str) -> &str {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap_or_default()
}

fn what_knows_what() {
    let sources = sources();
    for (library, owner) in
        [("petgraph", "graph"), ("axum", "http"), ("libloading", "loader"), ("abi_stable", "loader")]
    {
        let stray = |source: &Source, line: &str| {
            let names_it = line.contains(&format!("{library}::")) || line.contains(&format!("use {library}"));
            names_it && source.host_module().is_some_and(|module| module != owner)
        };
        none(
            lines_where(&sources, stray),
            &format!("only `host/src/{owner}` knows {library}: give the others a type of our own"),
        );
    }
}

/// Code of the host itself, its tests and what it writes for authors left out.
fn is_of_the_host(source: &Source) -> bool {
    let path = &source.path;
    path.starts_with("host/src/") && !path.contains("/template/") && !path.contains("tests")
}

fn a_running_host_writes_by_its_outputs_alone() {
    // The command line's `show`, which may wait for its reader, and questions about the terminal.
    let homes = ["host/src/app/output.rs", "host/src/cli.rs", "host/src/cli/status/watch.rs"];
    let prints = ["print!(", "println!(", "io::stdout()", "io::stderr()", "take_hook("];
    let stray = |source: &Source, line: &str| {
        let at_home = homes.contains(&source.path.as_str()) || line.contains("is_terminal");
        is_of_the_host(source) && !at_home && prints.iter().any(|form| line.contains(form))
    };
    none(
        lines_where(&sources(), stray),
        "a thread that writes waits for a reader, and panics if it fails: say it by `app::output`, or log it",
    );
}

fn long_lived_tasks_are_watched() {
    // Each takes care of its own panics, or is a test's.
    let homes = [
        "host/src/app/reload.rs",
        "host/src/cli/run.rs",
        "host/src/lifecycle.rs",
        "host/src/switch/limits.rs",
        "host/src/tasks.rs",
    ];
    let stray = |source: &Source, line: &str| {
        is_of_the_host(source) && !homes.contains(&source.path.as_str()) && line.contains("tokio::spawn(")
    };
    none(
        lines_where(&sources(), stray),
        "a task that panics is silently gone: spawn it by `tasks::spawn`, which runs it again, or by `tasks::once`, if it \
         lasts as long as one connection or stream; both show it in health",
    );
}

fn loops_of_plugins_are_watched() {
    // Each lasts as long as one call, stream or message.
    let homes = [
        "plugins/database/src/lib.rs",
        "plugins/database/src/wal.rs",
        "plugins/google_calendar/src/account.rs",
        "plugins/google_calendar/src/tokens.rs",
        "plugins/memory_service/src/finder.rs",
        "plugins/messaging_service/src/lib.rs",
        "plugins/openai/src/evidence.rs",
        "plugins/orchestrator_service/src/lib.rs",
        "plugins/orchestrator_service/src/pool.rs",
        "plugins/realtime_call_bridge/src/gauge.rs",
        "plugins/realtime_call_bridge/src/lib.rs",
        "plugins/realtime_call_bridge/src/recorder.rs",
        "plugins/scheduler_service/src/engine/claiming.rs",
        "plugins/smtp/src/client/tokens.rs",
        "plugins/smtp/src/mailer.rs",
        "plugins/twilio/src/evidence.rs",
        "plugins/twilio_service/src/sender.rs",
        "plugins/voice_assistant/src/routes.rs",
        "plugins/voice_assistant/src/session.rs",
        "plugins/voice_assistant/src/session/driver.rs",
        "plugins/voice_assistant/src/session/scribe.rs",
    ];
    let stray = |source: &Source, line: &str| {
        let is_code = source.path.starts_with("plugins/") && !source.path.contains("/tests");
        is_code && !homes.contains(&source.path.as_str()) && line.contains("tokio::spawn(")
    };
    none(
        lines_where(&sources(), stray),
        "a loop that panics or hangs is silently gone: start it by `plugin_api::worker::Worker`; if the task lasts as \
         long as one call, add its file to the list",
    );
}

fn no_field_of_a_log_record_is_named_message() {
    let macros = ["trace!(", "debug!(", "info!(", "warn!(", "error!(", "event!(", "span!("];
    let is_message = |field: &str| {
        let name = field.split('=').next().unwrap_or_default().trim().trim_start_matches(['%', '?']);
        // `==` is a condition within a value.
        name == "message"
    };
    let of_one = |source: &Source| -> Vec<String> {
        let starts =
            macros.iter().flat_map(|name| source.text.match_indices(name).map(|(at, name)| at + name.len()));
        let found = starts.filter(|at| fields(&source.text[*at..]).iter().any(|field| is_message(field)));
        found.map(|at| format!("{}:{}", source.path, source.text[..at].lines().count())).collect()
    };
    // Its test shows what becomes of one all the same.
    let is_meant = |source: &Source| source.is_this() || source.path == "plugin-api/tests/instance.rs";
    let sources: Vec<_> = sources().into_iter().filter(|source| !is_meant(source)).collect();
    none(
        sources.iter().flat_map(of_one).collect(),
        "a field named `message` hides the text of the record: name it by what it is, such as `id` or `error`",
    );
}

/// The arguments of a macro whose text begins behind its parenthesis, without what is in quotes or in other brackets.
fn fields(text: &str) -> Vec<String> {
    let (mut fields, mut depth, mut is_quoted) = (vec![String::new()], 1, false);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if is_quoted => drop(letters.next()),
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 1 => fields.push(String::new()),
            _ if depth == 1 => fields.last_mut().expect("there is one").push(letter),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    fields
}

fn unsafe_stays_where_it_is() {
    let homes = ["plugin-api/abi/", "host/src/loader", "plugins/database/src/vec.rs", "tests/fixtures/"];
    // What `export_plugin!` writes into a library.
    let macros = ["plugin-api/src/export.rs"];
    let stray = |source: &Source, line: &str| {
        let at_home = homes.iter().chain(&macros).any(|home| source.path.starts_with(home));
        let is_unsafe = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "#[unsafe("];
        !at_home && !source.is_this() && is_unsafe.iter().any(|form| line.contains(form))
    };
    none(
        lines_where(&sources(), stray),
        "`unsafe` lives in plugin-api/abi, in the host's loader and in one module of database: go through those",
    );
}

fn every_plugin_has_the_same_files() {
    let mut absent = Vec::new();
    for folder in shipped_plugins().iter().map(|name| repository().join("plugins").join(name)) {
        let lib = fs::read_to_string(folder.join("src/lib.rs")).unwrap_or_default();
        let joins_outside_system = lib.contains("Manifest::integration(");
        let client = joins_outside_system.then_some("src/client.rs");
        let wanted = ["Cargo.toml", "README.md", "src/lib.rs", "src/settings.rs"].into_iter().chain(client);
        absent.extend(wanted.map(|file| folder.join(file)).filter(|file| !file.is_file()).map(shown));
    }
    none(
        absent,
        "every plugin has README.md, src/lib.rs and src/settings.rs; one that connects to an outside system talks to it in \
         src/client.rs",
    );
}

fn shown(path: PathBuf) -> String {
    path.strip_prefix(repository()).unwrap_or(&path).display().to_string()
}

fn the_top_level_stays_small() {
    let allowed =
        ["Cargo.lock", "Cargo.toml", "README.md", "host", "plugin-api", "plugins", "plugins.toml", "tests"];
    let entries: BTreeSet<_> = tracked()
        .iter()
        .filter_map(|path| Path::new(path).components().next())
        .map(|entry| entry.as_os_str().to_string_lossy().into_owned())
        .filter(|entry| !entry.starts_with('.') && !allowed.contains(&entry.as_str()))
        .collect();
    none(
        entries.into_iter().collect(),
        "the top level holds Cargo.toml, Cargo.lock, README.md, plugins.toml, host, plugin-api, plugins and tests: put \
         it into one of these; configuration of tools lives in dot-files",
    );
}

fn the_boundary_stays_at_its_version() {
    let manifest =
        fs::read_to_string(repository().join("plugin-api/abi/Cargo.toml")).expect("the boundary is a crate");
    let manifest: toml::Table = manifest.parse().expect("it is TOML");
    assert_eq!(
        manifest["package"]["version"].as_str(),
        Some("1.0.0"),
        "abi_stable compares the version of the crate that defines a type: every plugin built before would be \
         refused. Put the version back; a different boundary is a new `preamble::ABI_VERSION`"
    );
}

fn every_entry_of_the_fuzzers_has_its_target() {
    let read = |path: &str| fs::read_to_string(repository().join(path)).expect("it is in the repository");
    let hostile = read("host/src/hostile.rs") + &read("plugin-api/src/hostile.rs");
    let entries: BTreeSet<_> = hostile
        .lines()
        .filter_map(|line| line.strip_prefix("pub fn "))
        .map(|rest| word(rest).to_owned())
        .collect();
    let folder = fs::read_dir(repository().join("tests/fuzz/fuzz_targets")).expect("there are targets");
    let files = folder.map(|file| file.expect("a folder can be read").path());
    let targets: BTreeSet<_> = files
        .filter(|file| {
            let name = file.file_stem().unwrap_or_default().to_string_lossy();
            fs::read_to_string(file).is_ok_and(|text| text.contains(&format!("hostile::{name}(bytes)")))
        })
        .map(|file| file.file_stem().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    assert_eq!(
        entries, targets,
        "each entry of hostile.rs has a target of its name in tests/fuzz, and the other way"
    );
}

/// The tracked pages, with their text.
fn pages() -> Vec<Source> {
    let pages = tracked().into_iter().filter(|path| path.ends_with(".md"));
    let read = |path: String| {
        let text = fs::read_to_string(repository().join(&path)).unwrap_or_default();
        Source { path, text }
    };
    pages.map(read).collect()
}

fn the_readme_stays_short() {
    let readme = fs::read_to_string(repository().join("README.md")).expect("there is a README");
    let lines = readme.lines().count();
    assert!(
        lines <= 150,
        "README.md has {lines} lines, at most 150 are read: move the rest to a page in host/docs"
    );
}

fn links_between_pages_lead_somewhere() {
    let mut broken = Vec::new();
    for page in pages().iter().filter(|page| !page.path.contains("/template/")) {
        let folder = repository().join(&page.path).parent().expect("a file is in a folder").to_owned();
        for link in page.text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next()) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            if file.contains(':') || file.starts_with('/') {
                continue;
            }
            let target = if file.is_empty() { repository().join(&page.path) } else { folder.join(file) };
            let has_anchor = || {
                let text = fs::read_to_string(&target).unwrap_or_default();
                text.lines().filter(|line| line.starts_with('#')).any(|line| slug(line) == anchor)
            };
            if !target.exists() || !(anchor.is_empty() || has_anchor()) {
                broken.push(format!("{}: {link}", page.path));
            }
        }
    }
    none(broken, "each link in a page names a file of the repository, and a heading in it: correct the link");
}

/// The anchor of a heading.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

/// The first sentence may be a title, such as "What dependents wait for".
fn comments_are_in_plain_words() {
    let mut findings = Vec::new();
    for source in sources() {
        for paragraph in comments(&source.text) {
            let text = paragraph.join(" ");
            let later = text.split_inclusive(['.', '?', '!']).map(str::trim).skip(1);
            findings.extend(
                later
                    .filter(|sentence| is_relative(sentence) && !sentence.ends_with('?'))
                    .map(|sentence| format!("{}: {sentence}", source.path)),
            );
        }
    }
    none(
        findings,
        "a sentence begins with its subject: \"anyone who\" instead of \"Who …\", the noun instead of \"What …\"",
    );
}

/// The paragraphs of comments, without code and lists.
fn comments(text: &str) -> Vec<Vec<&str>> {
    let mut paragraphs = vec![Vec::new()];
    let mut in_code = false;
    for line in text.lines().map(str::trim) {
        let words = line.strip_prefix("//").map(|rest| rest.trim_start_matches(['/', '!']).trim());
        in_code = words.is_some_and(|words| in_code != words.starts_with("```"));
        match words
            .filter(|words| !in_code && !words.is_empty() && !words.starts_with(['-', '*', '#', '|', '`']))
        {
            Some(words) => paragraphs.last_mut().expect("there is one").push(words),
            None => paragraphs.push(Vec::new()),
        }
    }
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    paragraphs
}

fn is_relative(sentence: &str) -> bool {
    ["Who ", "Whom ", "Whose ", "What "].iter().any(|word| sentence.starts_with(word))
}

/// The rows of the table "Where to change what".
fn the_architecture_names_files_that_exist() {
    let page = fs::read_to_string(repository().join("host/ARCHITECTURE.md")).expect("there is the page");
    let (_, table) = page.split_once("## Where to change what").expect("it has the table");
    let paths =
        table.split('`').skip(1).step_by(2).filter(|words| words.contains('/') || words.ends_with(".rs"));
    let exists =
        |path: &&str| ["host/src", "host", ""].iter().any(|root| repository().join(root).join(path).exists());
    let gone: Vec<String> = paths.filter(|path| !exists(path)).map(str::to_owned).collect();
    none(gone, "name the file that has this job now");
}

fn pages_are_in_plain_words() {
    let mut findings = Vec::new();
    for page in pages() {
        for paragraph in prose(&page.text) {
            findings.extend(sentences(&paragraph).filter(|sentence| is_riddle(sentence)).map(|sentence| {
                format!("{}: {}", page.path, sentence.chars().take(100).collect::<String>())
            }));
        }
    }
    none(
        findings,
        "a sentence begins with its subject: \"if you\" or \"anyone who\" instead of \"Who …\", the noun instead of \
         \"What …\", and no inversion",
    );
}

/// The paragraphs of a page, each as one line: no code, no headings.
fn prose(text: &str) -> Vec<String> {
    let outside = text.split("```").step_by(2);
    let paragraphs = outside.flat_map(|part| part.split("\n\n"));
    let lines = |paragraph: &str| {
        let lines = paragraph
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.trim_start_matches(['-', ' ']));
        lines.collect::<Vec<_>>().join(" ")
    };
    paragraphs.map(lines).filter(|paragraph| !paragraph.trim().is_empty()).collect()
}

fn sentences(paragraph: &str) -> impl Iterator<Item = &str> {
    paragraph.split_inclusive(['.', '?', ':', '|']).map(str::trim)
}

/// The patterns that readers stumble over. A question may begin so.
fn is_riddle(sentence: &str) -> bool {
    let inversion = ["Shown by ", "Held by ", "Of these ", "Told by ", "Said by "]
        .iter()
        .any(|word| sentence.starts_with(word));
    let phrase = [" who is no ", " for who ", " to who ", "troubles nothing", "is to be had"]
        .iter()
        .any(|words| sentence.contains(words));
    !sentence.ends_with('?') && (is_relative(sentence) || inversion || phrase)
}
