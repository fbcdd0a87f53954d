//! The server's list of models -> whether those of the settings are there, and for how long. Pure.

use plugin_api::{jiff::civil::Date, requests::openai::TroubleCode, serde_json::Value};

use crate::{
    fields,
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
    !names.is_empty() && !names.iter().any(|listed| is_meant(listed, &model.name))
}

/// Whether what is listed is the model of this name: Gemini lists `models/NAME`, LiteLLM patterns such as `openai/*`, and
/// OpenRouter leaves out a suffix of the name such as `:free`.
fn is_meant(listed: &str, name: &str) -> bool {
    let listed = listed.strip_prefix("models/").unwrap_or(listed);
    let name = name.strip_prefix("models/").unwrap_or(name);
    let is_pattern = |(begin, end): (&str, &str)| {
        name.len() >= begin.len() + end.len() && name.starts_with(begin) && name.ends_with(end)
    };
    listed == name
        || name.split_once(':').is_some_and(|(name, _)| name.contains('/') && listed == name)
        || listed.split_once('*').is_some_and(is_pattern)
}

/// Which models calls ask for that name none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Uses {
    pub chat: bool,
    pub embedding: bool,
}

/// A model that is about to be shut down, as the list says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    pub model: String,
    pub on: Date,
    /// The variable by which another one is chosen.
    pub variable: &'static str,
}

impl Ending {
    /// In words.
    pub fn message(&self) -> String {
        format!("the model `{}` is shut down on {}", self.model, self.on)
    }

    /// How many days are left; negative if it is over.
    pub fn days_left(&self, today: Date) -> i32 {
        today.until(self.on).map_or(i32::MAX, |span| span.get_days())
    }
}

/// Which models of the settings are about to be shut down.
pub fn endings(list: &Value, config: &Config) -> Vec<Ending> {
    let models = [
        (config.model.name.as_str(), "OPENAI_MODEL"),
        (config.embedding_model.name.as_str(), "OPENAI_EMBEDDING_MODEL"),
        (config.realtime_model.as_str(), "OPENAI_REALTIME_MODEL"),
    ];
    let of_model = |(name, variable): (&str, &'static str)| {
        let listed = fields::list(list, "data").iter();
        let dates = listed
            .filter(|model| fields::text(model, "id").as_deref() == Some(name))
            .filter_map(|model| fields::text(model, "shutdown_date")?.get(..10)?.parse().ok());
        dates.map(|on| Ending { model: name.to_owned(), on, variable }).next()
    };
    models.into_iter().filter_map(of_model).collect()
}

/// What follows from models that are not there. One that nobody chose and no call asks for may lack while the other is
/// there: a server that only chats, or only makes vectors, is a good server.
pub fn judge(
    config: &Config,
    names: &[&str],
    (no_chat, no_embedding): (bool, bool),
    uses: Uses,
) -> Result<(), Trouble> {
    let missing = |model: &Model, setting, variable: &str| {
        let message = format!(
            "`{}` has no model `{}`, or this key may not use it: set `{variable}`; it lists {}",
            config.server(),
            model.name,
            shown(names)
        );
        Trouble::new(TroubleCode::ModelNotFound, message).setting(setting)
    };
    if no_chat && (config.model.chosen || uses.chat || no_embedding) {
        return Err(missing(&config.model, "model", "OPENAI_MODEL"));
    }
    if no_embedding && (config.embedding_model.chosen || uses.embedding) {
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
