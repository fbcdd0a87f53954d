//! Findings become lines for a person, or JSON for a program, without any secret that the test knows of.

use plugin_api::manifest::Manifest;
use serde_json::{Value, json};
use switchboard::scrub::Scrubber;

use crate::cli::Exit;

/// Everything that was checked, in order.
#[derive(Default)]
pub(super) struct Checklist {
    lines: Vec<Line>,
    scrubber: Scrubber,
}

/// One promise.
struct Line {
    /// A stable name: `settings.secrets`.
    check: &'static str,
    /// The promise in words.
    promise: &'static str,
    outcome: Outcome,
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is kept; the note says what was seen, where that is worth knowing.
    Ok(String),
    /// It is broken.
    Failed { why: String, mend: String },
    /// It could not be tried.
    Skipped { why: String, mend: String },
}

impl Outcome {
    /// Kept, and nothing more to say.
    pub(super) fn ok() -> Self {
        Self::Ok(String::new())
    }

    pub(super) fn failed(why: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::Failed { why: why.into(), mend: mend.into() }
    }

    pub(super) fn skipped(why: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::Skipped { why: why.into(), mend: mend.into() }
    }

    /// Kept if nothing was found.
    pub(super) fn none(findings: Vec<String>, mend: &str) -> Self {
        if findings.is_empty() { Self::ok() } else { Self::failed(findings.join("; "), mend) }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Ok(_) => "ok",
            Self::Failed { .. } => "failed",
            Self::Skipped { .. } => "skipped",
        }
    }

    /// What is said beside the word, and how to fix it.
    fn parts(&self) -> (&str, &str) {
        match self {
            Self::Ok(note) => (note, ""),
            Self::Failed { why, mend } | Self::Skipped { why, mend } => (why, mend),
        }
    }
}

impl Checklist {
    /// Adds a line.
    pub(super) fn add(&mut self, check: &'static str, promise: &'static str, outcome: Outcome) {
        self.lines.push(Line { check, promise, outcome });
    }

    /// Adds secrets that no line may show.
    pub(super) fn hide(&self, secrets: &[String]) {
        self.scrubber.add(secrets.iter().cloned());
    }

    /// The exit code that this comes to: a check that could not be tried proves nothing.
    pub(super) fn exit(&self) -> Exit {
        match (self.count("failed"), self.count("skipped")) {
            (0, 0) => Exit::Success,
            (0, _) => Exit::Incomplete,
            _ => Exit::Failed,
        }
    }

    fn count(&self, word: &str) -> usize {
        self.lines.iter().filter(|line| line.outcome.word() == word).count()
    }

    /// A line a check, then what they come to.
    pub(super) fn text(&self, plugin: &Manifest) -> String {
        let mut lines = vec![format!("{} {} ({})\n", plugin.name, plugin.version, plugin.kind.as_str())];
        for line in &self.lines {
            let (why, mend) = line.outcome.parts();
            let why = if why.is_empty() { String::new() } else { format!(": {}", self.clean(why)) };
            lines.push(format!("{:<8} {:<20} {}{why}", line.outcome.word(), line.check, line.promise));
            if !mend.is_empty() {
                lines.push(format!("{:<30}fix: {}", "", self.clean(mend)));
            }
        }
        let [ok, failed, skipped] = ["ok", "failed", "skipped"].map(|word| self.count(word));
        lines.push(format!("\n{ok} ok, {failed} failed, {skipped} skipped"));
        if self.exit() == Exit::Incomplete {
            lines.push("not passed yet: skipped checks prove nothing".to_owned());
        }
        lines.join("\n")
    }

    pub(super) fn json(&self, plugin: &Manifest) -> String {
        let line = |line: &Line| {
            let (why, mend) = line.outcome.parts();
            json!({
                "check": line.check, "promise": line.promise, "outcome": line.outcome.word(),
                "why": self.clean(why), "mend": mend,
            })
        };
        let checks: Vec<Value> = self.lines.iter().map(line).collect();
        let [ok, failed, skipped] = ["ok", "failed", "skipped"].map(|word| self.count(word));
        let all = json!({
            "name": plugin.name, "version": plugin.version, "kind": plugin.kind, "passed": self.exit() == Exit::Success,
            "counts": { "ok": ok, "failed": failed, "skipped": skipped }, "checks": checks,
        });
        format!("{all:#}")
    }

    fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        self.scrubber.clean(&mut text);
        text
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn every_line_says_why_and_how_to_mend_and_no_secret() {
        let plugin: Manifest = serde_json::from_value(json!({
            "name": "mail", "version": "0.1.0", "kind": "service", "settings": {},
        }))
        .unwrap();
        let mut list = Checklist::default();
        list.hide(&["hunter22".to_owned()]);
        list.add("manifest.about", "it says what it is", Outcome::ok());
        list.add("init", "`init` ends", Outcome::Ok("connected".into()));
        list.add("secrets", "it keeps its secrets", Outcome::failed("it said\n`hunter22`", "say less"));
        list.add("probe", "`probe` ends", Outcome::skipped("`create` failed", "fix that"));
        expect![[r#"
            mail 0.1.0 (service)

            ok       manifest.about       it says what it is
            ok       init                 `init` ends: connected
            failed   secrets              it keeps its secrets: it said `[secret]`
                                          fix: say less
            skipped  probe                `probe` ends: `create` failed
                                          fix: fix that

            2 ok, 1 failed, 1 skipped"#]]
        .assert_eq(&list.text(&plugin));
        assert_eq!(list.exit(), Exit::Failed);
        assert!(!list.json(&plugin).contains("hunter22"));
    }
}
