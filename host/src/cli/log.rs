//! `switchboard log`: the levels of a running host's log, as they are or as they are to be until the host ends.

use serde_json::json;
use switchboard::app::Levels;

use super::{
    Exit, Failed, Source,
    client::{HostClient, Reach},
    runtime, show,
};

/// The word for what plugins.toml says.
const DEFAULT: &str = "default";

/// Sets a level if one is given, and shows all.
pub fn log(source: &Source, wanted: Option<(String, String)>, reach: Reach) -> Result<Exit, Failed> {
    runtime()?.block_on(async {
        let host = HostClient::find(source, reach)?;
        let Levels { levels, set } = match wanted {
            None => host.ask("log_levels", &json!({})).await?,
            Some((plugin, level)) => {
                let level = (level != DEFAULT).then_some(level);
                host.ask("set_log_level", &json!({ "plugin": plugin, "level": level })).await?
            }
        };
        let width = levels.keys().map(String::len).max().unwrap_or_default();
        for (name, level) in &levels {
            let mark = if set.contains(name) { "  (set at run time)" } else { "" };
            show(format_args!("{name:width$}  {}{mark}", level.as_str()));
        }
        Ok(Exit::Success)
    })
}
