//! The text of plugins.toml becomes JSON and the line of everything in it, or the list of what is not TOML.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

use super::{Problem, pointer};

/// A parsed file.
pub(super) struct Document {
    /// What it says; always a table.
    pub value: Value,
    /// Where it says so.
    pub places: Places,
}

/// Where everything stands, by JSON pointer. A key stands where its name does.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(BTreeMap<String, Place>);

/// A place in the text; places sort in the order of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    offset: usize,
    /// Counted from 1.
    pub line: usize,
}

impl Places {
    /// Where this stands, or else what holds it.
    pub fn of(&self, mut pointer: &str) -> Option<Place> {
        loop {
            if let Some(place) = self.0.get(pointer) {
                return Some(*place);
            }
            pointer = pointer.rsplit_once('/')?.0;
        }
    }

    /// Its line.
    pub fn line(&self, pointer: &str) -> Option<usize> {
        self.of(pointer).map(|place| place.line)
    }

    /// The lines of everything under a pointer, by the pointer from there.
    pub fn lines_under(&self, pointer: &str) -> BTreeMap<String, usize> {
        let from_there = |(full, place): (&String, &Place)| {
            let rest = full.strip_prefix(pointer)?;
            rest.starts_with('/').then(|| (rest.to_owned(), place.line))
        };
        self.0.iter().filter_map(from_there).collect()
    }
}

impl Document {
    /// Reads the text; all that is wrong with it is told at once.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut reader = Reader { lines: Lines::of(text), places: BTreeMap::new(), problems: Vec::new() };
        if !errors.is_empty() {
            return Err(reader.syntax(errors));
        }
        let value = reader.table(table.into_inner(), "");
        if reader.problems.is_empty() {
            Ok(Self { value, places: Places(reader.places) })
        } else {
            Err(reader.problems)
        }
    }
}

struct Reader<'t> {
    lines: Lines<'t>,
    places: BTreeMap<String, Place>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    /// The first error of each line: those after it are mostly its echo.
    fn syntax(&self, errors: Vec<toml::de::Error>) -> Vec<Problem> {
        let mut first = BTreeMap::new();
        for error in errors {
            let span = error.span().unwrap_or_default();
            let (line, column) = self.lines.position(span.start);
            let found = self.lines.text.get(span).unwrap_or_default();
            first.entry(line).or_insert_with(|| syntax_problem(error.message(), found, line, column));
        }
        first.into_values().collect()
    }

    fn table(&mut self, table: DeTable<'_>, pointer: &str) -> Value {
        let mut object = Map::new();
        for (key, value) in table {
            let here = pointer::child(pointer, key.get_ref());
            self.note(&here, key.span().start);
            let key = key.into_inner().into_owned();
            object.insert(key, self.value(value, &here));
        }
        Value::Object(object)
    }

    fn value(&mut self, value: toml::Spanned<DeValue<'_>>, pointer: &str) -> Value {
        let offset = value.span().start;
        match value.into_inner() {
            DeValue::String(text) => Value::String(text.into_owned()),
            DeValue::Boolean(truth) => Value::Bool(truth),
            DeValue::Datetime(time) => Value::String(time.to_string()),
            DeValue::Table(table) => self.table(table, pointer),
            DeValue::Array(items) => {
                let item = |(index, item): (usize, toml::Spanned<DeValue<'_>>)| {
                    let here = pointer::child(pointer, index);
                    self.note(&here, item.span().start);
                    self.value(item, &here)
                };
                Value::Array(items.into_iter().enumerate().map(item).collect())
            }
            DeValue::Integer(number) => {
                let parsed = i64::from_str_radix(number.as_str(), number.radix()).map(Number::from);
                let parsed = parsed
                    .or_else(|_| u64::from_str_radix(number.as_str(), number.radix()).map(Number::from));
                self.number(parsed.ok(), pointer, offset)
            }
            DeValue::Float(number) => {
                let parsed = number.as_str().parse().ok().and_then(Number::from_f64);
                self.number(parsed, pointer, offset)
            }
        }
    }

    fn number(&mut self, number: Option<Number>, pointer: &str, offset: usize) -> Value {
        let Some(number) = number else {
            let message =
                format!("`{}` is not a finite number that fits into 64 bits", pointer::dotted(pointer));
            self.problems.push(Problem::new(message).at(self.lines.position(offset).0));
            return Value::Null;
        };
        Value::Number(number)
    }

    fn note(&mut self, pointer: &str, offset: usize) {
        let line = self.lines.position(offset).0;
        self.places.insert(pointer.to_owned(), Place { offset, line });
    }
}

/// Where the lines of a text begin.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(index, _)| index + 1);
        Self { text, starts: std::iter::once(0).chain(after_breaks).collect() }
    }

    /// Line and column, both counted from 1; a column is a character.
    fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset);
        let before = self.text.get(self.starts[line - 1]..offset).unwrap_or_default();
        (line, before.chars().count() + 1)
    }
}

/// What the parser found, and what it says of that, in the product's words.
fn syntax_problem(message: &str, found: &str, line: usize, column: usize) -> Problem {
    if message.contains("duplicate key") {
        return Problem::new(format!("`{found}` is defined a second time"))
            .at(line)
            .hint("a section or key may appear only once: merge the two, or rename one");
    }
    Problem::new(format!("not TOML at column {column}: {message}")).at(line)
}
