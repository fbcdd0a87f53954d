//! The text of a `.env` file becomes variables. A value is what stands there: nothing is replaced in it but `${NAME}` of
//! a variable that is set. Likely mistakes are refused, or named, with their line; no value is ever shown. Pure.
//! `host/docs/env.md` describes the syntax for people.

use std::collections::BTreeMap;

use super::Problem;

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub variables: BTreeMap<String, String>,
    /// What cannot be read.
    pub problems: Vec<Problem>,
    /// What can be read, and was probably meant otherwise.
    pub warnings: Vec<Problem>,
}

/// Reads a file. `process` wins over what stands in it, also where a value names a variable.
pub(super) fn parse(text: &str, process: &BTreeMap<String, String>) -> Parsed {
    let mut reader = Reader { process, parsed: Parsed::default() };
    let text = text.trim_start_matches('\u{feff}');
    let (mut rest, mut line) = (text, 1);
    while !rest.is_empty() {
        let taken = reader.entry(rest, line);
        line += rest[..taken].matches('\n').count();
        rest = &rest[taken..];
    }
    reader.parsed
}

/// Why a line is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mistake {
    NotAPair,
    Blanks,
    Unclosed,
    AfterQuote,
    Malformed,
    Unset(String),
}

impl Mistake {
    fn problem(self, line: usize) -> Problem {
        const LITERAL: &str = "put a literal value in single quotes: `NAME='a value'`";
        let told = |what: &str| Problem::new(format!("line {line} of the `.env` beside it {what}"));
        match self {
            Self::NotAPair => told("is not `NAME=value`")
                .hint("a name has letters, digits and `_`; a line that begins with `#` is a comment"),
            Self::Blanks => told("has blanks in its value, but no quotes").hint(LITERAL),
            Self::Unclosed => told("has a quote that is not closed").hint(LITERAL),
            Self::AfterQuote => told("has more after its closing quote")
                .hint("between double quotes a `\"` is written `\\\"`; a comment begins with ` #`"),
            Self::Malformed => told("has a `${` that is not `${NAME}`").hint(LITERAL),
            Self::Unset(name) => {
                let which =
                    if is_conventional(&name) { format!("`${{{name}}}`") } else { "`${…}`".to_owned() };
                told(&format!("has {which}, and no variable of that name is set before"))
                    .hint(format!("set it in the environment or further up; {LITERAL}"))
            }
        }
    }
}

struct Reader<'p> {
    process: &'p BTreeMap<String, String>,
    parsed: Parsed,
}

impl Reader<'_> {
    /// Reads what begins here, and gives its length: a line, or more where a quoted value has more.
    fn entry(&mut self, rest: &str, line: usize) -> usize {
        let end = rest.find('\n').map_or(rest.len(), |end| end + 1);
        let start = rest[..end].trim();
        if start.is_empty() || start.starts_with('#') {
            return end;
        }
        match self.pair(rest, end, line) {
            Ok((name, value, taken)) => {
                if self.parsed.variables.insert(name.clone(), value).is_some() {
                    self.warn(line, &format!("sets `{name}` a second time, and the last one counts"));
                }
                taken
            }
            Err(mistake) => {
                self.parsed.problems.push(mistake.problem(line));
                end
            }
        }
    }

    fn pair(&mut self, rest: &str, end: usize, line: usize) -> Result<(String, String, usize), Mistake> {
        let equals = rest[..end].find('=').ok_or(Mistake::NotAPair)?;
        let name = rest[..equals].trim();
        let name = name.strip_prefix("export ").map_or(name, str::trim_start);
        if !is_name(name) {
            return Err(Mistake::NotAPair);
        }
        let after = equals + 1;
        let blanks = rest[after..end].len() - rest[after..end].trim_start_matches([' ', '\t']).len();
        let value = after + blanks;
        let (text, escapes, taken) = match rest.as_bytes().get(value) {
            Some(b'\'') => {
                let close = rest[value + 1..].find('\'').ok_or(Mistake::Unclosed)? + value + 1;
                let taken = ends_after(rest, close + 1)?;
                return Ok((name.to_owned(), rest[value + 1..close].to_owned(), taken));
            }
            Some(b'"') => {
                let close = closing_quote(&rest[value + 1..]).ok_or(Mistake::Unclosed)? + value + 1;
                (&rest[value + 1..close], true, ends_after(rest, close + 1)?)
            }
            _ => {
                let text = without_comment(&rest[after..end]).trim();
                if text.contains(char::is_whitespace) {
                    return Err(Mistake::Blanks);
                }
                (text, false, end)
            }
        };
        Ok((name.to_owned(), self.fill(text, escapes, line)?, taken))
    }

    /// The value with its variables filled in, and without its escapes where it has some.
    fn fill(&mut self, text: &str, escapes: bool, line: usize) -> Result<String, Mistake> {
        let (mut value, mut rest) = (String::new(), text);
        while let Some(at) = rest.find(['$', '\\']) {
            value.push_str(&rest[..at]);
            rest = &rest[at..];
            let escaped = rest[1..].chars().next().filter(|_| escapes && rest.starts_with('\\'));
            let taken = if let Some(letter) = escaped.and_then(unescaped) {
                value.push(letter);
                2
            } else if rest.starts_with("$${") {
                value.push_str("${");
                3
            } else if rest.starts_with("${") {
                let end = rest.find('}').ok_or(Mistake::Malformed)?;
                let name = &rest[2..end];
                if !is_name(name) {
                    return Err(Mistake::Malformed);
                }
                value.push_str(self.get(name).ok_or_else(|| Mistake::Unset(name.to_owned()))?);
                end + 1
            } else {
                self.look_at_dollar(rest, line);
                value.push_str(&rest[..1]);
                1
            };
            rest = &rest[taken..];
        }
        value.push_str(rest);
        Ok(value)
    }

    /// `$NAME` of a variable that is set was probably meant to be filled in, as shells do.
    fn look_at_dollar(&mut self, rest: &str, line: usize) {
        let Some(after) = rest.strip_prefix('$') else { return };
        let name = &after[..after.len() - after.trim_start_matches(is_letter).len()];
        if is_conventional(name) && self.get(name).is_some() {
            self.warn(
                line,
                &format!("has `${name}`, which stays as it is: write `${{{name}}}` to fill it in"),
            );
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.process.get(name).or_else(|| self.parsed.variables.get(name)).map(String::as_str)
    }

    fn warn(&mut self, line: usize, what: &str) {
        self.parsed.warnings.push(Problem::new(format!("line {line} of the `.env` beside it {what}")));
    }
}

/// Where the line ends after a closing quote, if nothing but a comment follows.
fn ends_after(rest: &str, quote: usize) -> Result<usize, Mistake> {
    let end = rest[quote..].find('\n').map_or(rest.len(), |end| quote + end + 1);
    if without_comment(&rest[quote..end]).trim().is_empty() { Ok(end) } else { Err(Mistake::AfterQuote) }
}

/// What stands before a `#` that follows a blank.
fn without_comment(text: &str) -> &str {
    let comment =
        text.char_indices().find(|(at, letter)| *letter == '#' && text[..*at].ends_with(char::is_whitespace));
    comment.map_or(text, |(at, _)| &text[..at])
}

/// Where a value between double quotes ends.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, letter)| {
        let closes = letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        closes.then_some(at)
    })
}

fn unescaped(letter: char) -> Option<char> {
    match letter {
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        '"' | '\\' | '$' => Some(letter),
        _ => None,
    }
}

fn is_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

fn is_name(name: &str) -> bool {
    name.starts_with(|letter: char| is_letter(letter) && !letter.is_ascii_digit())
        && name.chars().all(|letter| is_letter(letter) || letter == '.')
}

/// Whether a name is written as variables are; anything else may be a piece of a secret, and is not shown.
fn is_conventional(name: &str) -> bool {
    is_name(name) && !name.contains(|letter: char| letter.is_ascii_lowercase() || letter == '.')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Parsed {
        let process =
            [("HOST", "db"), ("EMPTY", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        parse(text, &process.into())
    }

    #[track_caller]
    fn check(written: &str, expected: &str) {
        let parsed = read(&format!("BEFORE=b\nA={written}\nLAST=1\n"));
        assert_eq!(parsed.variables.get("A").map(String::as_str), Some(expected), "{written}: {parsed:?}");
        assert_eq!((parsed.variables["LAST"].as_str(), parsed.problems.len()), ("1", 0), "{written}");
    }

    #[test]
    fn a_value_is_what_stands_there() {
        for written in [
            "postgres://u:p$ecret@h/db",
            "pa$$word",
            "$",
            "$$",
            "a$1",
            "pa#ss",
            "#ss",
            "pa'ss\"word",
            "back\\slash\\n",
            "a=b==",
            "{\"json\":true}",
        ] {
            check(written, written);
            check(&format!("'{}'", written.replace('\'', "")), &written.replace('\'', ""));
        }
        check("'pa${ss} word'", "pa${ss} word");
        check("", "");
        check("  value  ", "value");
        check("value # a comment", "value");
        check(" # only a comment", "");
        check("'#' # a comment", "#");
        check("value\r", "value");
        check("'first\nsecond'", "first\nsecond");
        check("\"first\\nsecond \\\" \\\\ \\$\\{ \\x\nthird\"", "first\nsecond \" \\ $\\{ \\x\nthird");
    }

    #[test]
    fn only_braces_name_a_variable() {
        check("${HOST}", "db");
        check("\"<${HOST}:${BEFORE}>\"", "<db:b>");
        check("x${EMPTY}y", "xy");
        check("$${HOST}", "${HOST}");
        check("\"\\${HOST}\"", "${HOST}");
        check("$HOST", "$HOST");
    }

    #[test]
    fn other_forms_of_a_line() {
        let parsed = read("\u{feff}# a comment\n\n  export A = 1\nB.C=2\n\tD\t=3");
        let pairs: Vec<_> = parsed.variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!((pairs.join(" ").as_str(), parsed.problems.len()), ("A=1 B.C=2 D=3", 0));
    }

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let parsed = read(text);
        let told: Vec<_> = parsed.problems.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(told.join("\n"), expected, "{text}");
        assert!(parsed.problems.iter().all(|problem| !problem.to_string().contains("hush")));
    }

    #[test]
    fn mistakes_are_named_with_their_lines_and_nothing_of_the_value() {
        refused(
            "A=1\nB=hush hush\nC=2",
            "line 2 of the `.env` beside it has blanks in its value, but no quotes",
        );
        refused("hush", "line 1 of the `.env` beside it is not `NAME=value`");
        refused(
            "1A=hush\n=hush",
            "line 1 of the `.env` beside it is not `NAME=value`\nline 2 of the `.env` beside it is not `NAME=value`",
        );
        refused("A='x\ny'\nB=\"hush\nC=1", "line 3 of the `.env` beside it has a quote that is not closed");
        refused("A='hush'hush", "line 1 of the `.env` beside it has more after its closing quote");
        refused("A=hush${", "line 1 of the `.env` beside it has a `${` that is not `${NAME}`");
        refused("A=${HOST:-hush}", "line 1 of the `.env` beside it has a `${` that is not `${NAME}`");
        refused(
            "A=x${HOTS}",
            "line 1 of the `.env` beside it has `${HOTS}`, and no variable of that name is set before",
        );
        refused(
            "A=x${hush}y",
            "line 1 of the `.env` beside it has `${…}`, and no variable of that name is set before",
        );
        refused(
            "A=${B}\nB=1",
            "line 1 of the `.env` beside it has `${B}`, and no variable of that name is set before",
        );
    }

    #[test]
    fn doubts_are_named() {
        let parsed = read("A=$HOST\nA=pa$word\n");
        let told: Vec<_> = parsed.warnings.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(
            told,
            [
                "line 1 of the `.env` beside it has `$HOST`, which stays as it is: write `${HOST}` to fill it in",
                "line 2 of the `.env` beside it sets `A` a second time, and the last one counts",
            ]
        );
        assert_eq!(parsed.variables["A"], "pa$word");
    }

    proptest! {
        #[test]
        fn between_single_quotes_anything_stands(value in "[^']*") {
            let parsed = read(&format!("A='{value}'\nLAST=1"));
            prop_assert_eq!(&parsed.variables["A"], &value);
            prop_assert_eq!(&parsed.variables["LAST"], "1");
        }

        #[test]
        fn no_text_makes_it_panic(text in r#"[A-Z=$\{\}'"\\# \n\r.é]{0,60}"#) {
            let _ = read(&text);
        }
    }
}
