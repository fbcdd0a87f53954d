//! Secrets of plugins become sealed text that may lie in a database, and are opened again: AES-256-GCM under a random
//! nonce, bound to the plugin that sealed them. The key comes from `SWITCHBOARD_SECRET_KEY`; without it, it is made
//! once, when somebody first needs it, in a file that nobody else may read. Never tells the key.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use plugin_api::{error::OperationError, files, requests::host::Sealed};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Salt},
    hmac::{self, HMAC_SHA256},
    rand::{SecureRandom as _, SystemRandom},
};

use crate::{
    config::{SECRET_KEY_VARIABLE, SecretKey},
    scrub::Scrubber,
};

/// The first part of every sealed text: which way it was sealed.
const FORMAT: &str = "v1";

/// Where a key is kept that no variable gives, in the folder for data.
const FILE: &str = "secret.key";

/// Seals and opens. Cheap to clone.
#[derive(Clone)]
pub(super) struct Sealer {
    inner: Arc<Inner>,
}

struct Inner {
    given: Option<SecretKey>,
    file: PathBuf,
    scrubber: Scrubber,
    cipher: Mutex<Option<Arc<Cipher>>>,
}

/// What is made of a key.
struct Cipher {
    key: LessSafeKey,
    /// What the host itself says of calls is signed by it.
    signing: hmac::Key,
    /// Tells one key from another, and nothing of either.
    fingerprint: String,
}

impl Sealer {
    /// With the key that the configuration gives; without one, that of the folder for data.
    pub(super) fn new(given: Option<SecretKey>, data_dir: &Path, scrubber: Scrubber) -> Self {
        let file = data_dir.join(FILE);
        Self { inner: Arc::new(Inner { given, file, scrubber, cipher: Mutex::default() }) }
    }

    /// The fingerprint of the key in use.
    pub(super) fn fingerprint(&self) -> Result<String, OperationError> {
        Ok(self.cipher()?.fingerprint.clone())
    }

    /// Seals a text, to be opened by the same plugin alone.
    pub(super) fn seal(&self, plugin: &str, text: &str) -> Result<Sealed, OperationError> {
        let cipher = self.cipher()?;
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| OperationError::internal("no random numbers"))?;
        let mut bytes = text.as_bytes().to_vec();
        cipher
            .key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound_to(plugin), &mut bytes)
            .map_err(|_| OperationError::invalid("the text is too long to be sealed"))?;
        let bytes = URL_SAFE_NO_PAD.encode([nonce.as_slice(), &bytes].concat());
        let fingerprint = cipher.fingerprint.clone();
        Ok(Sealed { sealed: format!("{FORMAT}.{fingerprint}.{bytes}"), fingerprint })
    }

    /// Opens what the same plugin sealed under the same key.
    pub(super) fn open(&self, plugin: &str, sealed: &str) -> Result<String, OperationError> {
        let cipher = self.cipher()?;
        let parts: Vec<&str> = sealed.split('.').collect();
        let [FORMAT, fingerprint, bytes] = parts[..] else {
            return Err(OperationError::invalid("this was not sealed here: it is not a sealed text"));
        };
        if fingerprint != cipher.fingerprint {
            return Err(OperationError::conflict(another_key(fingerprint, &cipher.fingerprint)));
        }
        open(&cipher.key, plugin, bytes).ok_or_else(|| {
            OperationError::denied(format!("`{plugin}` did not seal this text, or it was altered since"))
        })
    }

    /// Signs what the host itself says.
    pub(super) fn sign(&self, bytes: &[u8]) -> Result<String, OperationError> {
        Ok(URL_SAFE_NO_PAD.encode(hmac::sign(&self.cipher()?.signing, bytes)))
    }

    /// Whether this host, or one with the same key, signed this.
    pub(super) fn is_signed(&self, bytes: &[u8], signature: &str) -> Result<bool, OperationError> {
        let cipher = self.cipher()?;
        let signature = URL_SAFE_NO_PAD.decode(signature);
        Ok(signature.is_ok_and(|signature| hmac::verify(&cipher.signing, bytes, &signature).is_ok()))
    }

    fn cipher(&self) -> Result<Arc<Cipher>, OperationError> {
        let mut known = self.inner.cipher.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cipher) = &*known {
            return Ok(cipher.clone());
        }
        let key = match &self.inner.given {
            Some(key) => key.clone(),
            None => key_of(&self.inner.file)?,
        };
        self.inner.scrubber.add([key.expose().to_owned()]);
        Ok(known.insert(Arc::new(Cipher::new(&key))).clone())
    }
}

impl Cipher {
    fn new(key: &SecretKey) -> Self {
        let root = Salt::new(HKDF_SHA256, b"switchboard secret key").extract(key.bytes());
        let derive = |purpose: &[&[u8]], bytes: &mut [u8]| {
            let okm = root.expand(purpose, Length(bytes.len()));
            okm.and_then(|okm| okm.fill(bytes)).expect("HKDF gives up to 8160 bytes");
        };
        let (mut cipher, mut signing, mut fingerprint) = ([0; 32], [0; 32], [0; 8]);
        derive(&[b"seal"], &mut cipher);
        derive(&[b"sign"], &mut signing);
        derive(&[b"fingerprint"], &mut fingerprint);
        let key = UnboundKey::new(&AES_256_GCM, &cipher).expect("the key has the length of AES-256");
        let fingerprint = fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
        let signing = hmac::Key::new(HMAC_SHA256, &signing);
        Self { key: LessSafeKey::new(key), signing, fingerprint }
    }
}

/// How many bytes HKDF is asked for.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// What one plugin sealed, no other can open.
fn bound_to(plugin: &str) -> Aad<Vec<u8>> {
    Aad::from(format!("switchboard {FORMAT} {plugin}").into_bytes())
}

fn open(key: &LessSafeKey, plugin: &str, bytes: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(bytes).ok()?;
    let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN)?;
    let mut sealed = sealed.to_vec();
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let text = key.open_in_place(nonce, bound_to(plugin), &mut sealed).ok()?;
    String::from_utf8(text.to_vec()).ok()
}

fn another_key(sealed_by: &str, ours: &str) -> String {
    let short: String = sealed_by.chars().take(16).collect();
    format!(
        "this was sealed under another secret key (fingerprint `{short}`, this host's is `{ours}`): set \
         `{SECRET_KEY_VARIABLE}` to the key of the host that sealed it"
    )
}

/// The key in the file; made if there is no file. Only one host uses a folder for data.
fn key_of(file: &Path) -> Result<SecretKey, OperationError> {
    let unusable = |why: String| {
        OperationError::denied(format!(
            "the secret key in `{}` cannot be used: {why}; or set `{SECRET_KEY_VARIABLE}`",
            file.display()
        ))
    };
    match fs::metadata(file) {
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
            Err(unusable("other users can read it: `chmod 600` it, or replace it if they did".to_owned()))
        }
        Ok(_) => {
            let text = files::read_text(file).map_err(|error| unusable(error.to_string()))?;
            SecretKey::parse(&text).map_err(|(refusal, hint)| unusable(format!("it {refusal}; {hint}")))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(file).map_err(|error| unusable(format!("it cannot be made: {}", error.kind())))
        }
        Err(error) => Err(unusable(error.kind().to_string())),
    }
}

/// Written beside and renamed, so that no crash leaves half a key.
fn make(file: &Path) -> io::Result<SecretKey> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("no random numbers"))?;
    let key = SecretKey::parse(&STANDARD.encode(bytes))
        .map_err(|(refusal, _)| io::Error::other(format!("a random key {refusal}")))?;
    let beside = file.with_extension("key.new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    writeln!(written, "{}", key.expose())?;
    written.sync_all()?;
    fs::rename(&beside, file)?;
    if let Some(folder) = file.parent() {
        File::open(folder)?.sync_all()?;
    }
    tracing::info!(
        "made a secret key in `{}`: back it up; hosts that share a database must share it by `{SECRET_KEY_VARIABLE}`",
        file.display()
    );
    Ok(key)
}

#[cfg(test)]
mod tests;
