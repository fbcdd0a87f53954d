//! Did you mean …?

use super::Problem;

/// The closest of the known names, if it is close enough to be meant.
pub fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = (name.chars().count() / 3).max(1);
    let measured = known.into_iter().map(|known| (strsim::damerau_levenshtein(name, known), known));
    measured.filter(|(distance, _)| *distance <= near).min().map(|(_, known)| known)
}

/// Whether a name is another one with a slip of the fingers in it.
pub(super) fn is_slip(name: &str, meant: &str) -> bool {
    name != meant && strsim::damerau_levenshtein(name, meant) == 1
}

/// What is said of a value that is nothing but a variable that is not set, with the name that was probably meant.
pub(super) fn unset(key: &str, variable: &str, meant: Option<&str>) -> Problem {
    let hint = match meant {
        Some(meant) => format!("did you mean `${{{meant}}}`?"),
        None => format!("set it, or write `${{{variable}:-}}` if it may be absent"),
    };
    Problem::new(format!("`{key}` counts as absent: the variable `{variable}` is not set")).hint(hint)
}

/// The hint that goes with a name that is not known: the closest, or all of them.
pub(super) fn hint(name: &str, known: &[&str]) -> Option<String> {
    if let Some(meant) = closest(name, known.iter().copied()) {
        return Some(format!("did you mean `{meant}`?"));
    }
    let all: Vec<_> = known.iter().map(|known| format!("`{known}`")).collect();
    (!all.is_empty()).then(|| format!("the keys here are {}", all.join(", ")))
}
