//! The files that a PostgreSQL URL names: by which the server is known, and by which we are. We read them, and hand the
//! driver what they hold: it would open whatever stands at the path, and read it to its end for each connection.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use plugin_api::{
    files::{self, Unreadable},
    prelude::*,
    tokio::task::spawn_blocking,
};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::scrub::decoded;

/// A parameter of the URL, the names that other clients have for it, and libpq's variable.
struct Parameter {
    name: &'static str,
    aliases: [&'static str; 2],
    variable: &'static str,
}

const ROOT: Parameter =
    Parameter { name: "sslrootcert", aliases: ["ssl-root-cert", "ssl-ca"], variable: "PGSSLROOTCERT" };
const CERTIFICATE: Parameter =
    Parameter { name: "sslcert", aliases: ["ssl-cert", "sslcert"], variable: "PGSSLCERT" };
const KEY: Parameter = Parameter { name: "sslkey", aliases: ["ssl-key", "sslkey"], variable: "PGSSLKEY" };

/// The files, as far as any are named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Certificates {
    root: Option<Named>,
    certificate: Option<Named>,
    key: Option<Named>,
}

/// A file and what names it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    by: &'static str,
    path: PathBuf,
}

impl Certificates {
    /// Takes what names a file out of the parameters of a URL. `resolve` makes a relative path absolute.
    pub fn take(parameters: &mut Vec<(String, String)>, resolve: impl Fn(&str) -> PathBuf) -> Self {
        let mut take = |parameter: &Parameter| {
            let is_it = |name: &str| name == parameter.name || parameter.aliases.contains(&name);
            let taken: Vec<_> = parameters.extract_if(.., |(name, _)| is_it(name)).collect();
            let by_url = taken.last().map(|(_, value)| resolve(&decoded(&value.replace('+', " "))));
            let by_url = by_url.map(|path| Named { by: parameter.name, path });
            by_url.or_else(|| parameter.in_environment())
        };
        Self { root: take(&ROOT), certificate: take(&CERTIFICATE), key: take(&KEY) }
    }

    /// Keeps the driver from files that its own reading of the environment names.
    pub fn hidden_from(&self, mut options: PgConnectOptions) -> PgConnectOptions {
        let is_by_variable =
            |named: &Option<Named>| named.as_ref().is_some_and(|named| named.by.starts_with("PG"));
        if is_by_variable(&self.root) {
            options = options.ssl_root_cert_from_pem(Vec::new());
        }
        if is_by_variable(&self.certificate) {
            options = options.ssl_client_cert_from_pem([]);
        }
        if is_by_variable(&self.key) {
            options = options.ssl_client_key_from_pem([]);
        }
        options
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The options with what the files hold now, as far as the mode makes use of them.
    pub async fn load(&self, options: &PgConnectOptions) -> Result<PgConnectOptions, Failure> {
        let mut options = options.clone();
        let mode = options.get_ssl_mode();
        if let Some(root) = self.root.as_ref().filter(|_| verifies(mode)) {
            options = options.ssl_root_cert_from_pem(root.read().await?);
        }
        if matches!(mode, PgSslMode::Disable) {
            return Ok(options);
        }
        if let Some(certificate) = &self.certificate {
            options = options.ssl_client_cert_from_pem(certificate.read().await?);
        }
        if let Some(key) = &self.key {
            options = options.ssl_client_key_from_pem(key.read().await?);
        }
        Ok(options)
    }
}

impl Parameter {
    /// The variable may hold the certificate itself, which the driver takes as it is.
    fn in_environment(&self) -> Option<Named> {
        let value = env::var(self.variable).ok().filter(|value| !value.is_empty() && !is_pem(value))?;
        Some(Named { by: self.variable, path: value.into() })
    }
}

impl Named {
    async fn read(&self) -> Result<Vec<u8>, Failure> {
        let path = self.path.clone();
        let read = spawn_blocking(move || files::read(&path)).await;
        let read = read.map_err(|_| Failure::internal(format!("the file of `{}` was not read", self.by)))?;
        read.map_err(|error| self.unreadable(&error))
    }

    fn unreadable(&self, error: &Unreadable) -> Failure {
        let message = format!("`{}` names {}, which cannot be read: {error}", self.by, shown(&self.path));
        failure(error, message)
    }
}

fn verifies(mode: PgSslMode) -> bool {
    matches!(mode, PgSslMode::VerifyCa | PgSslMode::VerifyFull)
}

fn is_pem(text: &str) -> bool {
    text.contains("-----BEGIN")
}

/// A key that stands where a path should is not shown.
fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    if is_pem(&text) { "no path".to_owned() } else { format!("`{text}`") }
}

/// Without a password the driver looks for one in libpq's variable, and then in the files of libpq, where anything may
/// stand. `variable` reads the environment.
///
/// # Errors
/// The path names no file, or a file that does not end.
pub fn check_password_files(
    variable: impl Fn(&str) -> Option<OsString>,
    home: Option<PathBuf>,
) -> Result<(), Failure> {
    if variable("PGPASSWORD").is_some() {
        return Ok(());
    }
    let own = home.map(|home| home.join(".pgpass"));
    for path in variable("PGPASSFILE").map(PathBuf::from).into_iter().chain(own) {
        match files::read(&path) {
            // One that is not there, or that nobody may read, has no password.
            Ok(_) | Err(Unreadable::System(_)) => {}
            Err(error) => {
                let path = path.display();
                let message =
                    format!("`url` has no password, and the password file `{path}` cannot be read: {error}");
                return Err(failure(&error, message));
            }
        }
    }
    Ok(())
}

/// A file that does not answer in time may answer again.
fn failure(error: &Unreadable, message: String) -> Failure {
    match error {
        Unreadable::TooSlow => Failure::unavailable(message),
        _ => Failure::config_invalid(message).setting("url"),
    }
}

#[cfg(test)]
mod tests {
    use plugin_api::{error::ReasonCode, tokio::runtime::Builder};

    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        Builder::new_current_thread().build().unwrap().block_on(work)
    }

    fn certificates(parameters: &[(&str, &str)]) -> (Certificates, Vec<(String, String)>) {
        let mut parameters: Vec<_> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        (Certificates::take(&mut parameters, |path| Path::new("/config").join(path)), parameters)
    }

    /// The message about a path that a URL gives.
    #[track_caller]
    fn check(parameter: &str, path: &str, expected: &str) {
        let (certificates, rest) = certificates(&[(parameter, path), ("sslmode", "verify-full")]);
        assert_eq!(rest.len(), 1, "the driver does not see it");
        let options = PgConnectOptions::new_without_pgpass().ssl_mode(PgSslMode::VerifyFull);
        let told = run(async { certificates.load(&options).await }).map(drop).map_err(|failure| {
            assert_eq!((failure.code, failure.setting.as_deref()), (ReasonCode::ConfigInvalid, Some("url")));
            failure.message
        });
        assert_eq!(told, Err(expected.to_owned()));
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe").display().to_string();
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let told = |name: &str| {
            format!("`{name}` names `{pipe}`, which cannot be read: it is a named pipe, not a file")
        };
        for (parameter, name) in [
            ("sslrootcert", "sslrootcert"),
            ("ssl-ca", "sslrootcert"),
            ("sslcert", "sslcert"),
            ("ssl-key", "sslkey"),
        ] {
            check(parameter, &pipe, &told(name));
        }
        check(
            "sslrootcert",
            "/dev/zero",
            "`sslrootcert` names `/dev/zero`, which cannot be read: it is a device, not a file",
        );
        check("sslcert", "a%20b", "`sslcert` names `/config/a b`, which cannot be read: entity not found");
        let key = "-----BEGIN PRIVATE KEY-----";
        check("sslkey", key, "`sslkey` names no path, which cannot be read: entity not found");
    }

    #[test]
    fn what_the_mode_makes_no_use_of_is_not_read() {
        let parameters = [("sslrootcert", "/nowhere"), ("sslcert", "/nowhere"), ("sslkey", "/nowhere")];
        let (all, _) = certificates(&parameters);
        let (root, _) = certificates(&parameters[..1]);
        let load = |certificates: &Certificates, mode| {
            let options = PgConnectOptions::new_without_pgpass().ssl_mode(mode);
            run(async { certificates.load(&options).await }).is_ok()
        };
        assert!(load(&all, PgSslMode::Disable) && !load(&all, PgSslMode::Prefer));
        assert!(load(&root, PgSslMode::Require) && !load(&root, PgSslMode::VerifyCa));
    }

    #[test]
    fn password_files_are_looked_at_only_where_the_driver_does() {
        let home = tempfile::tempdir().unwrap();
        let pipe = home.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let told = |password: Option<&str>, file: Option<&Path>| {
            let variable = |name: &str| match name {
                "PGPASSWORD" => password.map(OsString::from),
                "PGPASSFILE" => file.map(OsString::from),
                _ => None,
            };
            check_password_files(variable, Some(home.path().to_owned())).map_err(|failure| failure.message)
        };
        assert_eq!(told(None, Some(Path::new("/nowhere"))), Ok(()));
        let refused = told(None, Some(&pipe)).unwrap_err();
        assert!(refused.ends_with("cannot be read: it is a named pipe, not a file"), "{refused}");
        assert_eq!(told(Some("hush"), Some(&pipe)), Ok(()), "the driver takes this one");
        std::fs::rename(&pipe, home.path().join(".pgpass")).unwrap();
        let refused = told(None, None).unwrap_err();
        assert!(refused.contains(".pgpass` cannot be read"), "{refused}");
        let slow = failure(&Unreadable::TooSlow, String::new());
        assert_eq!((slow.code, slow.setting), (ReasonCode::Unavailable, None), "it may answer again");
    }
}
