//! Why an image did not get to a registry.

use camino::Utf8PathBuf;

use crate::format::FormatError;
use crate::sandbox::command::CommandError;

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
    /// The program that keeps the credentials could not be asked.
    #[error("cannot get the credentials for {server} that {path} keeps elsewhere: {source}")]
    Helper {
        /// The file that names the program.
        path: Utf8PathBuf,
        /// Whose credentials.
        server: String,
        /// Why not.
        source: CommandError,
    },
    /// There is no such host.
    #[error("there is no host {host}, or no way to ask for it; check the name, and the network or the proxy")]
    NoHost {
        /// The registry.
        host: String,
    },
    /// HTTPS was answered with something else.
    #[error("{host} does not speak HTTPS; when it is a registry that you trust without, say --plain-http")]
    NotEncrypted {
        /// The registry.
        host: String,
    },
    /// A password would be sent in the clear.
    #[error("{host} wants its password sent to {realm} without encryption; nothing was sent (--plain-http allows it)")]
    Exposed {
        /// The registry.
        host: String,
        /// Where to.
        realm: String,
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
    #[error(
        "{host} does not {doing} for anybody ({status}); log in with `podman login {host}` or `docker login {host}`, or name a file with \
         --authfile"
    )]
    Unknown {
        /// What was attempted.
        doing: &'static str,
        /// The registry.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// The registry does not know this user, or it is another password.
    #[error(
        "{host} does not accept the credentials in {found}; log in anew with `podman login {host}` or `docker login {host}`"
    )]
    Denied {
        /// The registry.
        host: String,
        /// Where the credentials were found.
        found: Utf8PathBuf,
    },
    /// The registry knows the user, who may not do this.
    #[error(
        "{host} does not {doing} for the user in {found} ({status}): somebody who may has to let that user push to {repository}, or name \
         another file with --authfile"
    )]
    Forbidden {
        /// What was attempted.
        doing: &'static str,
        /// The registry.
        host: String,
        /// The repository.
        repository: String,
        /// Where the credentials were found.
        found: Utf8PathBuf,
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
