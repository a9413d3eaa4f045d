//! The keys of a container, and its key slot.
//!
//! In: the passphrase and the container's identifier. Out: the slot's key by PBKDF2, and from it everything else that has to be
//! unguessable. The slot holds the volume key, split over 4000 stripes so that it can be wiped (the splitting of the LUKS1
//! specification), and encrypted.

use std::io;

use hmac::{Hmac, KeyInit, Mac};
use pbkdf2::pbkdf2_hmac;
use sha2::{Digest, Sha256, Sha512};

use super::cipher::Cipher;
use crate::disk::layout::Luks;

/// Rounds for the digest of the volume key, which nobody guesses.
pub(super) const DIGEST_ROUNDS: u32 = 1000;
pub(super) const STRIPES: usize = 4000;
/// Bytes of a salt and of a digest.
const HASH: usize = 32;

/// What a container is locked with.
pub(super) struct Keys {
    /// Encrypts the content.
    pub volume: Vec<u8>,
    /// Encrypts the slot.
    slot: Vec<u8>,
    /// Rounds of the slot's derivation.
    pub rounds: u32,
    /// Its salt.
    pub salt: [u8; HASH],
    /// Of the digest's.
    pub digest_salt: [u8; HASH],
    /// What is hidden behind the passphrase, and everything random comes from.
    root: [u8; 64],
}

impl Keys {
    /// The keys of `container`, derived from its passphrase in `rounds`.
    pub fn derive(container: &Luks, passphrase: &[u8], rounds: u32) -> io::Result<Self> {
        if passphrase.is_empty() {
            return Err(io::Error::other("its passphrase is empty"));
        }
        let salted = |what: &str| -> [u8; HASH] {
            Sha256::new().chain_update(what).chain_update(container.uuid.as_bytes()).finalize().into()
        };
        let salt = salted("kiln:luks:slot");
        let bytes = (container.key_bits / 8) as usize;
        let mut derived = [0; 96];
        // The slot's key, as everyone derives it, is the beginning; the bytes behind it are nobody's but ours.
        pbkdf2_hmac::<Sha256>(passphrase, &salt, rounds, &mut derived);
        let mut root = [0; 64];
        root.copy_from_slice(&expand(&derived[64..], "root", 0)?);
        let volume = expand(&root, "volume key", 0)?[..bytes].to_vec();
        let slot = derived[..bytes].to_vec();
        Ok(Self { volume, slot, rounds, salt, digest_salt: salted("kiln:luks:digest"), root })
    }

    /// The digest of the volume key that tells a right passphrase.
    pub fn digest(&self) -> [u8; HASH] {
        let mut digest = [0; HASH];
        pbkdf2_hmac::<Sha256>(&self.volume, &self.digest_salt, DIGEST_ROUNDS, &mut digest);
        digest
    }

    /// The key slot's area.
    pub fn slot(&self) -> io::Result<Vec<u8>> {
        let length = self.volume.len();
        let mut area = Vec::with_capacity(length * STRIPES);
        let mut last = vec![0; length];
        for stripe in 1..STRIPES as u32 {
            let random = &expand(&self.root, "stripe", stripe)?[..length];
            last.iter_mut().zip(random).for_each(|(to, from)| *to ^= from);
            last = diffuse(&last);
            area.extend_from_slice(random);
        }
        area.extend(last.iter().zip(&self.volume).map(|(one, other)| one ^ other));
        let cipher = Cipher::new(&self.slot)?;
        for (number, sector) in (0..).zip(area.chunks_mut(512)) {
            cipher.encrypt(sector, number);
        }
        Ok(area)
    }
}

/// 64 bytes that follow from `key`, for one purpose.
fn expand(key: &[u8], purpose: &str, number: u32) -> io::Result<[u8; 64]> {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).map_err(io::Error::other)?;
    mac.update(purpose.as_bytes());
    mac.update(&number.to_be_bytes());
    Ok(mac.finalize().into_bytes().into())
}

/// Every bit of a block of the digest's length depends on every other.
fn diffuse(bytes: &[u8]) -> Vec<u8> {
    let block = |(number, block): (u32, &[u8])| {
        let hash = Sha256::new().chain_update(number.to_be_bytes()).chain_update(block).finalize();
        hash[..block.len()].to_vec()
    };
    (0..).zip(bytes.chunks(HASH)).flat_map(block).collect()
}
