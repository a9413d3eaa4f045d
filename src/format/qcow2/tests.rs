//! QEMU judges: `qemu-img check` finds no error or leak, `qemu-img compare` no difference.

use std::fs::File;
use std::os::unix::fs::FileExt;

use camino::Utf8Path;
use proptest::prelude::*;

use super::*;
use crate::event::Events;
use crate::format::{pass, reader};
use crate::sandbox::command::Command;

const CLUSTER: u64 = 1 << CLUSTER_BITS;
const L2_COVERAGE: u64 = CLUSTER * CLUSTER / 8;

const METHODS: [Compression; 4] = [
    Compression::None,
    Compression::Deflate { level: 1 },
    Compression::Deflate { level: 6 },
    Compression::Zstd { level: 3 },
];

/// Bytes that do not compress, the same for the same seed.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..length.div_ceil(8)).flat_map(|_| next().to_le_bytes()).take(length).collect()
}

fn write(raw: &Utf8Path, image: &Utf8Path, options: &Options, workers: usize) {
    let disk = reader::open(raw, None).unwrap();
    let target = Target::of(disk.as_ref(), image, "");
    pass::run(disk.as_ref(), vec![sink(&target, options).unwrap()], Some(workers), &Events::none()).unwrap();
}

/// A disk of `size` bytes with `pieces` (offset, bytes) in it, in all methods, judged by QEMU. Returns the deflate image.
fn judge(size: u64, pieces: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(directory.path()).unwrap();
    let raw = root.join("raw");
    let file = File::create(&raw).unwrap();
    file.set_len(size).unwrap();
    for (offset, bytes) in pieces {
        file.write_all_at(bytes, *offset).unwrap();
    }
    let image = root.join("image");
    let mut result = Vec::new();
    for compression in METHODS {
        let mut versions = Vec::new();
        for workers in [1, 5] {
            let options = Options { compression, ..Options::default() };
            write(&raw, &image, &options, workers);
            versions.push(std::fs::read(&image).unwrap());
        }
        assert!(versions[0] == versions[1], "{compression:?}: the bytes depend on the number of workers");
        let run = |words: &[&str]| Command::new(words.iter().copied()).check(&Events::none()).unwrap();
        run(&["qemu-img", "check", "-q", "-f", "qcow2", image.as_str()]);
        run(&["qemu-img", "compare", "-q", "-f", "raw", "-F", "qcow2", raw.as_str(), image.as_str()]);
        if compression == (Compression::Deflate { level: 6 }) {
            result = versions.remove(0);
        }
    }
    result
}

#[test]
fn qemu_reads_disks_of_odd_sizes() {
    for size in [0, 1, 511, 512, CLUSTER - 1, CLUSTER, CLUSTER + 1, 16 * CLUSTER + 700] {
        let bytes = b"abc".repeat(size as usize / 3 + 1)[..size as usize].to_vec();
        judge(size, &[(0, bytes)]);
    }
}

#[test]
fn qemu_reads_noise_between_text_and_zeros() {
    let text: Vec<u8> = (0..90_000).flat_map(|number: u32| number.to_string().into_bytes()).collect();
    let pieces: Vec<_> = (0..40)
        .map(|piece| {
            let bytes = if piece % 3 == 0 { noise(300_000, piece) } else { text[piece as usize * 1000..].to_vec() };
            (piece * 700_001, bytes)
        })
        .collect();
    judge(40 * 700_001, &pieces);
}

#[test]
fn qemu_reads_disks_that_need_several_tables_and_their_holes_cost_nothing() {
    let image = judge(
        5 * L2_COVERAGE + 12_345,
        &[(0, b"boot".to_vec()), (L2_COVERAGE - 2, b"edge".to_vec()), (5 * L2_COVERAGE + 12_300, noise(45, 3))],
    );
    assert!((image.len() as u64) < 10 * CLUSTER, "{}", image.len());
}

#[test]
fn a_full_run_of_noise_is_stored_as_it_is() {
    let image = judge(200 * CLUSTER, &[(0, noise(200 * CLUSTER as usize, 9))]);
    // Header, L2, L1, refcounts and their table beside the data.
    assert_eq!(image.len() as u64, 205 * CLUSTER);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]
    #[test]
    fn qemu_reads_any_disk(
        size in 1_u64..20_000_000,
        pieces in prop::collection::vec((0_u64..20_000_000, 1_usize..400_000, any::<u64>(), any::<bool>()), 0..20),
    ) {
        let pieces: Vec<_> = pieces
            .into_iter()
            .filter(|(offset, length, ..)| offset + *length as u64 <= size)
            .map(|(offset, length, seed, hard)| {
                (offset, if hard { noise(length, seed) } else { noise(97, seed).repeat(length / 97 + 1)[..length].to_vec() })
            })
            .collect();
        judge(size, &pieces);
    }
}

#[test]
fn small_and_large_clusters_and_the_old_version_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(directory.path()).unwrap();
    let (raw, image) = (root.join("raw"), root.join("image"));
    let mut disk = noise(3 << 20, 4);
    disk.extend((0..800_000).flat_map(|number: u32| number.to_be_bytes()));
    disk.resize(9 << 20, 0);
    disk.extend(noise(1000, 5));
    std::fs::write(&raw, &disk).unwrap();
    for bits in [9, 12, 15, 21] {
        for (version, compression) in
            [(Version::Two, METHODS[2]), (Version::Three, METHODS[3]), (Version::Three, METHODS[0])]
        {
            let options = Options { compression, cluster_bits: bits, version };
            write(&raw, &image, &options, 2);
            let run = |words: &[&str]| Command::new(words.iter().copied()).quiet().check(&Events::none()).unwrap();
            run(&["qemu-img", "check", "-q", "-f", "qcow2", image.as_str()]);
            run(&["qemu-img", "compare", "-q", "-f", "raw", "-F", "qcow2", raw.as_str(), image.as_str()]);
            let facts = run(&["qemu-img", "info", "-f", "qcow2", image.as_str()]);
            let facts = String::from_utf8(facts.stdout).unwrap();
            assert!(facts.contains(&format!("cluster_size: {}\n", 1 << bits)), "{facts}");
            assert_eq!(facts.contains("compat: 0.10"), version == Version::Two, "{facts}");
        }
    }
}
