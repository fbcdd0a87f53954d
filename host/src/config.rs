//! (under construction)

/// The closest of the known names, if it is close enough to be meant.
pub fn closest<'a>(_name: &str, _known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    None
}
