//! Did you mean …?

/// The closest of the known names, if it is close enough to be meant.
pub fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = (name.chars().count() / 3).max(1);
    let measured = known.into_iter().map(|known| (strsim::damerau_levenshtein(name, known), known));
    measured.filter(|(distance, _)| *distance <= near).min().map(|(_, known)| known)
}

/// The hint that goes with a name that is not known: the closest, or all of them.
pub(super) fn hint(name: &str, known: &[&str]) -> Option<String> {
    if let Some(meant) = closest(name, known.iter().copied()) {
        return Some(format!("did you mean `{meant}`?"));
    }
    let all: Vec<_> = known.iter().map(|known| format!("`{known}`")).collect();
    (!all.is_empty()).then(|| format!("the keys here are {}", all.join(", ")))
}
