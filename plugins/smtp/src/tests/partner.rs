//! A real mail server, `tests/partners/smtp_server.py`, with certificates made for it. Where it cannot run, a test says
//! that it is skipped; under `CI=true` it fails.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use plugin_api::serde_json::{self, Value};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use tempfile::TempDir;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A running server; it ends when this is dropped.
pub struct Partner {
    pub port: u16,
    process: Child,
    folder: TempDir,
}

impl Partner {
    /// Starts it with these options.
    pub fn start(options: &[&str]) -> Option<Self> {
        Self::start_with(options, |_| Vec::new())
    }

    /// Starts it with TLS, by a certificate for these names.
    pub fn start_tls(options: &[&str], certificate: &Certificate) -> Option<Self> {
        Self::start_with(options, |folder| {
            let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
            fs::write(&cert, &certificate.chain).expect("the folder can be written");
            fs::write(&key, &certificate.key).expect("the folder can be written");
            vec!["--cert".into(), cert, "--key".into(), key]
        })
    }

    fn start_with(options: &[&str], more: impl Fn(&Path) -> Vec<PathBuf>) -> Option<Self> {
        let python = Path::new(ROOT).join(".partners/python/bin/python");
        if !python.exists() {
            let missing = format!("no SMTP server: {} is missing", python.display());
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
            eprintln!("skipped: {missing}");
            return None;
        }
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let mut process = Command::new(python)
            .arg(Path::new(ROOT).join("tests/partners/smtp_server.py"))
            .args(options)
            .arg("--mails")
            .arg(folder.path().join("mails"))
            .args(more(folder.path()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python starts");
        let mut line = String::new();
        let output = process.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line).expect("it says its port");
        let hello: Value = serde_json::from_str(&line).expect("the port is JSON");
        let port =
            hello["port"].as_u64().and_then(|port| port.try_into().ok()).expect("the port is a number");
        Some(Self { port, process, folder })
    }

    /// The mails that it took so far.
    pub fn mails(&self) -> Vec<Value> {
        let mails = fs::read_to_string(self.folder.path().join("mails")).unwrap_or_default();
        mails.lines().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect()
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        // It ends by itself when its input is closed; nothing is lost if it is gone already.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// An authority of our own.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A server's certificate with its key, as PEM.
pub struct Certificate {
    chain: String,
    key: String,
}

impl Authority {
    /// Its name tells it from others, as it would outside.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are valid names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, key_pair()).expect("it can be signed");
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("the folder can be written");
        Self { issuer, folder }
    }

    /// The file for the setting `ca_file`.
    pub fn file(&self) -> String {
        self.folder.path().join("ca.pem").display().to_string()
    }

    /// A good certificate for this name or address.
    pub fn certify(&self, name: &str) -> Certificate {
        self.sign(CertificateParams::new(vec![name.to_owned()]).expect("it is a name"))
    }

    /// One whose time is over.
    pub fn certify_expired(&self, name: &str) -> Certificate {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("it is a name");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Certificate {
        let key = key_pair();
        let certificate = params.signed_by(&key, &self.issuer).expect("it can be signed");
        Certificate { chain: certificate.pem(), key: key.serialize_pem() }
    }
}

fn key_pair() -> KeyPair {
    KeyPair::generate().expect("the machine gives random numbers")
}
