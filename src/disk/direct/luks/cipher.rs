//! AES in XTS mode with numbered sectors: `aes-xts-plain64`.

use std::io;

use aes::cipher::KeyInit;
use aes::{Aes128, Aes256};
use xts_mode::Xts128;

/// A key, ready to encrypt.
pub(super) enum Cipher {
    /// Two keys of 128 bits.
    Aes128(Box<Xts128<Aes128>>),
    /// Two keys of 256 bits.
    Aes256(Box<Xts128<Aes256>>),
}

impl Cipher {
    /// Of both halves of `key`: 32 or 64 bytes.
    pub fn new(key: &[u8]) -> io::Result<Self> {
        let (one, two) = key.split_at(key.len() / 2);
        let wrong = |_| io::Error::other(format!("a key of {} bits is none of aes-xts", key.len() * 8));
        Ok(match key.len() {
            32 => Self::Aes128(Box::new(Xts128::new(
                Aes128::new_from_slice(one).map_err(wrong)?,
                Aes128::new_from_slice(two).map_err(wrong)?,
            ))),
            _ => Self::Aes256(Box::new(Xts128::new(
                Aes256::new_from_slice(one).map_err(wrong)?,
                Aes256::new_from_slice(two).map_err(wrong)?,
            ))),
        })
    }

    /// Encrypts one sector, whose number is `number`.
    pub fn encrypt(&self, sector: &mut [u8], number: u64) {
        let tweak = u128::from(number).to_le_bytes().into();
        match self {
            Self::Aes128(xts) => xts.encrypt_sector(sector, tweak),
            Self::Aes256(xts) => xts.encrypt_sector(sector, tweak),
        }
    }
}
