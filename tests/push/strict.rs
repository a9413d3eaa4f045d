//! A registry of a test's own: as strict as the specification about pieces, and it breaks connections when told to.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

use super::http::{self, Answer, Request};

/// What goes wrong.
#[derive(Clone, Copy, Default)]
pub struct Faults {
    /// The connection breaks when so many bytes of an upload have arrived, once.
    pub breaks_at: Option<u64>,
    /// It then knows nothing of the upload.
    pub forgets: bool,
    /// It takes whole blobs only.
    pub no_pieces: bool,
    /// It lets nobody push.
    pub forbidden: bool,
}

#[derive(Default)]
pub struct State {
    pub blobs: BTreeMap<String, Vec<u8>>,
    pub manifests: BTreeMap<String, Vec<u8>>,
    uploads: Vec<Option<Vec<u8>>>,
    broken: bool,
    /// Bytes of bodies that arrived.
    pub bytes: u64,
    /// Methods, in order.
    pub log: Vec<String>,
}

/// Starts it; its port and what it knows.
pub fn start(faults: Faults) -> (u16, Arc<Mutex<State>>) {
    let state = Arc::new(Mutex::new(State::default()));
    let known = Arc::clone(&state);
    (http::serve(move |request, body| answer(faults, &mut known.lock().unwrap(), request, body)), state)
}

fn answer(faults: Faults, state: &mut State, request: &Request, body: &mut dyn Read) -> Option<Answer> {
    state.log.push(request.method.clone());
    if let Some(number) = request.path.strip_prefix("/uploads/") {
        return upload(faults, state, number.parse().unwrap(), request, body);
    }
    let rest = request.path.strip_prefix("/v2/team/web/")?;
    Some(match (request.method.as_str(), rest.split_once('/')?) {
        ("HEAD", ("blobs", digest)) => Answer::new(if state.blobs.contains_key(digest) { 200 } else { 404 }),
        ("POST", ("blobs", "uploads/")) if faults.forbidden => Answer::new(403),
        ("POST", ("blobs", "uploads/")) => {
            state.uploads.push(Some(Vec::new()));
            Answer::new(202).with("Location", format!("/uploads/{}?at=0", state.uploads.len() - 1))
        }
        ("PUT", ("manifests", tag)) => {
            let mut manifest = Vec::new();
            body.read_to_end(&mut manifest).ok()?;
            state.manifests.insert(tag.to_owned(), manifest);
            Answer::new(201)
        }
        _ => Answer::new(400),
    })
}

fn upload(faults: Faults, state: &mut State, number: usize, request: &Request, body: &mut dyn Read) -> Option<Answer> {
    let State { uploads, blobs, broken, bytes, .. } = state;
    let place = &mut uploads[number];
    let Some(content) = place else { return Some(Answer::new(404)) };
    let before = content.len() as u64;
    let here = |length: u64, status| {
        let location = format!("/uploads/{number}?at={length}");
        Answer::new(status).with("Location", location).with("Range", format!("0-{}", length.saturating_sub(1)))
    };
    // Whoever goes on from another place was not listening.
    let is_next = request.query.starts_with(&format!("at={before}"));
    match request.method.as_str() {
        "GET" => return Some(here(before, 204)),
        "PATCH" if faults.no_pieces => return Some(Answer::new(405)),
        "PATCH" if !is_next || request.header("content-range").split_once('-')?.0 != before.to_string() => {
            return Some(here(before, 416));
        }
        _ => {}
    }
    let room = faults.breaks_at.filter(|_| !*broken).map_or(u64::MAX, |at| at.saturating_sub(before));
    body.take(room).read_to_end(content).ok()?;
    let arrived = content.len() as u64 - before;
    *bytes += arrived;
    if arrived < request.length() {
        *broken = true;
        if faults.forgets {
            *place = None;
        }
        return None;
    }
    if request.method == "PATCH" {
        return Some(here(content.len() as u64, 202));
    }
    let digest = request.query.split("digest=").nth(1)?;
    let found: String = Sha256::digest(&*content).iter().map(|byte| format!("{byte:02x}")).collect();
    if digest != format!("sha256:{found}") {
        return Some(Answer::new(400).saying(r#"{"errors": [{"code": "DIGEST_INVALID", "message": "not that"}]}"#));
    }
    blobs.insert(digest.to_owned(), std::mem::take(content));
    Some(Answer::new(201))
}
