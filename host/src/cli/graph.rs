//! `switchboard graph`: what depends on what, and what falls with what.

use std::path::Path;

use switchboard::{app, graph::render};

use super::{Exit, Failed, GraphFormat, load, show};

/// Draws the start plan, or what a plugin takes down.
pub fn graph(path: &Path, format: GraphFormat, down: Option<&str>) -> Result<Exit, Failed> {
    let config = load(path)?;
    let prepared = app::prepare(&config).map_err(|refused| Failed::new(Exit::Configuration, refused))?;
    let plan = &prepared.plan;
    let drawn = match (down, format) {
        (Some(name), _) => render::down(plan, name).map_err(|problem| Failed::new(Exit::Usage, problem))?,
        (None, GraphFormat::Tree) => render::tree(plan),
        (None, GraphFormat::Dot) => render::dot(plan),
        (None, GraphFormat::Mermaid) => render::mermaid(plan),
        (None, GraphFormat::Json) => render::json(plan),
    };
    show(drawn.trim_end());
    Ok(Exit::Success)
}
