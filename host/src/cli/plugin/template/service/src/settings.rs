//! What the operator may set. The host has checked types and names before an instance is made; what only the plugin can
//! judge is judged here.

use plugin_api::prelude::*;

/// How people are greeted.
#[plugin_api::settings]
pub struct Settings {
    /// The word that a greeting begins with.
    #[setting(env = "SAMPLE_PLUGIN_GREETING")]
    #[serde(default = "hello")]
    pub greeting: String,
}

impl Settings {
    /// Refuses what cannot work, and names the setting.
    pub fn check(&self) -> Result<(), Failure> {
        if self.greeting.trim().is_empty() {
            let message = "`greeting` is blank: give it a word such as `Hello`, or remove it";
            return Err(Failure::config_invalid(message).setting("greeting"));
        }
        Ok(())
    }
}

fn hello() -> String {
    "Hello".to_owned()
}
