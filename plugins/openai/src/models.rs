//! The server's list of models -> whether those of the settings are there. Pure.

use plugin_api::{requests::openai::TroubleCode, serde_json::Value};

use crate::{
    settings::{Config, Model},
    trouble::Trouble,
};

/// How many names a message lists.
const NAMES_SHOWN: usize = 5;

/// The names in a list of models; `None` if that is no list.
pub fn names(list: &Value) -> Option<Vec<&str>> {
    let list = list.get("data").or_else(|| list.get("models")).unwrap_or(list);
    // Some servers write `null` where there is none.
    if list.is_null() {
        return Some(Vec::new());
    }
    let name = |model| Value::as_str(Value::get(model, "id").or_else(|| Value::get(model, "name"))?);
    Some(list.as_array()?.iter().filter_map(name).collect())
}

/// Whether a list says that this model is not there. A list without any names says nothing.
pub fn lacks(names: &[&str], model: &Model) -> bool {
    !names.is_empty() && !names.contains(&model.name.as_str())
}

/// What follows from models that are not there. One that nobody chose may lack while the other is there: a server that
/// only chats, or only makes vectors, is a good server.
pub fn judge(config: &Config, names: &[&str], no_chat: bool, no_embedding: bool) -> Result<(), Trouble> {
    let missing = |model: &Model, setting, variable: &str| {
        let message = format!(
            "`{}` has no model `{}`, or this key may not use it: set `{variable}`; it lists {}",
            config.server(),
            model.name,
            shown(names)
        );
        Trouble::new(TroubleCode::ModelNotFound, message).setting(setting)
    };
    if no_chat && (config.model.chosen || no_embedding) {
        return Err(missing(&config.model, "model", "OPENAI_MODEL"));
    }
    if no_embedding && config.embedding_model.chosen {
        return Err(missing(&config.embedding_model, "embedding_model", "OPENAI_EMBEDDING_MODEL"));
    }
    Ok(())
}

fn shown(names: &[&str]) -> String {
    let first: Vec<String> = names.iter().take(NAMES_SHOWN).map(|name| format!("`{name}`")).collect();
    let rest = names.len().saturating_sub(NAMES_SHOWN);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{}{more}", first.join(", "))
}
