//! A server of tokens as registries trust it: JSON web tokens, signed with a key whose certificate the registry knows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::json;

use super::http::{self, Answer};
use crate::support::approve;

/// The server's users: `writer` may push, `reader` may not; both have this password.
pub const PASSWORD: &str = "open sesame";

pub struct Tokens {
    pub port: u16,
    /// Tokens so far, as what they allow.
    pub given: Arc<Mutex<Vec<String>>>,
    folder: PathBuf,
}

impl Tokens {
    /// The first token allows too little, as one that has come to its end would.
    pub fn start(folder: &Path) -> Self {
        let (key, certificate) = (folder.join("key.pem"), folder.join("certificate.pem"));
        let words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=tokens", "-days", "2", "-keyout"];
        let files = [key.to_str().unwrap(), "-out", certificate.to_str().unwrap()];
        approve("openssl", &[&words[..], &files].concat());
        let given = Arc::new(Mutex::new(Vec::new()));
        let (known, place) = (Arc::clone(&given), folder.to_owned());
        let port = http::serve(move |request, _| {
            let user = ["writer", "reader"].into_iter().find(|user| {
                let proof = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{PASSWORD}")));
                request.header("authorization") == proof
            });
            let Some(user) = user else { return Some(Answer::new(401)) };
            // As the client spells it in a query.
            let asked = request.query.replace("%3A", ":").replace("%2F", "/").replace("%2C", ",");
            assert!(asked.contains("scope=repository:team/web:pull,push"), "{asked}");
            assert!(asked.contains("service=kiln-test"), "{asked}");
            let mut known = known.lock().unwrap();
            let actions: &[&str] = if known.is_empty() || user == "reader" { &["pull"] } else { &["pull", "push"] };
            known.push(actions.join(","));
            let token = token(&place, actions);
            Some(Answer::new(200).saying(json!({"token": token, "expires_in": 300}).to_string()))
        });
        Self { port, given, folder: folder.to_owned() }
    }

    /// What a registry has to know of it.
    pub fn auth(&self) -> String {
        format!(
            "auth: {{token: {{realm: 'http://127.0.0.1:{}/token', service: kiln-test, issuer: tokens, rootcertbundle: '{}'}}}}",
            self.port,
            self.folder.join("certificate.pem").display()
        )
    }
}

fn token(folder: &Path, actions: &[&str]) -> String {
    let certificate = fs::read_to_string(folder.join("certificate.pem")).unwrap();
    let certificate: String = certificate.lines().filter(|line| !line.starts_with('-')).collect();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let header = json!({"typ": "JWT", "alg": "RS256", "x5c": [certificate]});
    let claims = json!({
        "iss": "tokens", "sub": "x", "aud": "kiln-test", "exp": now + 300, "nbf": now - 10, "iat": now, "jti": now.to_string(),
        "access": [{"type": "repository", "name": "team/web", "actions": actions}],
    });
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
    let file = folder.join("signed");
    fs::write(&file, &signed).unwrap();
    let mut sign = Command::new("openssl");
    sign.args(["dgst", "-sha256", "-sign"]).arg(folder.join("key.pem")).arg(file);
    format!("{signed}.{}", encode(&sign.output().unwrap().stdout))
}
