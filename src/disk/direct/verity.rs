//! dm-verity's tree of hashes (the kernel's `Documentation/admin-guide/device-mapper/verity.rst`, the super block of cryptsetup's
//! `docs/on-disk-format-verity`).
//!
//! In: the finished data, the layout's salt and identifier. Out: super block and tree in their place, and the root hash, with which
//! the boot entry names all of the data. Pure bytes: what `veritysetup format` writes. Not here: who checks it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rayon::prelude::*;
use sha2::{Digest, Sha256, Sha512};

use crate::disk::layout::Verity;

/// Blocks that are read at a time.
const AT_ONCE: u64 = 2048;

/// Writes super block and tree for the data from `data.1` of `data.0` to `hash.0` from `hash.1`. Returns the root hash.
pub(super) fn write(verity: &Verity, data: (&File, u64), hash: (&File, u64)) -> io::Result<String> {
    let salt = unhex(&verity.salt)?;
    if salt.len() > 256 {
        return Err(io::Error::other("its salt is longer than 256 bytes"));
    }
    let digest = digest_of(&verity.algorithm)?;
    let mut levels = vec![leaves(verity, &salt, digest, data)?];
    let block = verity.hash_block_size as usize;
    let blocks = |level: &[u8]| level.len() / block;
    // The root of one block of data is its own hash: there is no tree.
    if verity.data_blocks > 1 {
        while levels.last().is_some_and(|level| blocks(level) > 1) {
            let below = levels.last().map(Vec::as_slice).unwrap_or_default();
            let digests = below.par_chunks(block).map(|block| digest(&salt, block)).collect::<Vec<_>>();
            levels.push(packed(&digests, block));
        }
    }
    let root = match levels.last() {
        Some(top) if verity.data_blocks > 1 => digest(&salt, top),
        Some(only) => only[..digest(&salt, &[]).len()].to_vec(),
        None => Vec::new(),
    };
    hash.0.write_all_at(&superblock(verity, &salt), hash.1)?;
    if verity.data_blocks > 1 {
        let mut at = hash.1 + u64::from(verity.hash_block_size);
        // The top of the tree comes first.
        for level in levels.iter().rev() {
            hash.0.write_all_at(level, at)?;
            at += level.len() as u64;
        }
    }
    Ok(root.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A hash of salt and block.
type Hash = fn(&[u8], &[u8]) -> Vec<u8>;

fn digest_of(algorithm: &str) -> io::Result<Hash> {
    match algorithm {
        "sha256" => Ok(|salt, block| Sha256::new().chain_update(salt).chain_update(block).finalize().to_vec()),
        "sha512" => Ok(|salt, block| Sha512::new().chain_update(salt).chain_update(block).finalize().to_vec()),
        other => Err(io::Error::other(format!("the algorithm {other} is not known; use sha256 or sha512"))),
    }
}

/// The lowest level: the hash of every block of the data.
fn leaves(verity: &Verity, salt: &[u8], digest: Hash, (file, start): (&File, u64)) -> io::Result<Vec<u8>> {
    let size = u64::from(verity.data_block_size);
    let empty = digest(salt, &vec![0; size as usize]);
    let mut digests = Vec::with_capacity(verity.data_blocks as usize);
    let mut buffer = Vec::new();
    let mut block = 0;
    while block < verity.data_blocks {
        let count = AT_ONCE.min(verity.data_blocks - block);
        buffer.resize((count * size) as usize, 0);
        file.read_exact_at(&mut buffer, start + block * size)?;
        let hash = |block: &[u8]| if block.iter().all(|byte| *byte == 0) { empty.clone() } else { digest(salt, block) };
        digests.par_extend(buffer.par_chunks(size as usize).map(hash));
        block += count;
    }
    Ok(packed(&digests, verity.hash_block_size as usize))
}

/// Hashes in whole blocks; the rest of the last is zero.
fn packed(digests: &[Vec<u8>], block: usize) -> Vec<u8> {
    let mut bytes = digests.concat();
    bytes.resize(bytes.len().next_multiple_of(block), 0);
    bytes
}

fn superblock(verity: &Verity, salt: &[u8]) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"verity\0\0");
    put(8, &1u32.to_le_bytes());
    // The salt is hashed before the block.
    put(12, &1u32.to_le_bytes());
    put(16, verity.uuid.as_bytes());
    put(32, verity.algorithm.as_bytes());
    put(64, &verity.data_block_size.to_le_bytes());
    put(68, &verity.hash_block_size.to_le_bytes());
    put(72, &verity.data_blocks.to_le_bytes());
    put(80, &(salt.len() as u16).to_le_bytes());
    put(88, salt);
    block
}

fn unhex(text: &str) -> io::Result<Vec<u8>> {
    let wrong = || io::Error::other(format!("its salt `{text}` is no hexadecimal number"));
    if !text.is_ascii() || text.len() % 2 == 1 {
        return Err(wrong());
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| wrong())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::layout::Device;
    use crate::event::Events;
    use crate::sandbox::command::Command;

    fn run(words: &[&str]) -> (i32, String) {
        let output = Command::new(words.iter().copied()).quiet().run(&Events::none()).unwrap();
        (output.status, String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// `veritysetup verify` reads the data and the whole tree itself; a hash device of its own lies in `hash`.
    #[test]
    fn veritysetup_verifies_trees_of_every_height_and_finds_a_changed_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        for (data_blocks, algorithm, salt) in
            [(1, "sha256", "00ff"), (128, "sha256", ""), (129, "sha512", "0a"), (20_000, "sha256", "1234567890abcdef")]
        {
            let verity = Verity {
                name: "root".into(),
                data: Device::Disk { disk: "image0".into() },
                hash: Device::Disk { disk: "image1".into() },
                uuid: uuid::uuid!("850c575b-ed61-43b5-b81a-6a543090ba3c"),
                algorithm: algorithm.into(),
                salt: salt.into(),
                data_block_size: 4096,
                hash_block_size: 4096,
                data_blocks,
                hash_size: 0,
            };
            let content: Vec<u8> = (0..data_blocks).flat_map(|block| vec![(block % 251) as u8; 4096]).collect();
            std::fs::write(path("data"), &content).unwrap();
            let data = File::options().read(true).write(true).open(path("data")).unwrap();
            let hash = File::create(path("hash")).unwrap();
            let root = write(&verity, (&data, 0), (&hash, 0)).unwrap();
            let verify = ["veritysetup", "verify", &path("data"), &path("hash"), &root];
            let (status, text) = run(&verify);
            assert_eq!(status, 0, "{data_blocks} blocks: {text}");
            let (_, text) = run(&["veritysetup", "dump", &path("hash")]);
            assert!(text.contains("850c575b-ed61-43b5-b81a-6a543090ba3c") && text.contains(algorithm), "{text}");
            data.write_all_at(&[0xee], 4095).unwrap();
            assert_ne!(run(&verify).0, 0, "{data_blocks} blocks: a changed byte was not found");
        }
    }

    #[test]
    fn a_salt_that_is_no_number_is_refused() {
        assert!(unhex("0x").is_err() && unhex("123").is_err());
        assert_eq!(unhex("00ff").unwrap(), [0, 255]);
    }
}
