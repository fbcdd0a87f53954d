//! What cannot be read at all: no file, no text, no TOML.

use std::path::Path;

use expect_test::expect;

use super::{super::*, refused};

#[test]
fn a_bad_line_beside_it_is_refused_without_being_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plugins.toml");
    std::fs::write(&path, "[plugins.a]\n").unwrap();
    std::fs::write(folder.path().join(".env"), "GOOD=1\nPASSWORD=hush hush\n").unwrap();
    let problems = load(&path, &Environment::default()).unwrap_err().to_string();
    let problems = problems.replace(&format!("{}/", folder.path().display()), "");
    expect![[r#"
        plugins.toml: line 2 of the `.env` beside it has blanks in its value, but no quotes
          hint: put a literal value in single quotes: `NAME='a value'`"#]]
    .assert_eq(&problems);
}

#[test]
fn a_missing_file() {
    let problems = load(Path::new("./no/such/plugins.toml"), &Environment::default()).unwrap_err();
    expect![[r#"
        no/such/plugins.toml: there is no such file
          hint: name another with `--config PATH` or `SWITCHBOARD_CONFIG`, or make it:
                [plugins.database]
                required = true"#]]
    .assert_eq(&problems.to_string());
}

#[test]
fn a_folder_and_a_file_that_is_not_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plugins.toml");
    std::fs::create_dir(&path).unwrap();
    let problem =
        |path: &Path| load(path, &Environment::default()).unwrap_err().iter().next().unwrap().clone();
    expect![[r#"
        it is a folder
          hint: give `--config` the file in it"#]]
    .assert_eq(&problem(&path).to_string());
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, b"[host]\n# caf\xe9\n").unwrap();
    expect![[r#"
        Problem {
            line: Some(
                2,
            ),
            message: "not UTF-8 text",
            hint: None,
        }
    "#]]
    .assert_debug_eq(&problem(&path));
}

#[test]
fn an_empty_file() {
    refused(
        "",
        expect![[r#"
            plugins.toml: it is empty
              hint: a section declares a plugin, for example:
                    [plugins.database]
                    required = true"#]],
    );
    refused(
        "# only a comment\n\n",
        expect![[r#"
            plugins.toml: it is empty
              hint: a section declares a plugin, for example:
                    [plugins.database]
                    required = true"#]],
    );
}

#[test]
fn not_toml() {
    refused(
        "this is not toml\n",
        expect!["plugins.toml:1: not TOML at column 6: key with no value, expected `=`"],
    );
    refused(
        "[host\nlisten = \"x\"\n",
        expect!["plugins.toml:1: not TOML at column 6: unclosed table, expected `]`"],
    );
    refused(
        "[host]\nlisten = 'a\ndata_dir = 'b'\n",
        expect!["plugins.toml:2: not TOML at column 12: invalid literal string, expected `'`"],
    );
    refused(
        "[host]\nlisten = \n",
        expect![
            "plugins.toml:2: not TOML at column 10: string values must be quoted, expected literal string"
        ],
    );
    refused(
        "[plugins.smtp]\nrequired = True\n",
        expect!["plugins.toml:2: not TOML at column 12: invalid boolean, expected `true`"],
    );
    refused(
        "{\"host\": 1}",
        expect!["plugins.toml:1: not TOML at column 1: invalid key-value pair, expected key"],
    );
}

#[test]
fn a_section_or_key_that_is_there_twice() {
    refused(
        "[plugins.smtp]\n\n[plugins.smtp]\n",
        expect![[r#"
            plugins.toml:3: `smtp` is defined a second time
              hint: a section or key may appear only once: merge the two, or rename one"#]],
    );
    refused(
        "[plugins.smtp]\nrequired = true\nrequired = false\n",
        expect![[r#"
            plugins.toml:3: `required` is defined a second time
              hint: a section or key may appear only once: merge the two, or rename one"#]],
    );
}

#[test]
fn numbers_that_json_has_not() {
    refused(
        "[plugins.a.settings]\nn = 99999999999999999999\nm = nan\n",
        expect![[r#"
        plugins.toml:2: `plugins.a.settings.n` is not a finite number that fits into 64 bits
        plugins.toml:3: `plugins.a.settings.m` is not a finite number that fits into 64 bits"#]],
    );
}
