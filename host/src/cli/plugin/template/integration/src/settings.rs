//! What the operator may set. The host has checked types and names before an instance is made.

/// Where the notes are.
#[plugin_api::settings]
pub struct Settings {
    /// The file of the notes, relative to plugins.toml. By default it is in the host's folder for data.
    #[setting(env = "SAMPLE_PLUGIN_FILE")]
    pub file: Option<String>,
}
