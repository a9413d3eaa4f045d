//! Containers' images to a registry (OCI distribution specification 1.1).
//!
//! In: an OCI archive, a reference, credentials. Out: the image in the registry: its blobs that are not there yet, then its manifest.
//! Not here: making the archive (`format::oci`).

mod credentials;
mod error;
mod reference;
mod session;

use camino::Utf8Path;

pub use credentials::Credentials;
pub use error::RegistryError;
pub use reference::Reference;
use session::Session;

use crate::format::oci::read::Archive;

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Bytes of blobs that were sent.
    pub bytes: u64,
    /// Blobs that the registry had already.
    pub known: usize,
}

/// Sends the image of the archive at `path`.
///
/// # Errors
/// The archive is damaged, or the registry refuses something.
pub fn push(
    path: &Utf8Path,
    reference: &Reference,
    credentials: Option<&Credentials>,
    plain_http: bool,
) -> Result<Sent, RegistryError> {
    let archive = Archive::open(path)?;
    let image = archive.image()?;
    let mut session = Session::new(reference, credentials, plain_http);
    let mut sent = Sent::default();
    for blob in &image.blobs {
        if session.has_blob(&blob.digest)? {
            sent.known += 1;
            continue;
        }
        session.send_blob(&blob.digest, blob.size, archive.blob(blob)?)?;
        sent.bytes += blob.size;
    }
    session.send_manifest(&image.media_type, &image.manifest)?;
    Ok(sent)
}
