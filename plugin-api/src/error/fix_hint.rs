//! What mends a trouble, as the plugin knows it: the host makes the fix that people see out of this and the reason's
//! code.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What mends a trouble, where the reason's code alone does not say it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FixHint {
    /// What to do, for a person: `Allow the key to use the model`. Without it the host words it by the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The key of the setting to correct.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setting: Option<String>,
    /// The link to follow: to consent, or to the vendor's console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub href: Option<String>,
}

impl FixHint {
    /// What to do, in words for a person.
    pub fn label(label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..Self::default() }
    }

    /// The key of the setting to correct.
    pub fn setting(key: impl Into<String>) -> Self {
        Self { setting: Some(key.into()), ..Self::default() }
    }

    /// With the link to follow.
    pub fn href(mut self, href: impl Into<String>) -> Self {
        self.href = Some(href.into());
        self
    }

    /// `None` if it says nothing.
    pub(crate) fn or_none(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }
}
