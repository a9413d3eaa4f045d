//! The header of a LUKS2 container: a binary part and one of JSON, twice.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::key::{DIGEST_ROUNDS, Keys, STRIPES};
use crate::disk::layout::Luks;

/// Bytes of one copy.
const COPY: usize = 16 << 10;
/// Bytes of its binary part.
const BINARY: usize = 4096;
/// Where the key slot's area begins: behind both copies.
pub(super) const SLOT: u64 = 2 * COPY as u64;
/// The area's room is a multiple of this.
const STEP: usize = 4096;

/// Both copies.
pub(super) fn of(container: &Luks, keys: &Keys) -> io::Result<Vec<u8>> {
    let text = text(container, keys).to_string();
    if text.len() >= COPY - BINARY {
        return Err(io::Error::other("its header is too long"));
    }
    let mut both = copy(container, &text, b"LUKS\xba\xbe", 0);
    both.extend(copy(container, &text, b"SKUL\xba\xbe", COPY as u64));
    Ok(both)
}

/// One copy, for the place `at`; numbers are big-endian.
fn copy(container: &Luks, text: &str, magic: &[u8; 6], at: u64) -> Vec<u8> {
    let mut copy = vec![0; COPY];
    let mut put = |at: usize, bytes: &[u8]| copy[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, magic);
    put(6, &2u16.to_be_bytes());
    put(8, &(COPY as u64).to_be_bytes());
    // The sequence number: the first version.
    put(16, &1u64.to_be_bytes());
    let label = container.label.as_bytes();
    put(24, &label[..label.len().min(47)]);
    put(72, b"sha256");
    // Makes the checksum of otherwise equal copies differ.
    put(104, &Sha256::new().chain_update(magic).chain_update(container.uuid.as_bytes()).finalize());
    put(168, container.uuid.to_string().as_bytes());
    put(256, &at.to_be_bytes());
    put(BINARY, text.as_bytes());
    let sum = Sha256::digest(&copy);
    copy[448..448 + sum.len()].copy_from_slice(&sum);
    copy
}

fn text(container: &Luks, keys: &Keys) -> serde_json::Value {
    let bytes = keys.volume.len();
    let area = (bytes * STRIPES).next_multiple_of(STEP);
    let encoded = |bytes: &[u8]| STANDARD.encode(bytes);
    json!({
        "keyslots": { "0": {
            "type": "luks2",
            "key_size": bytes,
            "af": { "type": "luks1", "stripes": STRIPES, "hash": "sha256" },
            "area": {
                "type": "raw",
                "offset": SLOT.to_string(),
                "size": area.to_string(),
                "encryption": container.cipher,
                "key_size": bytes,
            },
            "kdf": { "type": "pbkdf2", "hash": "sha256", "iterations": keys.rounds, "salt": encoded(&keys.salt) },
        } },
        "tokens": {},
        "segments": { "0": {
            "type": "crypt",
            "offset": container.header.to_string(),
            "size": "dynamic",
            "iv_tweak": "0",
            "encryption": container.cipher,
            "sector_size": container.sector_size,
        } },
        "digests": { "0": {
            "type": "pbkdf2",
            "keyslots": ["0"],
            "segments": ["0"],
            "hash": "sha256",
            "iterations": DIGEST_ROUNDS,
            "salt": encoded(&keys.digest_salt),
            "digest": encoded(&keys.digest()),
        } },
        "config": {
            "json_size": (COPY - BINARY).to_string(),
            "keyslots_size": (container.header - SLOT).to_string(),
        },
    })
}
