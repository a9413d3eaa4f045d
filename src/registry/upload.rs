//! A blob on its way to a registry (OCI distribution specification 1.1, "Pushing blobs").
//!
//! In: a digest, and bytes that can be read from any place on. Out: the blob in the registry. A small one is sent in one piece; of a large
//! one that breaks off only what the registry has not is sent again. Not here: which blobs.

use std::io::Read;
use std::thread;
use std::time::Duration;

use ureq::http::{Method, Response};
use ureq::{Body, SendBody};

use super::RegistryError;
use super::session::{Asked, Session, nothing};

/// Bytes that are sent at a time.
const PIECE: u64 = 32 << 20;
/// Bytes that are sent without asking first.
const WITHOUT_LEAVE: u64 = 1 << 20;
/// How often it may break off without anything gained.
const MOST_FAILURES: u32 = 4;
/// The first pause after a failure; each is twice the one before.
const PAUSE: Duration = Duration::from_millis(500);
const DOING: &str = "take a layer";

/// A blob.
pub struct Blob<'a> {
    /// `sha256:…`.
    pub digest: &'a str,
    /// Its bytes.
    pub size: u64,
    /// Reads so many bytes from an offset.
    pub read: &'a dyn Fn(u64, u64) -> Result<Box<dyn Read + Send>, RegistryError>,
}

/// How far an upload is.
struct Upload {
    /// Where the rest goes.
    location: String,
    /// Bytes that the registry has.
    at: u64,
    /// Bytes that it wants at once, at least.
    piece: u64,
}

/// Sends the blob.
///
/// # Errors
/// The registry refuses it, or breaks off again and again.
pub fn send(session: &mut Session<'_>, blob: &Blob<'_>) -> Result<(), RegistryError> {
    let mut failures = 0;
    let mut in_pieces = blob.size > PIECE;
    let mut upload = begin(session)?;
    loop {
        let before = upload.at;
        let sent = if in_pieces { send_rest(session, blob, &mut upload) } else { send_whole(session, blob, &upload) };
        let error = match sent {
            Ok(()) => return Ok(()),
            // Registries that take no pieces say so at the first.
            Err(RegistryError::Refused { status: 400 | 404 | 405 | 411 | 413 | 415 | 501, .. })
                if in_pieces && upload.at == 0 =>
            {
                in_pieces = false;
                upload = begin(session)?;
                continue;
            }
            Err(error) if is_passing(&error) => error,
            Err(error) => return Err(error),
        };
        failures = if upload.at > before { 1 } else { failures + 1 };
        if failures > MOST_FAILURES {
            return Err(error);
        }
        // Nothing of a piece has arrived: perhaps they are refused without a word.
        in_pieces &= upload.at > 0 || failures < MOST_FAILURES / 2;
        thread::sleep(PAUSE * 2_u32.pow(failures - 1));
        // What cannot be gone on with begins anew.
        if !(in_pieces && look(session, blob, &mut upload)) {
            upload = match begin(session) {
                Err(error) if is_passing(&error) => Upload { at: 0, ..upload },
                begun => begun?,
            };
        }
    }
}

/// Whether trying again may help: the connection broke, a server behind it failed, or the two sides count differently.
fn is_passing(error: &RegistryError) -> bool {
    match error {
        RegistryError::Connection { .. } => true,
        RegistryError::Refused { status, .. } => matches!(status, 408 | 416 | 429 | 500 | 502 | 503 | 504),
        _ => false,
    }
}

fn begin(session: &mut Session<'_>) -> Result<Upload, RegistryError> {
    let url = session.place("blobs/uploads/");
    let asked = Asked { doing: DOING, method: Method::POST, url: &url, headers: &[], body: &nothing };
    let answer = session.ask(&asked)?;
    let location = location(session, &answer).filter(|_| answer.status().as_u16() == 202);
    let least = header(&answer, "oci-chunk-min-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let location = location.ok_or_else(|| session.refused(DOING, answer))?;
    Ok(Upload { location, at: 0, piece: PIECE.max(least) })
}

/// Headers of a request with so many bytes of the blob. A large one waits for leave, so that a refusal is read before they are sent.
fn headers(length: u64) -> Vec<(&'static str, String)> {
    let mut headers =
        vec![("content-type", "application/octet-stream".to_owned()), ("content-length", length.to_string())];
    if length > WITHOUT_LEAVE {
        headers.push(("expect", "100-continue".to_owned()));
    }
    headers
}

/// Sends all of it at once.
fn send_whole(session: &mut Session<'_>, blob: &Blob<'_>, upload: &Upload) -> Result<(), RegistryError> {
    let headers = headers(blob.size);
    let body = || Ok(SendBody::from_owned_reader((blob.read)(0, blob.size)?));
    end(session, blob, &upload.location, &headers, &body)
}

/// Sends what the registry has not, piece by piece.
fn send_rest(session: &mut Session<'_>, blob: &Blob<'_>, upload: &mut Upload) -> Result<(), RegistryError> {
    while upload.at < blob.size {
        let (from, length) = (upload.at, upload.piece.min(blob.size - upload.at));
        let range = ("content-range", format!("{from}-{}", from + length - 1));
        let headers = headers(length).into_iter().chain([range]).collect::<Vec<_>>();
        let body = || Ok(SendBody::from_owned_reader((blob.read)(from, length)?));
        let asked =
            Asked { doing: DOING, method: Method::PATCH, url: &upload.location, headers: &headers, body: &body };
        let answer = session.ask(&asked)?;
        if !matches!(answer.status().as_u16(), 201 | 202 | 204) {
            return Err(session.refused(DOING, answer));
        }
        // It may have taken less.
        upload.at = received(&answer).filter(|at| (from..=from + length).contains(at)).unwrap_or(from + length);
        if let Some(next) = location(session, &answer) {
            upload.location = next;
        }
        if upload.at == from {
            let (host, reason) = (session.host(), "it takes nothing of a piece".to_owned());
            return Err(RegistryError::Connection { doing: DOING, host, reason });
        }
    }
    end(session, blob, &upload.location, &[("content-length", "0".to_owned())], &nothing)
}

/// Ends an upload: the blob gets its name.
fn end(
    session: &mut Session<'_>,
    blob: &Blob<'_>,
    location: &str,
    headers: &[(&'static str, String)],
    body: &dyn Fn() -> Result<SendBody<'static>, RegistryError>,
) -> Result<(), RegistryError> {
    let joint = if location.contains('?') { '&' } else { '?' };
    let url = format!("{location}{joint}digest={}", blob.digest);
    let answer = session.ask(&Asked { doing: DOING, method: Method::PUT, url: &url, headers, body })?;
    if matches!(answer.status().as_u16(), 201 | 204) { Ok(()) } else { Err(session.refused(DOING, answer)) }
}

/// Asks how much has arrived; whether the upload can go on from there.
fn look(session: &mut Session<'_>, blob: &Blob<'_>, upload: &mut Upload) -> bool {
    let url = upload.location.clone();
    let asked = Asked { doing: DOING, method: Method::GET, url: &url, headers: &[], body: &nothing };
    let Ok(answer) = session.ask(&asked) else { return false };
    let at = received(&answer).filter(|at| answer.status().as_u16() == 204 && *at <= blob.size);
    let Some(at) = at else { return false };
    upload.at = at;
    upload.location = location(session, &answer).unwrap_or(url);
    true
}

/// Bytes that the registry says it has: `Range: 0-LAST`, also for none at all.
fn received(answer: &Response<Body>) -> Option<u64> {
    let range = header(answer, "range")?;
    let last: u64 = range.strip_prefix("bytes=").unwrap_or(range).strip_prefix("0-")?.parse().ok()?;
    // No piece has one byte.
    if last == 0 { Some(0) } else { last.checked_add(1) }
}

fn location(session: &Session<'_>, answer: &Response<Body>) -> Option<String> {
    header(answer, "location").map(|location| session.absolute(location))
}

fn header<'a>(answer: &'a Response<Body>, name: &str) -> Option<&'a str> {
    answer.headers().get(name).and_then(|value| value.to_str().ok())
}
