//! The root hash of a verified root in its boot entry.
//!
//! The hash is known when the root is written; the entry is written before, and lies on another file system. So the entry holds a
//! stand-in of the same length, which nothing else contains, and the finished image gets the hash in its place. In: the image, the
//! hashes. Out: the image with them. Nothing of a FAT or ext file system sums up the content of files; what does is left alone.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use camino::Utf8Path;
use regex::bytes::Regex;
use sha2::{Digest, Sha512};

use super::error::BootError;
use crate::disk::layout::{Layout, Verity};

/// Bytes that are read at a time.
const CHUNK: u64 = 4 << 20;

/// What stands for the root hash of `verity` until it is known.
pub(super) fn stand_in(verity: &Verity) -> String {
    let digest = Sha512::digest(format!("kiln:root-hash:{}:{}", verity.name, verity.uuid));
    let text: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let length = if verity.algorithm == "sha512" { 128 } else { 64 };
    text[..length].to_owned()
}

/// Puts the hashes, by the names of their devices, into the entries on the disk named `disk`, whose raw image is `image`.
pub(super) fn fill(
    layout: &Layout,
    disk: &str,
    image: &Utf8Path,
    hashes: &BTreeMap<String, String>,
) -> Result<(), BootError> {
    let failed = |attempt| BootError::file(attempt, image);
    for verity in &layout.verity {
        let Some(hash) = hashes.get(&verity.name) else { continue };
        let stand_in = stand_in(verity);
        let pattern = Regex::new(&stand_in).map_err(|error| failed("search")(std::io::Error::other(error)))?;
        let file = OpenOptions::new().read(true).write(true).open(image).map_err(failed("open"))?;
        let plain = |kind: &str| ["vfat", "fat", "ext2", "ext3", "ext4"].contains(&kind);
        let others = layout.filesystems.iter().filter(|other| plain(&other.kind) && other.device != verity.data);
        for region in others.filter_map(|other| layout.region(&other.device)).filter(|region| region.disk == disk) {
            let overlap = stand_in.len() as u64;
            let (mut at, end) = (region.start, region.start + region.size);
            let mut buffer = Vec::new();
            while at < end {
                buffer.resize((end - at).min(CHUNK + overlap) as usize, 0);
                file.read_exact_at(&mut buffer, at).map_err(failed("read"))?;
                for found in pattern.find_iter(&buffer) {
                    file.write_all_at(hash.as_bytes(), at + found.start() as u64).map_err(failed("write"))?;
                }
                at += CHUNK;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::platform::tests::verified;
    use super::*;

    #[test]
    fn every_stand_in_outside_the_verified_data_becomes_the_hash() {
        let layout = verified();
        let (root, verity) = (layout.verity[0].data.clone(), layout.verity[0].clone());
        let folder = tempfile::tempdir().unwrap();
        let image = Utf8Path::from_path(folder.path()).unwrap().join("image");
        let file = std::fs::File::create(&image).unwrap();
        file.set_len(layout.disks[0].size).unwrap();
        let stand_in = stand_in(&verity);
        assert_eq!(stand_in.len(), 64);
        let esp = layout.region(&layout.at("/boot/efi").unwrap().device).unwrap().start;
        let inside = layout.region(&root).unwrap().start;
        // One of them lies across two chunks.
        for at in [esp + 100, esp + CHUNK - 7, inside + 4096] {
            file.write_all_at(stand_in.as_bytes(), at).unwrap();
        }
        let hash = "ab".repeat(32);
        fill(&layout, "image0", &image, &BTreeMap::from([(verity.name.clone(), hash.clone())])).unwrap();
        let file = std::fs::File::open(&image).unwrap();
        let read = |at: u64| {
            let mut bytes = vec![0; 64];
            file.read_exact_at(&mut bytes, at).unwrap();
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(read(esp + 100), hash);
        assert_eq!(read(esp + CHUNK - 7), hash);
        assert_eq!(read(inside + 4096), stand_in);
    }
}
