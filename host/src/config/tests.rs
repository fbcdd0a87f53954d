//! Whole files: what comes of good ones, and the exact text that a person reads about bad ones.

use std::path::Path;

use expect_test::Expect;

use super::*;

mod accepted;
mod unreadable;
mod refused;
mod arbitrary;

/// No such folder exists, so that no `.env` is found there.
fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, Problems> {
    let environment = Environment::from_pairs(variables.iter().copied());
    parse(&Path::new("/nowhere").join("plugins.toml"), text, &environment)
}

#[track_caller]
fn good(text: &str, variables: &[(&str, &str)]) -> Config {
    read(text, variables).unwrap_or_else(|problems| panic!("{problems}"))
}

#[track_caller]
fn refused(text: &str, expected: Expect) {
    refused_with(text, &[("EMPTY", ""), ("NAME", "ada")], expected);
}

#[track_caller]
fn refused_with(text: &str, variables: &[(&str, &str)], expected: Expect) {
    let problems = read(text, variables).expect_err("refused").to_string();
    expected.assert_eq(&problems.replace("/nowhere/", ""));
}
