//! `switchboard plugin`: what plugins there are, what a library is, a new one, and whether one keeps its promises.

mod list;
mod inspect;
mod new;
mod test;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use switchboard::{
    app,
    config::PluginConfig,
    loader::{self, Library},
};

use super::{Exit, Failed, load};

pub use inspect::inspect;
pub use list::list;
pub use new::{New, new};
pub use test::{Test, test};

/// Opens a library by the name of its plugin or by its path.
fn open(path: &Path, library: &str) -> Result<Arc<dyn Library>, Failed> {
    loader::open(&file_of(path, library)?).map_err(|error| Failed::new(Exit::Library, error))
}

/// A path is taken as it is; a name is looked up in plugins.toml, and else in the folder of libraries.
fn file_of(path: &Path, library: &str) -> Result<PathBuf, Failed> {
    if is_path(library) {
        return Ok(PathBuf::from(library));
    }
    let config = load(path)?;
    let unnamed = PluginConfig::new(library);
    let section = config.plugins.iter().find(|section| section.name == library).unwrap_or(&unnamed);
    Ok(app::path_of(section, &app::library_dir(&config)))
}

fn is_path(library: &str) -> bool {
    library.contains(['/', '\\', '.'])
}
