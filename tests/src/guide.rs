//! A page of Markdown becomes the steps that its reader takes, in the order in which they stand.

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A block of `sh`: to be typed.
    Type(String),
    /// A block of `rust` or `toml` behind a line that names a file: `` `src/lib.rs`: ``
    Write {
        /// The file.
        path: String,
        /// Its text.
        text: String,
    },
    /// A block of `text`: what the steps before have printed.
    See(String),
}

/// The steps of a page.
pub fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut before = "";
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            before = if line.is_empty() { before } else { line };
            continue;
        };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let text = block.join("\n") + "\n";
        let file = before.strip_prefix('`').and_then(|line| line.strip_suffix("`:"));
        match (language.split(',').next().unwrap_or_default(), file) {
            ("sh", _) => steps.push(Step::Type(text)),
            ("text", _) => steps.push(Step::See(text.trim_end().to_owned())),
            (_, Some(path)) => steps.push(Step::Write { path: path.to_owned(), text }),
            _ => {}
        }
        before = "";
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_become_steps_in_their_order() {
        let page = "# Title\n\n```sh\nls\n```\nWords.\n\n`a/b.rs`:\n\n```rust,ignore\nfn main() {}\n```\n\nSee:\n```text\nab\n```\n```rust\nno_file();\n```\n";
        let expected = [
            Step::Type("ls\n".into()),
            Step::Write { path: "a/b.rs".into(), text: "fn main() {}\n".into() },
            Step::See("ab".into()),
        ];
        assert_eq!(steps(page), expected);
    }
}
