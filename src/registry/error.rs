//! Why an image did not get to a registry.

use camino::Utf8PathBuf;

use crate::format::FormatError;

/// Why an image did not get to a registry.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A reference that names no place in a registry.
    #[error(
        "`{text}` names no image in a registry; give HOST[:PORT]/REPOSITORY[:TAG], as in registry.example:5000/web:1.0"
    )]
    Reference {
        /// The reference.
        text: String,
    },
    /// The archive cannot be read.
    #[error(transparent)]
    Archive(#[from] FormatError),
    /// The file with credentials makes no sense.
    #[error("cannot read credentials from {path}: {reason}")]
    Credentials {
        /// The file.
        path: Utf8PathBuf,
        /// Why not.
        reason: String,
    },
    /// The registry cannot be reached, or the connection broke.
    #[error("cannot {doing} at {host}: {reason}")]
    Connection {
        /// What was attempted.
        doing: &'static str,
        /// The registry.
        host: String,
        /// Why not.
        reason: String,
    },
    /// The registry wants to know who asks.
    #[error("{host} refuses to {doing} ({status}); log in with `podman login {host}` or `docker login {host}`")]
    Denied {
        /// What was attempted.
        doing: &'static str,
        /// The registry.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// The registry refused.
    #[error("{host} does not {doing}: status {status} {text}")]
    Refused {
        /// What was attempted.
        doing: &'static str,
        /// The registry.
        host: String,
        /// The HTTP status.
        status: u16,
        /// What it said.
        text: String,
    },
}
