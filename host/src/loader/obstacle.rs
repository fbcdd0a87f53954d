//! The linker's words become what keeps a library from being opened, and what a person does about it. A rebuild mends
//! few of these: most are about the machine, not about the file.

use std::{fmt, path::Path};

/// What keeps the linker from opening a library that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// It may not be mapped for execution: the file system is mounted with `noexec`, or a policy forbids it.
    NoExecution,
    /// It needs a library that this machine does not have.
    NoLibrary(String),
    /// It needs a version of a system library that this machine does not have.
    NoVersion {
        /// Such as `GLIBC_2.38`.
        version: String,
        /// The library that should have it.
        library: String,
    },
    /// It needs a symbol that no library has.
    NoSymbol(String),
    /// The linker may not read it, or one of its libraries.
    NoPermission,
    /// There is no memory left for it.
    NoMemory,
    /// Anything else, in the linker's words.
    Other(String),
}

impl Obstacle {
    /// Reads the linker's message about this file.
    pub(super) fn read(text: &str, path: &Path) -> Self {
        // The linker begins with the file that it speaks of, which may be another one than this.
        let own = format!("{}: ", path.display());
        let reason = text.strip_prefix(&own).unwrap_or(text);
        if reason.contains("annot allocate memory") || reason.contains("ut of memory") {
            return Self::NoMemory;
        }
        if reason.contains("failed to map segment")
            || reason.contains("segment prot")
            || reason.contains("executable stack")
        {
            return Self::NoExecution;
        }
        if reason.contains("ermission denied") {
            return Self::NoPermission;
        }
        let version = between(reason, "version `", "' not found");
        if let (Some(version), Some((library, _))) = (version, reason.split_once(": version `")) {
            return Self::NoVersion { version: version.to_owned(), library: file_name(library) };
        }
        let musl = between(reason, "Error loading shared library ", ":");
        let glibc = reason.split_once(": cannot open shared object file").map(|(library, _)| library);
        if let Some(library) = glibc.or(musl) {
            return Self::NoLibrary(file_name(library));
        }
        if let Some((_, symbol)) = reason.split_once("undefined symbol: ") {
            return Self::NoSymbol(symbol.split([',', ' ']).next().unwrap_or(symbol).to_owned());
        }
        Self::Other(reason.to_owned())
    }

    /// What to do about it.
    pub(super) fn fix(&self, path: &Path) -> String {
        let folder = path.parent().unwrap_or(path).display();
        match self {
            Self::NoExecution => format!(
                "Mount the file system of `{folder}` without `noexec`, or set `library_dir` to a folder on another; then \
                 reload"
            ),
            Self::NoLibrary(library) => {
                format!("Install the package that has `{library}` on this machine, then reload")
            }
            Self::NoVersion { version, .. } => format!(
                "Build the library on a system as old as this one, or run the host where `{version}` exists; then reload"
            ),
            Self::NoSymbol(_) => {
                "Rebuild the library against the libraries of this machine, then reload".to_owned()
            }
            Self::NoPermission => format!(
                "Let the user of this process read `{}` and the libraries that it needs, then reload",
                path.display()
            ),
            Self::NoMemory => "Free memory on this machine or raise the host's limit, then reload".to_owned(),
            Self::Other(_) => {
                format!(
                    "See the linker's reason: `ldd {}` on this machine says more; then reload",
                    path.display()
                )
            }
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoExecution => formatter.write_str(
                "the system does not let it run from there: is its file system mounted with `noexec`?",
            ),
            Self::NoLibrary(library) => {
                write!(formatter, "it needs `{library}`, which this machine does not have")
            }
            Self::NoVersion { version, library } => {
                write!(formatter, "it needs `{version}` of `{library}`, which is older on this machine")
            }
            Self::NoSymbol(symbol) => {
                write!(formatter, "it needs the symbol `{symbol}`, which no library has")
            }
            Self::NoPermission => {
                formatter.write_str("this process may not read it, or a library that it needs")
            }
            Self::NoMemory => formatter.write_str("there is not enough memory for it"),
            Self::Other(reason) => formatter.write_str(reason),
        }
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(inside, _)| inside)
}

/// The last part of a path, without what stands around it.
fn file_name(path: &str) -> String {
    path.trim().rsplit('/').next().unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &str, expected: Expect) {
        let path = Path::new("/opt/plugins/libmail.so");
        let obstacle = Obstacle::read(text, path);
        expected.assert_eq(&format!("{obstacle}\n{}", obstacle.fix(path)));
    }

    #[test]
    fn a_mount_without_execution_is_not_mended_by_a_rebuild() {
        check(
            "/opt/plugins/libmail.so: failed to map segment from shared object",
            expect![[r#"
            the system does not let it run from there: is its file system mounted with `noexec`?
            Mount the file system of `/opt/plugins` without `noexec`, or set `library_dir` to a folder on another; then reload"#]],
        );
        check(
            "/opt/plugins/libmail.so: failed to map segment from shared object: Operation not permitted",
            expect![[r#"
                the system does not let it run from there: is its file system mounted with `noexec`?
                Mount the file system of `/opt/plugins` without `noexec`, or set `library_dir` to a folder on another; then reload"#]],
        );
        check(
            "/opt/plugins/libmail.so: cannot restore segment prot after reloc: Permission denied",
            expect![[r#"
                the system does not let it run from there: is its file system mounted with `noexec`?
                Mount the file system of `/opt/plugins` without `noexec`, or set `library_dir` to a folder on another; then reload"#]],
        );
        check(
            "/opt/plugins/libmail.so: failed to map segment from shared object: Cannot allocate memory",
            expect![[r#"
                there is not enough memory for it
                Free memory on this machine or raise the host's limit, then reload"#]],
        );
    }

    #[test]
    fn what_the_library_needs_is_named() {
        check(
            "libsqlcipher.so: cannot open shared object file: No such file or directory",
            expect![[r#"
            it needs `libsqlcipher.so`, which this machine does not have
            Install the package that has `libsqlcipher.so` on this machine, then reload"#]],
        );
        check(
            "Error loading shared library libgcc_s.so.1: No such file or directory (needed by /opt/plugins/libmail.so)",
            expect![[r#"
                it needs `libgcc_s.so.1`, which this machine does not have
                Install the package that has `libgcc_s.so.1` on this machine, then reload"#]],
        );
        check(
            "/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by /opt/plugins/libmail.so)",
            expect![[r#"
                it needs `GLIBC_2.38` of `libc.so.6`, which is older on this machine
                Build the library on a system as old as this one, or run the host where `GLIBC_2.38` exists; then reload"#]],
        );
        check(
            "/opt/plugins/libmail.so: undefined symbol: SSL_new, version OPENSSL_3.0.0",
            expect![[r#"
            it needs the symbol `SSL_new`, which no library has
            Rebuild the library against the libraries of this machine, then reload"#]],
        );
        check(
            "/opt/plugins/libmail.so: cannot open shared object file: Permission denied",
            expect![[r#"
            this process may not read it, or a library that it needs
            Let the user of this process read `/opt/plugins/libmail.so` and the libraries that it needs, then reload"#]],
        );
    }

    #[test]
    fn words_that_nobody_expected_are_passed_on() {
        check(
            "/opt/plugins/libmail.so: ELF load command alignment not page-aligned",
            expect![[r#"
            ELF load command alignment not page-aligned
            See the linker's reason: `ldd /opt/plugins/libmail.so` on this machine says more; then reload"#]],
        );
    }
}
