//! What is in an initramfs, for comparison.

use std::collections::BTreeMap;
use std::io::Read;

/// A name drawn at random, different in every image.
const RANDOM: &str = "etc/initiatorname.iscsi";

/// Mode, owner and content of each path.
type Files = BTreeMap<String, (u64, u64, u64, Vec<u8>)>;

/// Whether both hold the same files, whatever their times, numbers and compression.
pub fn are_equal(one: &[u8], other: &[u8]) -> bool {
    let (one, other) = (files(one), files(other));
    let differ: Vec<&String> =
        one.keys().chain(other.keys()).filter(|path| *path != RANDOM && one.get(*path) != other.get(*path)).collect();
    if !differ.is_empty() {
        eprintln!("the initramfs archives differ in {differ:?}");
    }
    differ.is_empty() && one.len() > 500
}

/// Reads an archive in cpio's format `newc` (initramfs buffer format in the kernel's documentation), compressed by gzip.
fn files(packed: &[u8]) -> Files {
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(packed).read_to_end(&mut plain).unwrap();
    let mut files = Files::new();
    let mut at = 0;
    while plain[at..].starts_with(b"070701") {
        let field = |number: usize| {
            let text = std::str::from_utf8(&plain[at + 6 + 8 * number..][..8]).unwrap();
            u64::from_str_radix(text, 16).unwrap()
        };
        let (mode, uid, gid, size, length) = (field(1), field(2), field(3), field(6) as usize, field(11) as usize);
        let name = String::from_utf8_lossy(&plain[at + 110..at + 110 + length - 1]).into_owned();
        let start = (at + 110 + length).next_multiple_of(4);
        if name == "TRAILER!!!" {
            break;
        }
        files.insert(name, (mode, uid, gid, plain[start..start + size].to_vec()));
        at = (start + size).next_multiple_of(4);
    }
    files
}
