//! The allow-list of plugins.toml: which tools a plugin may list and call.

/// `google_calendar.*`, `smtp.send_email`: a name in which `*` stands for any text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// A pattern out of plugins.toml.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let mut last = None;
        for part in parts {
            if let Some(part) = last.replace(part) {
                let Some(found) = rest.find(part) else { return false };
                rest = &rest[found + part.len()..];
            }
        }
        last.map_or(rest.is_empty(), |last| rest.ends_with(last))
    }

    /// Whether it may match a tool of a plugin whose tools nobody knows.
    fn may_match_tool_of(&self, plugin: &str) -> bool {
        let (start, tools) = (self.0.split('*').next().unwrap_or_default(), format!("{plugin}."));
        start.starts_with(&tools) || (start.len() < self.0.len() && tools.starts_with(start))
    }
}

/// The allow-list of one plugin.
#[derive(Debug, Clone, Default)]
pub struct ToolPolicy {
    /// What it may list and call.
    pub allow: Vec<Pattern>,
    /// Which of these wait for a person, beside those that are marked so.
    pub approve: Vec<Pattern>,
    /// Whether it may state that a person agreed to a call.
    pub decides: bool,
}

impl ToolPolicy {
    pub(super) fn allows(&self, name: &str) -> bool {
        self.allow.iter().any(|pattern| pattern.matches(name))
    }

    pub(super) fn may_allow_tool_of(&self, plugin: &str) -> bool {
        self.allow.iter().any(|pattern| pattern.may_match_tool_of(plugin))
    }

    pub(super) fn asks_a_person(&self, name: &str) -> bool {
        self.approve.iter().any(|pattern| pattern.matches(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, name: &str, expected: bool) {
        assert_eq!(Pattern::new(pattern).matches(name), expected, "`{pattern}` and `{name}`");
    }

    #[test]
    fn a_pattern_tells_whether_a_plugin_may_have_a_tool_for_it() {
        for pattern in ["smtp.send_email", "smtp.*", "*.send_email", "s*l", "smt*", "*"] {
            assert!(Pattern::new(pattern).may_match_tool_of("smtp"), "`{pattern}`");
        }
        for pattern in ["smtp", "smtp2.*", "smtp_two.send", "twilio.*", ""] {
            assert!(!Pattern::new(pattern).may_match_tool_of("smtp"), "`{pattern}`");
        }
    }

    #[test]
    fn patterns_match_whole_names() {
        check("smtp.send_email", "smtp.send_email", true);
        check("smtp.send", "smtp.send_email", false);
        check("google_calendar.*", "google_calendar.list_events", true);
        check("google_calendar.*", "google_calendar_two.list_events", false);
        check("*.send_*", "smtp.send_email", true);
        check("*.send_*", "smtp.resend_email", false);
        check("a*b*c", "a-b-b-c", true);
        check("a*a", "a", false);
        check("*", "anything.at_all", true);
        check("", "smtp.send_email", false);
    }
}
