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

use super::pieces;
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
const CHUNK: u64 = 1 << 20;

/// Writes `container` to `file` from `start`, with the content of the file `inside`; `passphrase` opens it.
pub(super) fn write(container: &Luks, passphrase: &[u8], inside: &File, file: &File, start: u64) -> io::Result<()> {
    let keys = Keys::derive(container, passphrase, ROUNDS)?;
    write_with(container, &keys, inside, file, start)
}

fn write_with(container: &Luks, keys: &Keys, inside: &File, file: &File, start: u64) -> io::Result<()> {
    let cipher = Cipher::new(&keys.volume)?;
    file.write_all_at(&header::of(container, keys)?, start)?;
    file.write_all_at(&keys.slot()?, start + header::SLOT)?;
    let encrypt = |buffer: &mut Vec<u8>, at: u64| {
        let end = (at + CHUNK).min(container.size);
        buffer.clear();
        buffer.resize((end - at) as usize, 0);
        // Reading a hole would fill the page cache with it.
        for (begin, end) in pieces::data(inside, at, end)? {
            inside.read_exact_at(&mut buffer[(begin - at) as usize..(end - at) as usize], begin)?;
        }
        // Numbered in sectors of 512 bytes, whatever is encrypted together.
        let numbers = (at / 512..).step_by(container.sector_size as usize / 512);
        for (sector, number) in buffer.chunks_mut(container.sector_size as usize).zip(numbers) {
            cipher.encrypt(sector, number);
        }
        file.write_all_at(buffer, start + container.header + at)
    };
    let chunks = (0..container.size.div_ceil(CHUNK)).into_par_iter();
    chunks.try_for_each_init(Vec::new, |buffer, chunk| encrypt(buffer, chunk * CHUNK))
}

#[cfg(test)]
mod tests;
