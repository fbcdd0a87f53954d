//! How to write a plugin, page by page. Every block of code in them is compiled and run as a test, and the first page
//! is carried out as it stands.

#[doc = include_str!("../docs/first_integration.md")]
pub mod first_integration {}
#[doc = include_str!("../docs/lifecycle.md")]
pub mod lifecycle {}
#[doc = include_str!("../docs/errors.md")]
pub mod errors {}
#[doc = include_str!("../docs/call.md")]
pub mod call {}
#[doc = include_str!("../docs/stream.md")]
pub mod stream {}
#[doc = include_str!("../docs/route.md")]
pub mod route {}
#[doc = include_str!("../docs/tools.md")]
pub mod tools {}
#[doc = include_str!("../docs/http_client.md")]
pub mod http_client {}
#[doc = include_str!("../docs/database.md")]
pub mod database {}
#[doc = include_str!("../docs/testing.md")]
pub mod testing {}

#[cfg(test)]
mod tests {
    use crate::error::{ErrorKind, ReasonCode};

    const PAGE: &str = include_str!("../docs/errors.md");

    /// The cells of each row whose first cell is one of these names, without the backticks.
    fn rows(names: &[&str]) -> Vec<Vec<String>> {
        let cells = |row: &str| -> Vec<String> {
            row.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
        };
        PAGE.lines().map(cells).filter(|row| names.contains(&row[0].as_str())).collect()
    }

    /// Codes and kinds share some names; only kinds have a status.
    fn is_status(cell: &str) -> bool {
        cell.parse::<u16>().is_ok()
    }

    #[test]
    fn the_page_on_errors_tells_the_policy_and_the_fix_of_every_code() {
        let mut rows = rows(&ReasonCode::ALL.map(ReasonCode::as_str));
        rows.retain(|row| !is_status(&row[1]));
        assert_eq!(rows.len(), ReasonCode::ALL.len());
        for code in ReasonCode::ALL {
            let row = rows.iter().find(|row| row[0] == code.as_str()).unwrap();
            let fix = serde_json::to_value(code.fix()).unwrap();
            assert_eq!(
                (row[2].as_str(), row[3].as_str()),
                (&*format!("{:?}", code.policy()), fix.as_str().unwrap())
            );
        }
    }

    #[test]
    fn the_page_on_errors_tells_the_status_and_the_retry_of_every_kind() {
        let mut rows = rows(&ErrorKind::ALL.map(ErrorKind::as_str));
        rows.retain(|row| is_status(&row[1]));
        assert_eq!(rows.len(), ErrorKind::ALL.len());
        for kind in ErrorKind::ALL {
            let row = rows.iter().find(|row| row[0] == kind.as_str()).unwrap();
            let retry = match (kind.may_retry(false), kind.may_retry(true)) {
                (true, _) => "yes",
                (false, true) => "if idempotent",
                (false, false) => "no",
            };
            assert_eq!(
                (row[1].as_str(), row[2].as_str()),
                (&*kind.http_status().to_string(), retry),
                "{kind}"
            );
        }
    }
}
