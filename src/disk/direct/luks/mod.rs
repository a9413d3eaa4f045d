//! LUKS2 containers (LUKS2 On-Disk Format Specification 1.1.1), without device-mapper.
//!
//! In: a container of the layout, what opens it, a file with its content. Out: header, key slot and encrypted content in their place.
//! All of the content is encrypted, also what is empty: a hole would show where nothing is, and read as noise. Everything follows from
//! the container's identifier and the passphrase, through the same slow derivation that opens the slot: the same build has the same
//! bytes, and nobody gets at the volume key faster than by guessing the passphrase. Not here: who brings the passphrase.

mod cipher;
mod header;
mod key;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rayon::prelude::*;

use crate::disk::layout::Luks;
use cipher::Cipher;
use key::Keys;

/// Rounds for the passphrase: about half a second of one core.
#[cfg(not(test))]
const ROUNDS: u32 = 600_000;
/// A test that is not optimised would take minutes.
#[cfg(test)]
const ROUNDS: u32 = 1000;
/// Bytes that are encrypted at a time.
const CHUNK: u64 = 8 << 20;

/// Writes `container` to `file` from `start`, with the content of the file `inside`; `passphrase` opens it.
pub(super) fn write(container: &Luks, passphrase: &[u8], inside: &File, file: &File, start: u64) -> io::Result<()> {
    let keys = Keys::derive(container, passphrase, ROUNDS)?;
    write_with(container, &keys, inside, file, start)
}

fn write_with(container: &Luks, keys: &Keys, inside: &File, file: &File, start: u64) -> io::Result<()> {
    let cipher = Cipher::new(&keys.volume)?;
    file.write_all_at(&header::of(container, keys)?, start)?;
    file.write_all_at(&keys.slot()?, start + header::SLOT)?;
    let sector = container.sector_size as usize;
    let mut buffer = Vec::new();
    let mut at = 0;
    while at < container.size {
        buffer.resize((container.size - at).min(CHUNK) as usize, 0);
        inside.read_exact_at(&mut buffer, at)?;
        // Numbered in sectors of 512 bytes, whatever is encrypted together.
        let first = at / 512;
        let step = container.sector_size as usize / 512;
        let sectors = buffer.par_chunks_mut(sector).enumerate();
        sectors.for_each(|(index, bytes)| cipher.encrypt(bytes, first + (index * step) as u64));
        file.write_all_at(&buffer, start + container.header + at)?;
        at += buffer.len() as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
