//! What is written can be read back; what QEMU writes too; and no damage makes a reader panic.

use std::fs::File;
use std::os::unix::fs::FileExt;

use camino::Utf8PathBuf;
use proptest::prelude::*;

use super::*;
use crate::event::Events;
use crate::format::identity::Target;
use crate::format::own::Own;
use crate::format::pass::{self, Compression};
use crate::format::qcow2::tests::noise;
use crate::format::{qcow2 as writer, vhd, vmdk};
use crate::sandbox::command::Command;

fn own() -> Vec<(Own, Kind)> {
    let qcow2 = |compression| Own::Qcow2(writer::Options { compression, ..writer::Options::default() });
    vec![
        (Own::Raw, Kind::Raw),
        (qcow2(Compression::Zstd { level: 3 }), Kind::Qcow2),
        (qcow2(Compression::Deflate { level: 6 }), Kind::Qcow2),
        (qcow2(Compression::None), Kind::Qcow2),
        (Own::Vhd(vhd::Kind::Dynamic), Kind::Vhd),
        (Own::Vhd(vhd::Kind::Fixed), Kind::Vhd),
        (Own::Vhdx, Kind::Vhdx),
        (Own::Vmdk(vmdk::Options::default()), Kind::Vmdk),
        (Own::Vdi, Kind::Vdi),
    ]
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.0.path()).unwrap().join(name)
    }

    /// A raw disk with data here and there, and its bytes.
    fn disk(&self, size: usize) -> (Utf8PathBuf, Vec<u8>) {
        let mut bytes = vec![0; size];
        for (number, start) in [0, 1_500_000, 5_000_000, size - 700].into_iter().enumerate() {
            let piece = if number % 2 == 0 { noise(200_000, number as u64) } else { b"some text ".repeat(9000) };
            let end = (start + piece.len()).min(size);
            bytes[start..end].copy_from_slice(&piece[..end - start]);
        }
        let path = self.path("disk");
        File::create(&path).unwrap().write_all_at(&bytes, 0).unwrap();
        (path, bytes)
    }

    /// The disk `from` as all that is written here, in one pass.
    fn images(&self, from: &Utf8Path, workers: usize) -> Vec<(Utf8PathBuf, Kind)> {
        let disk = open(from, None).unwrap();
        let own = own();
        let paths: Vec<_> = (0..own.len()).map(|number| self.path(&format!("image{number}"))).collect();
        let sinks = own
            .iter()
            .zip(&paths)
            .map(|((own, _), path)| own.sink(&Target::of(disk.as_ref(), path, "seed"), Some(from)).unwrap())
            .collect();
        pass::run(disk.as_ref(), sinks, Some(workers), &Events::none()).unwrap();
        paths.into_iter().zip(own.into_iter().map(|(_, kind)| kind)).collect()
    }
}

/// The whole disk, read only where it says there is data.
fn content(disk: &dyn Disk) -> Vec<u8> {
    let mut bytes = vec![0; disk.size() as usize];
    let mut at = 0;
    while let Some(range) = disk.next_data(at).unwrap() {
        disk.read_at(&mut bytes[range.start as usize..range.end as usize], range.start).unwrap();
        at = range.end;
    }
    bytes
}

#[test]
fn every_image_is_told_by_its_bytes_and_holds_the_disk() {
    let folder = Folder::new();
    // The end is that of no unit.
    let (path, bytes) = folder.disk(9_000_000 / 512 * 512);
    for (image, kind) in folder.images(&path, 2) {
        assert_eq!(Kind::detect(&image).unwrap(), kind);
        let disk = open(&image, None).unwrap();
        let read = content(disk.as_ref());
        assert!(read[..bytes.len()] == bytes && read[bytes.len()..].iter().all(|byte| *byte == 0), "{kind:?}");
        // In pieces that cross every border.
        let mut piece = vec![1; 300_001];
        for start in (0..bytes.len() - piece.len()).step_by(700_003) {
            disk.read_at(&mut piece, start as u64).unwrap();
            assert!(piece == bytes[start..start + piece.len()], "{kind:?} at {start}");
        }
        assert!(disk.read_at(&mut piece, disk.size() + 10).is_err() || kind != Kind::Raw);
    }
}

#[test]
fn qemu_agrees_with_every_image_and_finds_no_fault() {
    let folder = Folder::new();
    let (path, bytes) = folder.disk(9_000_000 / 512 * 512);
    for (image, kind) in folder.images(&path, 3) {
        let name = kind.of_qemu();
        let run = |words: &[&str]| Command::new(words.iter().copied()).quiet().check(&Events::none()).unwrap();
        run(&["qemu-img", "compare", "-f", "raw", "-F", name, path.as_str(), image.as_str()]);
        if !matches!(kind, Kind::Raw | Kind::Vhd) {
            run(&["qemu-img", "check", "-f", name, image.as_str()]);
        }
        let facts = run(&["qemu-img", "info", "--output=json", "-f", name, image.as_str()]);
        let facts: serde_json::Value = serde_json::from_slice(&facts.stdout).unwrap();
        let size = bytes.len() as u64;
        let wanted = if kind == Kind::Vmdk { size.next_multiple_of(65_536) } else { size };
        assert_eq!(facts["virtual-size"].as_u64(), Some(wanted), "{kind:?}");
    }
}

#[test]
fn bytes_depend_neither_on_time_nor_on_the_number_of_cores() {
    let (one, two) = (Folder::new(), Folder::new());
    let (path, _) = one.disk(9 << 20);
    let first: Vec<_> = one.images(&path, 1).iter().map(|(image, _)| std::fs::read(image).unwrap()).collect();
    let path_two = two.path("disk");
    std::fs::copy(&path, &path_two).unwrap();
    let second = two.images(&path_two, 7);
    for (bytes, (image, kind)) in first.iter().zip(second) {
        // A VMDK names its own file, which has the same name in both.
        assert!(*bytes == std::fs::read(image).unwrap(), "{kind:?}");
    }
}

#[test]
fn what_qemu_writes_is_read() {
    let folder = Folder::new();
    let (path, bytes) = folder.disk(12 << 20);
    for (format, options) in [
        ("qcow2", "compat=0.10"),
        ("qcow2", "cluster_size=512"),
        ("qcow2", "compression_type=zstd,cluster_size=2M"),
        ("vpc", "subformat=dynamic,force_size=on"),
        ("vpc", "subformat=fixed,force_size=on"),
        ("vpc", "subformat=dynamic"),
        ("vhdx", "subformat=dynamic"),
        ("vhdx", "subformat=fixed,block_size=4M"),
        ("vmdk", "subformat=monolithicSparse"),
        ("vmdk", "subformat=streamOptimized"),
        ("vdi", "static=off"),
        ("vdi", "static=on"),
    ] {
        for compressed in [false, true] {
            let image = folder.path("image");
            let mut words = vec!["qemu-img", "convert", "-f", "raw", "-O", format, "-o", options];
            if compressed && format != "qcow2" {
                continue;
            } else if compressed {
                words.push("-c");
            }
            words.extend([path.as_str(), image.as_str()]);
            Command::new(words).check(&Events::none()).unwrap();
            let read = content(open(&image, None).unwrap().as_ref());
            let common = read.len().min(bytes.len());
            assert!(read[..common] == bytes[..common], "{format} {options}");
            // Geometries round the size.
            assert!(read.len() >= bytes.len() && read[common..].iter().all(|byte| *byte == 0), "{format} {options}");
        }
    }
}

#[test]
fn a_backing_file_is_refused_with_what_to_do() {
    let folder = Folder::new();
    let (path, _) = folder.disk(6 << 20);
    let image = folder.path("image");
    let words = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", path.as_str(), image.as_str()];
    Command::new(words).check(&Events::none()).unwrap();
    let error = open(&image, None).err().unwrap().to_string();
    assert!(error.contains("as qcow2: it has a backing file") && error.contains("qemu-img convert"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn damage_is_an_error_or_other_bytes_and_never_a_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in prop::option::of(any::<prop::sample::Index>()),
        near in any::<bool>(),
    ) {
        static IMAGES: std::sync::OnceLock<Vec<(Vec<u8>, Kind)>> = std::sync::OnceLock::new();
        let images = IMAGES.get_or_init(|| {
            let folder = Folder::new();
            let (path, _) = folder.disk(6_200_000);
            let images = folder.images(&path, 2);
            images.into_iter().map(|(image, kind)| (std::fs::read(image).unwrap(), kind)).collect()
        });
        let folder = Folder::new();
        for (bytes, kind) in images {
            let mut bytes = bytes.clone();
            for (place, byte) in &damage {
                // Half of the time where headers are.
                let at = if near { place.index(2048) } else { place.index(bytes.len()) };
                bytes[at] = *byte;
            }
            if let Some(cut) = &cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            let path = folder.path("damaged");
            std::fs::write(&path, &bytes).unwrap();
            let Ok(disk) = open(&path, Some(*kind)) else { continue };
            let mut buffer = vec![0; 1 << 20];
            let mut at = 0;
            for _ in 0..64 {
                let Ok(Some(range)) = disk.next_data(at) else { break };
                let length = (range.end - range.start).min(buffer.len() as u64) as usize;
                let _ = disk.read_at(&mut buffer[..length], range.start);
                at = range.end;
            }
        }
    }
}
