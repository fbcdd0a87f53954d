//! SQL into the little that must be known before the database sees it: how many statements there are, what each one
//! does, its parameters, and where it asks for the time. It reads words, quotes and comments; it never judges the grammar.

use std::borrow::Cow;

use plugin_api::requests::sql::Dialect;

/// What is known of one statement.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    /// What it does, in lower case: the first word, or after `with` the word that uses its tables.
    pub verb: String,
    /// The highest number of a parameter `$1`, `$2` …
    pub parameters: usize,
    /// The sign of a parameter of another form, which SQLite would take and leave null.
    pub foreign: Option<char>,
    /// Where each [`NOW`] begins, in bytes of the whole SQL.
    clocks: Vec<usize>,
}

/// The database's time, in both dialects.
const NOW: &str = "now_ms()";

impl Sketch {
    /// The statement as the database understands it.
    pub fn translate<'s>(&self, sql: &'s str, dialect: Dialect) -> Cow<'s, str> {
        let mut translated = Cow::Borrowed(sql);
        for at in self.clocks.iter().rev() {
            translated.to_mut().replace_range(*at..at + NOW.len(), dialect.now_ms());
        }
        translated
    }
}

/// The statements of a piece of SQL.
pub fn scan(sql: &str, dialect: Dialect) -> Vec<Sketch> {
    let mut scanner = Scanner { sql, rest: sql, dialect, depth: 0, current: None, done: Vec::new() };
    while scanner.step() {}
    scanner.done.extend(scanner.current);
    scanner.done
}

/// The words that say what a statement does with the tables of its `with`.
const USES: [&str; 7] = ["select", "values", "insert", "update", "delete", "replace", "merge"];

struct Scanner<'a> {
    sql: &'a str,
    rest: &'a str,
    dialect: Dialect,
    depth: usize,
    current: Option<Sketch>,
    done: Vec<Sketch>,
}

impl Scanner<'_> {
    /// Takes one token; `false` at the end.
    fn step(&mut self) -> bool {
        let Some(first) = self.rest.chars().next() else { return false };
        let sqlite = self.dialect == Dialect::Sqlite;
        match first {
            _ if first.is_whitespace() => self.skip(first.len_utf8()),
            '-' if self.rest.starts_with("--") => self.skip_past("\n"),
            '/' if self.rest.starts_with("/*") => self.comment(),
            ';' => {
                self.skip(1);
                self.depth = 0;
                self.done.extend(self.current.take());
            }
            '\'' | '"' => self.quoted(first, false),
            '`' if sqlite => self.quoted('`', false),
            '[' if sqlite => self.skip_past("]"),
            '$' => self.dollar(),
            '?' | ':' | '@' if sqlite => {
                self.skip(1);
                self.sketch().foreign = Some(first);
            }
            '(' | ')' => self.parenthesis(first),
            _ if is_word(first) => self.word(),
            _ => {
                self.skip(first.len_utf8());
                self.sketch();
            }
        }
        true
    }

    fn sketch(&mut self) -> &mut Sketch {
        self.current.get_or_insert_default()
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn skip_past(&mut self, end: &str) {
        self.skip(self.rest.find(end).map_or(self.rest.len(), |at| at + end.len()));
    }

    fn parenthesis(&mut self, sign: char) {
        self.skip(1);
        self.sketch();
        self.depth = if sign == '(' { self.depth + 1 } else { self.depth.saturating_sub(1) };
    }

    /// PostgreSQL's comments nest, SQLite's do not.
    fn comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            if self.rest.starts_with("/*") && (depth == 0 || self.dialect == Dialect::Postgres) {
                depth += 1;
                self.skip(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.skip(2);
            } else {
                self.skip(self.rest.chars().next().map_or(0, char::len_utf8));
            }
            if depth == 0 || self.rest.is_empty() {
                return;
            }
        }
    }

    /// Text or a name in quotes; a doubled quote is part of it, and after a backslash so is anything in `E'…'`.
    fn quoted(&mut self, quote: char, backslash: bool) {
        self.sketch();
        let mut signs = self.rest.char_indices().skip(1).peekable();
        let end = loop {
            match signs.next() {
                None => break self.rest.len(),
                Some((_, '\\')) if backslash => drop(signs.next()),
                Some((_, sign)) if sign == quote && signs.next_if(|(_, next)| *next == quote).is_some() => {}
                Some((at, sign)) if sign == quote => break at + quote.len_utf8(),
                Some(_) => {}
            }
        };
        self.skip(end);
    }

    /// A parameter, or PostgreSQL's `$tag$ … $tag$`.
    fn dollar(&mut self) {
        let after = self.rest.get(1..).unwrap_or_default();
        let digits = after.len() - after.trim_start_matches(|sign: char| sign.is_ascii_digit()).len();
        let tag = after.len() - after.trim_start_matches(|sign: char| is_word(sign) && sign != '$').len();
        let number = after.get(..digits).unwrap_or_default();
        if digits > 0 {
            self.skip(1 + digits);
            match number.parse() {
                Ok(number @ 1..) => self.sketch().parameters = self.sketch().parameters.max(number),
                _ => self.sketch().foreign = Some('$'),
            }
        } else if self.dialect == Dialect::Postgres
            && after.get(tag..).is_some_and(|after| after.starts_with('$'))
        {
            let mark = self.rest.get(..tag + 2).unwrap_or_default().to_owned();
            self.sketch();
            self.skip(mark.len());
            self.skip_past(&mark);
        } else {
            self.skip(1);
            self.sketch().foreign = Some('$');
        }
    }

    fn word(&mut self) {
        let length = self.rest.len() - self.rest.trim_start_matches(is_word).len();
        let word = self.rest.get(..length).unwrap_or_default().to_ascii_lowercase();
        self.skip(length);
        if word == "e" && self.dialect == Dialect::Postgres && self.rest.starts_with('\'') {
            self.quoted('\'', true);
            return;
        }
        let (depth, start) = (self.depth, self.sql.len() - self.rest.len() - length);
        let is_clock = self.sql.get(start..).is_some_and(|sql| sql.starts_with(NOW));
        let sketch = self.sketch();
        if is_clock {
            sketch.clocks.push(start);
        }
        let uses = sketch.verb == "with" && depth == 0 && USES.contains(&word.as_str());
        if sketch.verb.is_empty() || uses {
            sketch.verb = word;
        }
    }
}

/// Letters, digits, `_`, and `$` within a word.
fn is_word(sign: char) -> bool {
    sign.is_alphanumeric() || sign == '_' || sign == '$'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(dialect: Dialect, sql: &str, expected: &[(&str, usize)]) {
        let found: Vec<_> =
            scan(sql, dialect).into_iter().map(|sketch| (sketch.verb, sketch.parameters)).collect();
        let expected: Vec<_> = expected.iter().map(|(verb, count)| ((*verb).to_owned(), *count)).collect();
        assert_eq!(found, expected, "{sql}");
    }

    fn check_both(sql: &str, expected: &[(&str, usize)]) {
        check(Dialect::Sqlite, sql, expected);
        check(Dialect::Postgres, sql, expected);
    }

    #[test]
    fn counts_statements_and_parameters() {
        check_both("", &[]);
        check_both(" ; -- nothing\n;", &[]);
        check_both("Select $2, $1, $2", &[("select", 2)]);
        check_both("insert into t values ($1); delete from t;", &[("insert", 1), ("delete", 0)]);
        check_both("(select $12)", &[("select", 12)]);
    }

    #[test]
    fn text_names_and_comments_are_not_read() {
        check_both("select '; $1 it''s $2', \"a;$3\"", &[("select", 0)]);
        check_both("select 1 -- ; $1\n, $1", &[("select", 1)]);
        check_both("select /* ; $2 */ $1", &[("select", 1)]);
        check(Dialect::Postgres, "select /* /* */ ; $9 */ $1", &[("select", 1)]);
        check(Dialect::Postgres, r"select E'\'; $9', $1", &[("select", 1)]);
        check(Dialect::Postgres, r"select E'a''\'; $9', $1", &[("select", 1)]);
        check(Dialect::Postgres, "select $$ ; $9 $$, $f$ $$ ; $f$, $1", &[("select", 1)]);
        check(Dialect::Sqlite, "select `a;$3`, [b;$4], $1", &[("select", 1)]);
    }

    #[test]
    fn with_is_named_by_what_uses_it() {
        check_both("with a as (select 1), b as (delete from t) update t set x = $1", &[("update", 1)]);
        check_both("with recursive a as (select 1) select * from a", &[("select", 0)]);
    }

    #[test]
    fn other_parameters_are_noticed_where_they_would_stay_null() {
        for sql in ["select ?", "select ?1", "select :name", "select @name", "select $name", "select $0"] {
            assert!(scan(sql, Dialect::Sqlite)[0].foreign.is_some(), "{sql}");
        }
        assert_eq!(scan("select '{}'::jsonb ? 'a', b[1:2]", Dialect::Postgres)[0].foreign, None);
    }

    #[test]
    fn the_time_is_the_databases() {
        let sql = "select now_ms(), 'now_ms()' -- now_ms()\n where a < now_ms() and now_ms > b";
        for dialect in [Dialect::Sqlite, Dialect::Postgres] {
            let now = dialect.now_ms();
            let expected = format!("select {now}, 'now_ms()' -- now_ms()\n where a < {now} and now_ms > b");
            assert_eq!(scan(sql, dialect)[0].translate(sql, dialect), expected);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end(sql in "\\PC*", quotes in "[-/*'\"$a1;E\\\\é\\[`]*") {
            for dialect in [Dialect::Sqlite, Dialect::Postgres] {
                scan(&sql, dialect);
                scan(&quotes, dialect);
            }
        }
    }
}
