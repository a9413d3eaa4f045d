//! Who asks: what `podman login` and `docker login` left (containers-auth.json(5)).
//!
//! In: the text of their file, a reference. Out: user and password, or what a registry gave instead of them. Of several entries the most
//! specific counts; a program that keeps passwords (`helper`) comes before what the file says itself. Not here: where files are.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use super::{Reference, RegistryError, helper};

/// What takes a secret's place in a text.
const HIDDEN: &str = "(hidden)";

/// Who asks. Never shown.
#[derive(Clone)]
pub struct Credentials {
    proof: Proof,
    /// The file that they come from.
    pub(super) found: Utf8PathBuf,
}

#[derive(Clone, PartialEq, Eq)]
enum Proof {
    Password {
        user: String,
        password: String,
    },
    /// A token that buys other tokens.
    Identity(String),
}

/// What a file says about a registry.
#[derive(PartialEq, Eq)]
enum Entry {
    Proof(Proof),
    /// The program `docker-credential-NAME` knows.
    Helper {
        name: String,
        server: String,
    },
}

impl Credentials {
    /// Those for `reference` in the file at `path`; `None` when it has none. A program that the file names gets `environment`.
    ///
    /// # Errors
    /// The file cannot be read, or is something else; the program fails.
    pub fn read(
        path: &Utf8Path,
        reference: &Reference,
        environment: &BTreeMap<String, String>,
    ) -> Result<Option<Self>, RegistryError> {
        let wrong = |reason: String| RegistryError::Credentials { path: path.to_owned(), reason };
        let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let proof = match entry(&bytes, reference).map_err(|reason| wrong(reason.to_owned()))? {
            None => None,
            Some(Entry::Proof(proof)) => Some(proof),
            Some(Entry::Helper { name, server }) => {
                let failed = |source| RegistryError::Helper { path: path.to_owned(), server: server.clone(), source };
                helper::ask(&name, &server, environment).map_err(failed)?.map(|(user, secret)| match user.as_str() {
                    // So the programs call a token.
                    "<token>" => Proof::Identity(secret),
                    _ => Proof::Password { user, password: secret },
                })
            }
        };
        Ok(proof.map(|proof| Self { proof, found: path.to_owned() }))
    }

    /// As HTTP's basic scheme wants them.
    pub(super) fn basic(&self) -> Option<String> {
        match &self.proof {
            Proof::Password { user, password } => {
                Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
            }
            Proof::Identity(_) => None,
        }
    }

    /// The token that buys others.
    pub(super) fn identity(&self) -> Option<&str> {
        match &self.proof {
            Proof::Identity(token) => Some(token),
            Proof::Password { .. } => None,
        }
    }

    /// `text` without what nobody may see.
    pub(super) fn hide(&self, text: &str) -> String {
        match &self.proof {
            Proof::Identity(token) => text.replace(token, HIDDEN),
            Proof::Password { user, password } => {
                let text = text.replace(&BASE64_STANDARD.encode(format!("{user}:{password}")), HIDDEN);
                // A password of a letter or two would take the text apart, and says nothing.
                if password.len() < 3 { text } else { text.replace(password, HIDDEN) }
            }
        }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(hidden)")
    }
}

/// What the file `bytes` says about `reference`. The errors do not quote it.
fn entry(bytes: &[u8], reference: &Reference) -> Result<Option<Entry>, &'static str> {
    let file: Value = serde_json::from_slice(bytes).map_err(|_| "it is not JSON")?;
    let host = reference.host.as_str();
    if let Some(name) = file["credHelpers"][host].as_str() {
        return Ok(Some(Entry::Helper { name: name.to_owned(), server: host.to_owned() }));
    }
    let known = file["auths"].as_object();
    let known = |name: &str| known.and_then(|entries| entries.get(name));
    // HOST/a/b, HOST/a, HOST.
    let mut name = format!("{host}/{}", reference.repository);
    let mut found = known(&name);
    while let (None, Some((shorter, _))) = (found, name.rsplit_once('/')) {
        name = shorter.to_owned();
        found = known(&name);
    }
    // Docker writes addresses.
    let addresses = file["auths"].as_object().into_iter().flatten();
    let found = found.or_else(|| addresses.into_iter().find(|(key, _)| is_of(key, reference)).map(|(_, entry)| entry));
    let proof = found.map(proof).transpose()?.flatten();
    if let (None, Some(name)) = (&proof, file["credsStore"].as_str().filter(|name| !name.is_empty())) {
        let server = if reference.is_docker_hub() { "https://index.docker.io/v1/" } else { host };
        return Ok(Some(Entry::Helper { name: name.to_owned(), server: server.to_owned() }));
    }
    Ok(proof.map(Entry::Proof))
}

/// Whether `key` is an address of the registry: `https://HOST/v1/`.
fn is_of(key: &str, reference: &Reference) -> bool {
    let Some((_, rest)) = key.split_once("://") else { return false };
    let host = rest.split('/').next().unwrap_or_default();
    host == reference.host || (reference.is_docker_hub() && host == "index.docker.io")
}

/// What an entry of `auths` proves; nothing when a program keeps it.
fn proof(entry: &Value) -> Result<Option<Proof>, &'static str> {
    let text = |name: &str| entry[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    if let Some(token) = text("identitytoken") {
        return Ok(Some(Proof::Identity(token)));
    }
    if let Some(encoded) = text("auth") {
        let wrong = "an `auth` in it is not base64 of USER:PASSWORD";
        let bytes = BASE64_STANDARD.decode(encoded.trim()).map_err(|_| wrong)?;
        let plain = String::from_utf8(bytes).map_err(|_| wrong)?;
        let (user, password) = plain.split_once(':').ok_or(wrong)?;
        // Old clients fill up with zeros.
        return Ok(Some(Proof::Password {
            user: user.to_owned(),
            password: password.trim_end_matches('\0').to_owned(),
        }));
    }
    let both = text("username").zip(text("password"));
    Ok(both.map(|(user, password)| Proof::Password { user, password }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, reference: &str) -> Option<String> {
        match entry(file.as_bytes(), &Reference::parse(reference).unwrap()).unwrap()? {
            Entry::Proof(Proof::Password { user, password }) => Some(format!("{user}:{password}")),
            Entry::Proof(Proof::Identity(token)) => Some(token),
            Entry::Helper { name, server } => Some(format!("{name} knows {server}")),
        }
    }

    #[test]
    fn the_most_specific_entry_counts() {
        // u:all, u:team and u:web.
        let file = r#"{"auths": {"registry.example:5000": {"auth": "dTphbGw="}, "registry.example:5000/team": {"auth": "dTp0ZWFt"},
            "registry.example:5000/team/web": {"auth": "dTp3ZWI="}}}"#;
        let found = |repository: &str| found(file, &format!("registry.example:5000/{repository}"));
        assert_eq!(found("team/web:1.0").as_deref(), Some("u:web"));
        assert_eq!(found("team/db").as_deref(), Some("u:team"));
        assert_eq!(found("other").as_deref(), Some("u:all"));
        assert_eq!(super::tests::found(file, "other.example/team"), None);
    }

    #[test]
    fn files_of_docker_are_read_too() {
        let hub = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "dTphbGw="}}}"#;
        assert_eq!(found(hub, "docker.io/web").as_deref(), Some("u:all"));
        assert_eq!(found(hub, "index.docker.io.example/web"), None);
        let address = r#"{"auths": {"https://host.example/v2/": {"username": "u", "password": "p"}}}"#;
        assert_eq!(found(address, "host.example/web").as_deref(), Some("u:p"));
        let token = r#"{"auths": {"host.example": {"auth": "dTo=", "identitytoken": "t"}}}"#;
        assert_eq!(found(token, "host.example/web").as_deref(), Some("t"));
    }

    #[test]
    fn programs_that_keep_passwords_come_first() {
        let file = r#"{"auths": {"a.example": {"auth": "dTphbGw="}, "b.example": {}}, "credHelpers": {"a.example": "pass"},
            "credsStore": "desktop"}"#;
        assert_eq!(found(file, "a.example/web").as_deref(), Some("pass knows a.example"));
        assert_eq!(found(file, "b.example/web").as_deref(), Some("desktop knows b.example"));
        assert_eq!(found(file, "docker.io/web").as_deref(), Some("desktop knows https://index.docker.io/v1/"));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_without_quoting_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap().join("auth.json");
        let reference = Reference::parse("x.example/web").unwrap();
        for text in ["s3cret", r#"{"auths": {"x.example": {"auth": "s3cret"}}}"#] {
            std::fs::write(&path, text).unwrap();
            let error = Credentials::read(&path, &reference, &BTreeMap::new()).unwrap_err().to_string();
            assert!(error.contains(path.as_str()) && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn nothing_shows_a_secret() {
        let proof = Proof::Password { user: "u".into(), password: "s3cret".into() };
        let credentials = Credentials { proof, found: "auth.json".into() };
        assert_eq!(format!("{credentials:?}"), "Credentials(hidden)");
        let said = format!("no s3cret and no {}", credentials.basic().unwrap());
        assert_eq!(credentials.hide(&said), "no (hidden) and no Basic (hidden)");
    }
}
