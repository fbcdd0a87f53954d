//! The section of plugins.toml that loads a new plugin: added at the end of the file, which is made if there is none.
//! The rest of the file is left as it is.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use super::place::{self, Place};

/// A section that can be added.
pub(super) struct Section {
    path: PathBuf,
    text: String,
}

impl Section {
    /// The section for a plugin.
    ///
    /// # Errors
    /// Why plugins.toml cannot take it.
    pub(super) fn of(config: &Path, name: &str, place: &Place) -> Result<Self, String> {
        let path = match &place.workspace {
            Some(root) if config == Path::new("plugins.toml") => root.join(config),
            _ => config.to_owned(),
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(format!("`{}` cannot be read: {error}", path.display())),
        };
        let library = place.sdk.as_ref().map(|_| {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            place::from(folder.unwrap_or(Path::new(".")), &place.library())
        });
        let text = added(&text, name, library.as_deref());
        text.map(|text| Self { text, path: path.clone() })
            .map_err(|problem| format!("`{}` {problem}", path.display()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the file.
    pub(super) fn write(&self) -> Result<(), String> {
        fs::write(&self.path, &self.text)
            .map_err(|error| format!("`{}` cannot be written: {error}", self.path.display()))
    }
}

/// The file with the section at its end.
fn added(text: &str, name: &str, library: Option<&Path>) -> Result<String, String> {
    let known: Table =
        text.parse().map_err(|error: toml::de::Error| format!("is not TOML: {}", error.message()))?;
    if known.get("plugins").and_then(|plugins| plugins.get(name)).is_some() {
        return Err(format!("has a section `[plugins.{name}]` already: choose another name, or remove it"));
    }
    let head = if text.trim().is_empty() {
        "# What this host runs; `switchboard schema` prints every key there is.\n".to_owned()
    } else {
        format!("{}\n\n", text.trim_end())
    };
    let library = library.map(|path| {
        let path = Value::String(path.to_string_lossy().into_owned());
        format!("# A release build is in `release` instead of `debug`.\nlibrary = {path}\n")
    });
    let about = "# Made by `switchboard plugin new`: its README says what it does and how to configure it.\n";
    let new = format!("{head}\n{about}[plugins.{name}]\n{}", library.unwrap_or_default());
    match new.parse::<Table>() {
        Ok(_) => Ok(new),
        Err(_) => {
            Err(format!("has `plugins` in a form that takes no section: add `[plugins.{name}]` by hand"))
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_section_is_added_and_the_rest_is_kept() {
        let text = "# mine\n[plugins.database] # first\nrequired = true\n\n\n";
        expect![[r#"
            # mine
            [plugins.database] # first
            required = true


            # Made by `switchboard plugin new`: its README says what it does and how to configure it.
            [plugins.weather]
        "#]]
        .assert_eq(&added(text, "weather", None).unwrap());
    }

    #[test]
    fn a_new_file_names_the_library_by_path() {
        expect![[r#"
            # What this host runs; `switchboard schema` prints every key there is.

            # Made by `switchboard plugin new`: its README says what it does and how to configure it.
            [plugins.weather]
            # A release build is in `release` instead of `debug`.
            library = "weather/target/debug/libweather.so"
        "#]]
        .assert_eq(&added("", "weather", Some(Path::new("weather/target/debug/libweather.so"))).unwrap());
    }

    #[test]
    fn a_file_that_cannot_take_it_is_told_why() {
        let refused = |text| added(text, "weather", None).unwrap_err();
        expect!["has a section `[plugins.weather]` already: choose another name, or remove it"]
            .assert_eq(&refused("[plugins.weather]\n"));
        expect!["has `plugins` in a form that takes no section: add `[plugins.weather]` by hand"]
            .assert_eq(&refused("plugins = { database = {} }\n"));
        expect!["is not TOML: unclosed table, expected `]`"].assert_eq(&refused("[plugins"));
    }
}
