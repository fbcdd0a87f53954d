//! Sealing: what comes back, what does not, and where the key is from.

use expect_test::expect;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const KEY: &str = "+/8QWm2k3J9vQ0xYc1Zt5b7uH8gA2eR4iLpOsTfUdWk=";

fn sealer(key: &str) -> Sealer {
    let key = SecretKey::parse(key).unwrap_or_else(|(refusal, _)| panic!("the key {refusal}"));
    Sealer::new(Some(key), Path::new("/nowhere"), Scrubber::default())
}

fn other_key() -> Sealer {
    sealer(&STANDARD.encode(*b"0123456789abcdefghijklmnopqrstuv"))
}

#[test]
fn what_a_plugin_sealed_it_opens_and_no_other() {
    let sealer = sealer(KEY);
    let sealed = sealer.seal("calendar", "refresh-token").unwrap();
    assert!(!sealed.sealed.contains("refresh-token"));
    assert_eq!(sealer.open("calendar", &sealed.sealed).unwrap(), "refresh-token");
    let error = sealer.open("mail", &sealed.sealed).unwrap_err();
    expect!["denied: `mail` did not seal this text, or it was altered since"].assert_eq(&error.to_string());
}

#[test]
fn the_same_text_is_never_sealed_the_same() {
    let sealer = sealer(KEY);
    assert_ne!(sealer.seal("a", "text").unwrap().sealed, sealer.seal("a", "text").unwrap().sealed);
}

#[test]
fn another_key_names_the_variable_and_both_fingerprints() {
    let sealed = sealer(KEY).seal("calendar", "x").unwrap();
    let error = other_key().open("calendar", &sealed.sealed).unwrap_err().to_string();
    expect![
        "conflict: this was sealed under another secret key (fingerprint `OLD`, this host's is `NEW`): set \
         `SWITCHBOARD_SECRET_KEY` to the key of the host that sealed it"
    ]
    .assert_eq(
        &error.replace(&sealed.fingerprint, "OLD").replace(&other_key().fingerprint().unwrap(), "NEW"),
    );
}

#[test]
fn a_fingerprint_stays() {
    expect!["2f077db7cb9b5e82"].assert_eq(&sealer(KEY).fingerprint().unwrap());
}

#[test]
fn a_key_is_made_once_and_nobody_else_may_read_it() {
    let folder = TempDir::new().unwrap();
    let sealer = || Sealer::new(None, folder.path(), Scrubber::default());
    let file = folder.path().join(FILE);
    assert!(!file.exists());
    let sealed = sealer().seal("calendar", "kept").unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(sealer().open("calendar", &sealed.sealed).unwrap(), "kept");

    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let error = sealer().seal("calendar", "x").unwrap_err().to_string();
    let shown = error.replace(&folder.path().display().to_string(), "<folder>");
    expect![
        "denied: the secret key in `<folder>/secret.key` cannot be used: other users can read it: `chmod 600` it, or \
         replace it if they did; or set `SWITCHBOARD_SECRET_KEY`"
    ]
    .assert_eq(&shown);

    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&file, "half a k").unwrap();
    let error = sealer().seal("calendar", "x").unwrap_err().to_string();
    assert!(error.contains("it is neither base64 nor hexadecimal digits"), "{error}");
}

#[test]
fn the_key_is_scrubbed() {
    let folder = TempDir::new().unwrap();
    let scrubber = Scrubber::default();
    Sealer::new(None, folder.path(), scrubber.clone()).fingerprint().unwrap();
    let key = fs::read_to_string(folder.path().join(FILE)).unwrap();
    assert_eq!(scrubber.scrub(key.trim()), "[secret]");
}

proptest! {
    #[test]
    fn nothing_altered_is_opened(text in ".{0,60}", position in any::<prop::sample::Index>(), letter in "[A-Za-z0-9._-]") {
        let sealer = sealer(KEY);
        let sealed = sealer.seal("calendar", &text).unwrap().sealed;
        prop_assert_eq!(sealer.open("calendar", &sealed).unwrap(), text);
        let position = position.index(sealed.len());
        let altered = format!("{}{letter}{}", &sealed[..position], &sealed[position + 1..]);
        prop_assert_eq!(sealer.open("calendar", &altered).is_ok(), altered == sealed);
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        prop_assert!(sealer(KEY).open("calendar", &text).is_err());
        let _ = SecretKey::parse(&text);
    }
}
