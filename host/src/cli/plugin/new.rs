//! `switchboard plugin new`: a name becomes a crate that builds, loads and is healthy at the first try, and a section
//! of plugins.toml that loads it. Overwrites nothing: all is judged before the first file is written.

mod files;
mod name;
mod place;
mod section;

use std::{fs, io, path::Path};

use clap::{Args, ValueEnum};

use self::{place::Place, section::Section};
use crate::cli::{Exit, Failed, show};

/// What is wished for.
#[derive(Debug, Args)]
pub struct New {
    /// The plugin's name: snake_case, such as `weather`.
    name: String,
    /// An integration connects to an outside system; a service works with other plugins.
    #[arg(long, value_enum, default_value_t)]
    kind: Kind,
    /// The folder `plugin-api` of Switchboard's sources: creates the crate outside of them.
    #[arg(long, value_name = "PATH")]
    sdk: Option<std::path::PathBuf>,
    /// Where to create the crate with `--sdk`; by default a folder of its name in the current one.
    #[arg(long, value_name = "PATH", requires = "sdk")]
    dir: Option<std::path::PathBuf>,
}

/// Which of the two templates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Connects to an outside system.
    Integration,
    /// Works with other plugins.
    #[default]
    Service,
}

/// Writes the crate, and names it in plugins.toml.
pub fn new(config: &Path, wish: &New) -> Result<Exit, Failed> {
    name::check(&wish.name).map_err(|problem| Failed::new(Exit::Usage, problem))?;
    let failed = |problem: String| Failed::new(Exit::Failed, problem);
    let place = match &wish.sdk {
        Some(sdk) => Place::outside(&wish.name, sdk, wish.dir.as_deref()),
        None => Place::inside(&wish.name),
    }
    .map_err(failed)?;
    let section = Section::of(config, &wish.name, &place).map_err(failed)?;
    for (path, text) in files::of(&wish.name, wish.kind, &place) {
        let path = place.folder.join(path);
        write(&path, &text)
            .map_err(|error| failed(format!("`{}` cannot be written: {error}", path.display())))?;
    }
    section.write().map_err(failed)?;
    show(format_args!(
        "created `{}`, and added it to `{}`",
        place.folder.display(),
        section.path().display()
    ));
    show(format_args!("\nnext:\n{}", next(&wish.name, wish.kind, &place)));
    Ok(Exit::Success)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

/// The commands that lead to a healthy plugin.
fn next(name: &str, kind: Kind, place: &Place) -> String {
    let call = match kind {
        Kind::Integration => format!("call {name}.add '{{\"note\":\"buy milk\"}}'"),
        Kind::Service => format!("call {name}.greet '{{\"name\":\"Ada\"}}'"),
    };
    match &place.sdk {
        None => format!("  cargo run\n  cargo run -- {call}\n  cargo run -- plugin test {name}"),
        Some(_) => {
            let (folder, library) = (place.folder.display(), place.library().display().to_string());
            format!(
                "  (cd {folder} && cargo build)\n  switchboard plugin test {library}\n  switchboard run\n  switchboard {call}"
            )
        }
    }
}
