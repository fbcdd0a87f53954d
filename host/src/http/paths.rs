//! Paths: what they name, and what is wrong with one that leads nowhere.

use axum::extract::{Path, rejection::PathRejection};
use plugin_api::manifest::judge::HOST_PATHS;

use super::{
    problem::{Problem, quoted},
    routes::RouteTable,
};

/// What the path names, decoded.
pub(super) fn plain<T>(path: Result<Path<T>, PathRejection>) -> Result<T, Problem> {
    let Path(path) = path.map_err(|_| {
        Problem::bad_request(
            "the path is not UTF-8 once it is decoded",
            "write names as `/api/health/integrations` lists them: they are snake_case",
        )
    })?;
    Ok(path)
}

/// Whether the host itself serves a path, and no plugin can.
pub(super) fn is_of_host(path: &str) -> bool {
    HOST_PATHS.into_iter().any(|known| {
        let mut segments = path.split('/');
        let fits = known
            .split('/')
            .all(|known| segments.next().is_some_and(|is| known.starts_with('{') || known == is));
        fits && segments.next().is_none()
    })
}

/// Nothing is served at this path; names the nearest that are.
pub(super) fn unknown_path(path: &str, routes: &RouteTable) -> Problem {
    let known = HOST_PATHS.into_iter().chain(routes.paths());
    let mut paths: Vec<_> = known.map(|known| (strsim::jaro_winkler(known, path), known)).collect();
    paths.sort_by(|one, other| other.0.total_cmp(&one.0));
    let near: Vec<_> = paths.iter().take(3).map(|(_, known)| format!("`{known}`")).collect();
    Problem::not_found(
        format!("there is no route {}", quoted(path)),
        format!("the nearest are {}", near.join(", ")),
    )
}

/// The answer to this has the header that it names.
pub(super) fn wrong_method_of(path: &str, method: &str) -> Problem {
    let detail = format!("{path} does not take {}", quoted(method));
    Problem::method_not_allowed(detail, "use one of the methods that the header `Allow` names")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_host_are_told_from_those_of_plugins() {
        for own in
            ["/", "/livez", "/api/health", "/api/health/services/any/verify", "/api/operations/host/reload"]
        {
            assert!(is_of_host(own), "{own}");
        }
        for other in
            ["/api/voice", "/api/healthy", "/api/health/services/any/verify/more", "/api/operations", ""]
        {
            assert!(!is_of_host(other), "{other}");
        }
    }
}
