//! What a registry's answers mean when they are no success.
//!
//! In: an HTTP answer, or a connection's failure. Out: an error that says what to do, and shows no secret.

use serde_json::Value;
use ureq::Body;
use ureq::http::Response;

use super::{Credentials, Reference, RegistryError};

/// Bytes of an answer that are looked at.
pub const LARGEST: u64 = 1 << 20;
/// Characters of an answer that an error shows.
const SHOWN: usize = 300;

/// There was no answer.
pub fn broken(doing: &'static str, reference: &Reference, error: &ureq::Error) -> RegistryError {
    let host = reference.host.clone();
    let reason = match error {
        ureq::Error::HostNotFound => return RegistryError::NoHost { host },
        // The standard library has no kind for it.
        ureq::Error::Io(io) if io.to_string().starts_with("failed to lookup address") => {
            return RegistryError::NoHost { host };
        }
        // What is read as TLS is no TLS.
        ureq::Error::Rustls(_) if is_no_tls(error) => return RegistryError::NotEncrypted { host },
        ureq::Error::Io(io) if is_no_tls(io) => return RegistryError::NotEncrypted { host },
        ureq::Error::Io(io) if io.kind() == std::io::ErrorKind::ConnectionRefused => {
            "nobody listens there; check host and port".to_owned()
        }
        // It would show the address, which may hold a key.
        ureq::Error::BadUri(_) => "it names an impossible address".to_owned(),
        ureq::Error::Io(io) => io.to_string(),
        other => other.to_string(),
    };
    RegistryError::Connection { doing, host, reason }
}

fn is_no_tls(error: &dyn std::fmt::Display) -> bool {
    // The kind is not in a public type of the library's.
    error.to_string().contains("InvalidContentType")
}

/// The answer is no. `identified`: it came although the registry was told who asks, and believed it.
pub fn refused(
    doing: &'static str,
    reference: &Reference,
    credentials: Option<&Credentials>,
    identified: bool,
    mut answer: Response<Body>,
) -> RegistryError {
    let (host, status) = (reference.host.clone(), answer.status().as_u16());
    match (status, credentials) {
        (401 | 403, None) => return RegistryError::Unknown { doing, host, status },
        (401, Some(credentials)) if !identified => {
            return RegistryError::Denied { host, found: credentials.found.clone() };
        }
        (401 | 403, Some(credentials)) => {
            let (repository, found) = (reference.repository.clone(), credentials.found.clone());
            return RegistryError::Forbidden { doing, host, repository, found, status };
        }
        _ => {}
    }
    let text = answer.body_mut().with_config().limit(LARGEST).read_to_string().unwrap_or_default();
    let text = credentials.map_or_else(|| text.clone(), |credentials| credentials.hide(&text));
    RegistryError::Refused { doing, host, status, text: said(&text) }
}

/// What the body of an answer says: the registry's own errors, or its beginning.
fn said(text: &str) -> String {
    let errors: Value = serde_json::from_str(text).unwrap_or_default();
    let errors = errors["errors"].as_array().into_iter().flatten().filter_map(|error| {
        let (code, message) = (error["code"].as_str()?, error["message"].as_str().unwrap_or_default());
        Some(format!("{code} {message}").trim().to_owned())
    });
    let errors = errors.collect::<Vec<_>>().join(", ");
    let text = if errors.is_empty() { text.trim() } else { &errors };
    text.chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrys_own_errors_are_shown_rather_than_json() {
        let text = r#"{"errors": [{"code": "NAME_UNKNOWN", "message": "no such repository", "detail": {}}]}"#;
        assert_eq!(said(text), "NAME_UNKNOWN no such repository");
        assert_eq!(said("\u{1b}[31m<html>\n"), "[31m<html>");
        assert_eq!(said(&"x".repeat(1000)).len(), SHOWN);
    }
}
