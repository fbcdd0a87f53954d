//! The templates become the files of a crate. They are whole files of a plugin that is named `sample_plugin`, so that
//! they read as what they become; no other name in them depends on the plugin's, so that none can clash with it.

use super::{Kind, place::Place};

/// The path of a file within the crate, and its text.
type File = (&'static str, &'static str);

const SERVICE: [File; 4] = [
    ("README.md", include_str!("../template/service/README.md")),
    ("src/lib.rs", include_str!("../template/service/src/lib.rs")),
    ("src/settings.rs", include_str!("../template/service/src/settings.rs")),
    ("src/tests.rs", include_str!("../template/service/src/tests.rs")),
];

const INTEGRATION: [File; 5] = [
    ("README.md", include_str!("../template/integration/README.md")),
    ("src/lib.rs", include_str!("../template/integration/src/lib.rs")),
    ("src/settings.rs", include_str!("../template/integration/src/settings.rs")),
    ("src/client.rs", include_str!("../template/integration/src/client.rs")),
    ("src/tests.rs", include_str!("../template/integration/src/tests.rs")),
];

const INSIDE: [File; 1] = [("Cargo.toml", include_str!("../template/inside.toml"))];

const OUTSIDE: [File; 3] = [
    ("Cargo.toml", include_str!("../template/outside.toml")),
    (".gitignore", "/target\n/data\n"),
    // The style that the templates are written in.
    (".rustfmt.toml", include_str!("../../../../../.rustfmt.toml")),
];

/// What the README says of building and naming it.
const README_INSIDE: &str = include_str!("../template/inside.md");
const README_OUTSIDE: &str = include_str!("../template/outside.md");

/// Every file of a new crate.
pub(super) fn of(name: &str, kind: Kind, place: &Place) -> Vec<(&'static str, String)> {
    let code = match kind {
        Kind::Integration => &INTEGRATION[..],
        Kind::Service => &SERVICE[..],
    };
    let (crate_files, building) = match place.sdk {
        Some(_) => (&OUTSIDE[..], README_OUTSIDE),
        None => (&INSIDE[..], README_INSIDE),
    };
    let sdk = place.sdk.as_ref().map(|sdk| sdk.display().to_string()).unwrap_or_default();
    let filled = |text: &str| {
        // The longer words first: they hold the shorter ones.
        text.replace("<!-- building -->\n", building)
            .replace("/path/to/plugin-api", &sdk)
            .replace("path/to/library", &place.library().display().to_string())
            .replace("sample_plugin", name)
            .replace("SAMPLE_PLUGIN", &name.to_ascii_uppercase())
    };
    let mut files: Vec<_> =
        code.iter().chain(crate_files).map(|(path, text)| (*path, filled(text))).collect();
    files.extend(place.lock_file().map(|lock| ("Cargo.lock", lock)));
    files
}
