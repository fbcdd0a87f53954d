//! The setting `url` into the database that it names. Errors in it are reported without showing it: it may hold a
//! password.

use std::{
    env, fmt,
    path::{Path, PathBuf},
};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use plugin_api::{prelude::*, tracing, web::is_loopback};
use sqlx::{
    ConnectOptions as _,
    postgres::{PgConnectOptions, PgSslMode},
};

use crate::{
    certificates::{Certificates, check_password_files},
    scrub::{decoded, password},
};

/// The database's file when there is no `url`.
const DEFAULT_FILE: &str = "switchboard.db";

/// The database that the settings name.
#[derive(Debug, Clone)]
pub enum Target {
    Sqlite(PathBuf),
    /// With the files that belong to it, which the options do not name.
    Postgres(Box<PgConnectOptions>, Certificates),
}

impl Target {
    /// Reads the setting; without one it is a file in `data_dir`. `resolve` makes a relative path absolute.
    pub fn new(
        url: Option<&Secret>,
        data_dir: &Path,
        resolve: impl Fn(&str) -> PathBuf,
    ) -> Result<Self, Failure> {
        let Some(url) = url.map(|url| url.expose().trim()) else {
            return Ok(Self::Sqlite(data_dir.join(DEFAULT_FILE)));
        };
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return postgres(url, resolve);
        }
        match url.strip_prefix("sqlite:") {
            Some(path) => sqlite_path(path).map(|path| Self::Sqlite(resolve(path))),
            None => Err(invalid(
                "`url` is neither `postgres://user:password@host:5432/database` nor `sqlite:PATH`",
            )),
        }
    }
}

/// The target as a person may see it: without user and password.
impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(formatter, "the SQLite file `{}`", path.display()),
            Self::Postgres(options, _) => match options.get_socket() {
                Some(socket) => write!(formatter, "PostgreSQL at `{}`", socket.display()),
                None => write!(formatter, "PostgreSQL at `{}:{}`", options.get_host(), options.get_port()),
            },
        }
    }
}

fn postgres(url: &str, resolve: impl Fn(&str) -> PathBuf) -> Result<Target, Failure> {
    let unreadable = || {
        invalid(
            "`url` begins like a PostgreSQL URL, but cannot be read: write it as \
             `postgres://user:password@host:5432/database?sslmode=verify-full`, and characters such as `@`, `/`, `#` \
             within user or password as `%40`, `%2F`, `%23`",
        )
    };
    if splits_a_password(url) {
        return Err(unreadable());
    }
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let mut parameters = parameters(query);
    let certificates = Certificates::take(&mut parameters, resolve);
    let has_password = password(address).is_some() || parameters.iter().any(|(name, _)| name == "password");
    if !has_password {
        check_password_files(|name| env::var_os(name), env::home_dir())?;
    }
    let written =
        |(name, value): &(String, String)| format!("{}={value}", utf8_percent_encode(name, NON_ALPHANUMERIC));
    let query: Vec<_> = parameters.iter().map(written).collect();
    let url = if query.is_empty() { address.to_owned() } else { format!("{address}?{}", query.join("&")) };
    let options: PgConnectOptions = url.parse().map_err(|_| unreadable())?;
    let options = options.application_name("switchboard").disable_statement_logging();
    let is_said = parameters.iter().any(|(name, _)| name == "sslmode" || name == "ssl-mode")
        || env::var_os("PGSSLMODE").is_some_and(|mode| !mode.is_empty());
    let options = verified(options, is_said);
    Ok(Target::Postgres(Box::new(certificates.hidden_from(options)), certificates))
}

/// The driver's own default is `prefer`, by which anyone on the way can pose as the server and is sent the password: from
/// another machine only a server that proves its name is believed, unless it is said otherwise.
fn verified(options: PgConnectOptions, is_said: bool) -> PgConnectOptions {
    if options.get_socket().is_some() || is_loopback(options.get_host()) {
        return options;
    }
    if !is_said {
        return options.ssl_mode(PgSslMode::VerifyFull);
    }
    if !matches!(options.get_ssl_mode(), PgSslMode::VerifyFull) {
        tracing::warn!(
            "`sslmode`, of `url` or of PGSSLMODE, lets anyone on the way to `{}:{}` pose as the server, who then reads the \
             data and may get the password: use `verify-full`, with `sslrootcert` if the authority is your own",
            options.get_host(),
            options.get_port()
        );
    }
    options
}

/// The parameters of a URL: names as they are meant, values as they are written. Those that the driver does not know are left out: it would log their
/// values, which may be secret.
fn parameters(query: &str) -> Vec<(String, String)> {
    const KNOWN: [&str; 18] = [
        "sslmode",
        "ssl-mode",
        "sslrootcert",
        "ssl-root-cert",
        "ssl-ca",
        "sslcert",
        "ssl-cert",
        "sslkey",
        "ssl-key",
        "statement-cache-capacity",
        "host",
        "hostaddr",
        "port",
        "dbname",
        "user",
        "password",
        "application_name",
        "options",
    ];
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let pairs = pairs.map(|(name, value)| (decoded(name), value.to_owned()));
    pairs
        .filter(|(name, _)| {
            let is_known = KNOWN.contains(&name.as_str()) || name.starts_with("options[");
            if !is_known {
                tracing::warn!(
                    "`url` has the parameter `{name}`, which is not known and has no effect: remove it"
                );
            }
            is_known
        })
        .collect()
}

/// Whether a password with a bare `@`, `/`, `?` or `#` would be cut in two, and half of it taken for the host.
fn splits_a_password(url: &str) -> bool {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (authority, rest) =
        after_scheme.split_at(after_scheme.find(['/', '?', '#']).unwrap_or(after_scheme.len()));
    authority.matches('@').count() > 1 || rest.contains('@')
}

/// The path after `sqlite:`, with or without the `//` of a URL.
fn sqlite_path(text: &str) -> Result<&str, Failure> {
    let path = text.strip_prefix("//").unwrap_or(text);
    if path.is_empty() || path.starts_with(":memory:") {
        return Err(invalid(
            "`url` names no file: write `sqlite:PATH`; a database in memory cannot be shared",
        ));
    }
    if path.contains('?') {
        return Err(invalid("`url` has parameters after `?`, but `sqlite:PATH` takes none"));
    }
    Ok(path)
}

fn invalid(message: &str) -> Failure {
    Failure::config_invalid(message).setting("url")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(url: Option<&str>, expected: Expect) {
        let url = url.map(Secret::new);
        let target = Target::new(url.as_ref(), Path::new("/data"), |path| Path::new("/config").join(path));
        let text = match target {
            Ok(target) => target.to_string(),
            Err(failure) => format!("{failure} [{}]", failure.setting.clone().unwrap_or_default()),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn names_the_database_without_its_password() {
        check(None, expect!["the SQLite file `/data/switchboard.db`"]);
        check(Some("sqlite:main.db"), expect!["the SQLite file `/config/main.db`"]);
        check(Some("sqlite://main.db"), expect!["the SQLite file `/config/main.db`"]);
        check(Some("sqlite:///var/main.db"), expect!["the SQLite file `/var/main.db`"]);
        check(Some("postgres://ann:hush@db.example/main"), expect!["PostgreSQL at `db.example:5432`"]);
        check(Some("postgresql://ann:hush@[::1]:6000/main"), expect!["PostgreSQL at `[::1]:6000`"]);
    }

    #[test]
    fn parameters_count_however_they_are_written() {
        let url =
            "postgres://ann:hush@db/main?options%5Bsearch_path%5D=a%20b&%73slmode=disable&options[x]=1&no=pe";
        let Ok(Target::Postgres(options, _)) =
            Target::new(Some(&Secret::new(url)), Path::new(""), |path| path.into())
        else {
            panic!("it is a URL of PostgreSQL")
        };
        assert_eq!(options.get_options(), Some("-c search_path=a\\ b -c x=1"));
        assert!(matches!(options.get_ssl_mode(), PgSslMode::Disable), "{:?}", options.get_ssl_mode());
    }

    #[test]
    fn a_server_elsewhere_has_to_prove_its_name_unless_the_url_says_otherwise() {
        let check = |place: &str, expected: &str| {
            let url = Secret::new(format!("postgres://ann:hush@{place}"));
            let target = Target::new(Some(&url), Path::new(""), |path| path.into());
            let Ok(Target::Postgres(options, _)) = target else { panic!("it is a URL of PostgreSQL") };
            assert_eq!(format!("{:?}", options.get_ssl_mode()), expected, "{place}");
        };
        check("db.example/main", "VerifyFull");
        check("10.0.0.1/main?sslrootcert=ca.pem", "VerifyFull");
        check("localhost.example/main", "VerifyFull");
        check("[2001:db8::1]/main", "VerifyFull");
        check("0.0.0.0/main", "VerifyFull");
        check("localhost/main?host=db.example", "VerifyFull");
        check("db.example/main?sslmode=prefer", "Prefer");
        check("db.example/main?ssl-mode=disable", "Disable");
        check("db.example/main?sslmode=verify-ca", "VerifyCa");
        check("localhost/main", "Prefer");
        check("127.0.0.1/main", "Prefer");
        check("[::1]/main", "Prefer");
        check("db.example/main?host=%2Fvar%2Frun", "Prefer");
        check("%2Fvar%2Frun/main", "Prefer");
    }

    #[test]
    fn what_cannot_be_read_is_never_shown() {
        check(
            Some("mysql://ann:hush@db/main"),
            expect![
                "config_invalid: `url` is neither `postgres://user:password@host:5432/database` nor `sqlite:PATH` [url]"
            ],
        );
        check(
            Some("data/main.db"),
            expect![
                "config_invalid: `url` is neither `postgres://user:password@host:5432/database` nor `sqlite:PATH` [url]"
            ],
        );
        check(
            Some("postgres://ann:hu/sh@db:x/main"),
            expect![
                "config_invalid: `url` begins like a PostgreSQL URL, but cannot be read: write it as `postgres://user:password@host:5432/database?sslmode=verify-full`, and characters such as `@`, `/`, `#` within user or password as `%40`, `%2F`, `%23` [url]"
            ],
        );
        // Half of this password would be taken for the host, and shown.
        let bare = Some("postgres://ann:hu@sh#1@db/main");
        check(
            bare,
            expect![
                "config_invalid: `url` begins like a PostgreSQL URL, but cannot be read: write it as `postgres://user:password@host:5432/database?sslmode=verify-full`, and characters such as `@`, `/`, `#` within user or password as `%40`, `%2F`, `%23` [url]"
            ],
        );
        check(
            Some("sqlite::memory:"),
            expect![
                "config_invalid: `url` names no file: write `sqlite:PATH`; a database in memory cannot be shared [url]"
            ],
        );
        check(
            Some("sqlite:main.db?mode=ro"),
            expect!["config_invalid: `url` has parameters after `?`, but `sqlite:PATH` takes none [url]"],
        );
    }
}
