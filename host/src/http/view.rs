//! What can be asked for, and who asks.

/// The half of the plugins that a route speaks of; what could not be loaded is in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Integrations,
    Services,
}

impl Section {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Integrations => "integrations",
            Self::Services => "services",
        }
    }
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Overview,
    List(Section),
    Connections,
    Summary,
    /// The plugin at this place of the snapshot.
    Plugin(Section, usize),
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    Operator,
    /// Sees how it stands, and not why.
    Anybody,
}
