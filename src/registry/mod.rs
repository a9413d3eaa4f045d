//! Containers' images to a registry (OCI distribution specification 1.1).
//!
//! In: an OCI archive, a reference, credentials. Out: the image in the registry: its blobs that are not there yet, then its manifest.
//! Nothing said or printed here shows a secret. Not here: making the archive (`format::oci`).

mod answer;
mod challenge;
mod credentials;
mod error;
mod helper;
mod reference;
mod session;
mod token;
mod upload;

use camino::Utf8Path;
use ureq::SendBody;
use ureq::http::Method;

pub use credentials::Credentials;
pub use error::RegistryError;
pub use reference::Reference;
use session::{Asked, Session, nothing};
use upload::Blob;

use crate::format::oci::read::{Archive, Image};

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
        // Nothing is sent of an archive that does not have it all.
        archive.blob(blob, 0, 0)?;
    }
    for blob in &image.blobs {
        if has_blob(&mut session, &blob.digest)? {
            sent.known += 1;
            continue;
        }
        let read = |offset, length| Ok(Box::new(archive.blob(blob, offset, length)?) as Box<dyn std::io::Read + Send>);
        upload::send(&mut session, &Blob { digest: &blob.digest, size: blob.size, read: &read })?;
        sent.bytes += blob.size;
    }
    send_manifest(&mut session, &reference.tag, &image)?;
    Ok(sent)
}

/// Whether the repository has the blob.
fn has_blob(session: &mut Session<'_>, digest: &str) -> Result<bool, RegistryError> {
    let doing = "look for a layer";
    let url = session.place(&format!("blobs/{digest}"));
    let answer = session.ask(&Asked { doing, method: Method::HEAD, url: &url, headers: &[], body: &nothing })?;
    match answer.status().as_u16() {
        // It may be kept elsewhere.
        200 | 307 => Ok(true),
        404 => Ok(false),
        _ => Err(session.refused(doing, answer)),
    }
}

/// Sends the manifest, which gives the image its name.
fn send_manifest(session: &mut Session<'_>, tag: &str, image: &Image) -> Result<(), RegistryError> {
    let doing = "take the manifest";
    let url = session.place(&format!("manifests/{tag}"));
    let headers = [("content-type", image.media_type.clone()), ("content-length", image.manifest.len().to_string())];
    let body = || Ok(SendBody::from_owned_reader(std::io::Cursor::new(image.manifest.clone())));
    let answer = session.ask(&Asked { doing, method: Method::PUT, url: &url, headers: &headers, body: &body })?;
    if answer.status().as_u16() == 201 { Ok(()) } else { Err(session.refused(doing, answer)) }
}
