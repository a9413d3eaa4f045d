//! Disks made by the tools of the trade are shown as they are, and no damage makes a reader panic.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, OnceLock};

use camino::{Utf8Path, Utf8PathBuf};
use proptest::prelude::*;

use super::*;
use crate::format::FormatError;
use crate::format::reader::{self, Disk};

const MIB: u64 = 1 << 20;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.0.path()).unwrap().join(name)
    }

    /// Runs a shell script in the folder.
    fn run(&self, script: &str) {
        let duct = duct::cmd!("sh", "-ec", script).dir(self.0.path()).stdout_null().stderr_capture().unchecked().run();
        let output = duct.unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// File systems of `size` with files in them: `ext4`, `fat`.
    fn filesystems(&self, ext: &str, fat: &str) {
        self.run(&format!(
            "mkdir -p tree/etc tree/many tree/boot/efi
             echo 'LABEL=root / ext4 defaults 0 1' > tree/etc/fstab
             echo 'LABEL=ESP /boot/efi vfat defaults 0 2' >> tree/etc/fstab
             ln -s /etc/fstab tree/etc/link
             for n in $(seq 1 300); do echo $n > tree/many/file-$n; done
             chmod 4755 tree/many/file-7
             seq 1 200000 > tree/long
             truncate -s {ext} ext4
             mke2fs -q -F -t ext4 -L root -U 11111111-2222-3333-4444-555555555555 -d tree ext4
             truncate -s {fat} fat
             mkfs.vfat -n ESP -i CAFE0123 fat >/dev/null
             mmd -i fat ::/EFI ::/EFI/BOOT
             mcopy -i fat tree/long '::/EFI/BOOT/a long name.txt'
             mcopy -i fat tree/etc/fstab ::/SHORT.TXT"
        ));
    }

    /// Puts files into the image `disk` at offsets.
    fn place(&self, parts: &[(&str, u64)]) {
        let disk = File::options().write(true).open(self.path("disk")).unwrap();
        for (name, offset) in parts {
            disk.write_all_at(&std::fs::read(self.path(name)).unwrap(), *offset).unwrap();
        }
    }

    fn open(&self) -> Arc<dyn Disk> {
        cached(reader::open(&self.path("disk"), None).unwrap())
    }
}

fn content(files: &Files, path: &str) -> String {
    let mut bytes = Vec::new();
    files.copy(path, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn names(files: &Files, path: &str) -> Vec<String> {
    files.list(path).unwrap().into_iter().map(|entry| entry.name).collect()
}

fn check_files(disk: Arc<dyn Disk>, report: &Report) {
    let whole = Window::whole(disk);
    let long: String = (1..=200_000).map(|number| format!("{number}\n")).collect();
    let (root, path) = place(&whole, report, None, "/etc/link").unwrap();
    assert!(content(&root, &path).starts_with("LABEL=root /"));
    assert_eq!(names(&root, "/"), ["boot", "etc", "long", "lost+found", "many"]);
    assert_eq!(root.list("/many").unwrap().len(), 300);
    assert_eq!(root.stat("/many/file-7").unwrap().mode, Some(0o4755));
    assert_eq!(root.list("/etc").unwrap()[1].target.as_deref(), Some("/etc/fstab"));
    assert!(content(&root, "/long") == long);
    let missing = root.stat("/no/such").unwrap_err().to_string();
    assert!(missing.starts_with("/no/such: "), "{missing}");
    // The image's fstab mounts the other one there.
    let (esp, path) = place(&whole, report, None, "boot/efi/efi/boot/A Long Name.txt").unwrap();
    assert_eq!(path, "/efi/boot/A Long Name.txt");
    assert!(content(&esp, &path) == long);
    assert_eq!(names(&esp, "/"), ["EFI", "SHORT.TXT"]);
    assert_eq!(names(&esp, "/EFI/BOOT"), ["a long name.txt"]);
    assert!(esp.list("/SHORT.TXT").unwrap_err().to_string().contains("no folder"));
    assert!(esp.copy("/EFI", &mut Vec::new()).unwrap_err().to_string().contains("no file"));
}

fn check_filesystems(partitions: &[Partition], ext: usize, fat: usize) {
    let found = partitions[ext].filesystem.as_ref().unwrap();
    assert_eq!((found.kind, found.label.as_deref()), ("ext4", Some("root")));
    assert_eq!(found.uuid.as_deref(), Some("11111111-2222-3333-4444-555555555555"));
    assert!(found.used.unwrap() > MIB && found.used.unwrap() < found.size.unwrap());
    let found = partitions[fat].filesystem.as_ref().unwrap();
    assert_eq!((found.kind, found.label.as_deref(), found.uuid.as_deref()), ("vfat", Some("ESP"), Some("CAFE-0123")));
    // The long file, two folders and a small file, in clusters.
    let used = found.used.unwrap();
    assert!((1_288_895..1_400_000).contains(&used), "{used}");
}

/// The table of a disk with sectors of 4096 bytes, which sfdisk makes on devices only.
fn large_sectors(path: &Utf8Path) {
    let config = ::gpt::GptConfig::new().writable(true).logical_block_size(::gpt::disk::LogicalBlockSize::Lb4096);
    let file = File::options().read(true).write(true).open(path).unwrap();
    let id = uuid::uuid!("0f0f0f0f-1111-2222-3333-444444444444");
    let mut table = config.create_from_device(file, Some(id)).unwrap();
    let sectors = |bytes: u64| bytes / 4096;
    let (esp, root) = (::gpt::partition_types::EFI, ::gpt::partition_types::LINUX_FS);
    table.add_partition_at("ESP", 1, sectors(MIB), sectors(12 * MIB), esp, 0).unwrap();
    table.add_partition_at("root", 2, sectors(14 * MIB), sectors(16 * MIB), root, 0).unwrap();
    table.write().unwrap();
}

#[test]
fn a_gpt_disk_is_shown_with_sectors_of_both_sizes() {
    for sector in [512, 4096] {
        let folder = Folder::new();
        // FAT16 and FAT12.
        folder.filesystems("16M", if sector == 512 { "12M" } else { "5M" });
        folder.run("truncate -s 40M disk");
        if sector == 512 {
            folder.run(
                "printf 'label: gpt\\nlabel-id: 0F0F0F0F-1111-2222-3333-444444444444\\nstart=2048, size=24576, type=U, \
                 name=ESP\\nstart=28672, size=32768, type=L, name=root\\n' | sfdisk -q disk",
            );
        } else {
            large_sectors(&folder.path("disk"));
        }
        folder.place(&[("fat", MIB), ("ext4", 14 * MIB)]);
        let disk = folder.open();
        let report = report(&disk).unwrap();
        let table = report.table.as_ref().unwrap();
        assert_eq!((table.kind, table.sector_size), ("gpt", sector));
        assert_eq!(table.id, "0f0f0f0f-1111-2222-3333-444444444444");
        let [esp, root] = &table.partitions[..] else { panic!("{table:?}") };
        assert_eq!((esp.number, esp.start, esp.size), (1, MIB, 12 * MIB));
        assert_eq!((root.name.as_deref(), root.start, root.size), (Some("root"), 14 * MIB, 16 * MIB));
        assert_eq!(esp.kind, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
        check_filesystems(&table.partitions, 1, 0);
        check_files(disk, &report);
    }
}

#[test]
fn an_mbr_disk_is_shown_with_its_logical_partitions() {
    let folder = Folder::new();
    folder.filesystems("16M", "34M");
    folder.run(
        "truncate -s 80M disk
         printf 'label: dos\\nlabel-id: 0x12345678\\nstart=2048, size=2048, type=82, bootable\\nstart=4096, size=150000, type=5\\n\
         start=6144, size=32768, type=83\\nstart=40960, size=71680, type=c\\n' | sfdisk -q disk
         truncate -s 1M swap; mkswap -q -L paging swap",
    );
    folder.place(&[("swap", MIB), ("ext4", 3 * MIB), ("fat", 20 * MIB)]);
    let disk = folder.open();
    let report = report(&disk).unwrap();
    let table = report.table.as_ref().unwrap();
    assert_eq!((table.kind, table.sector_size, table.id.as_str()), ("mbr", 512, "12345678"));
    let seen: Vec<_> =
        table.partitions.iter().map(|part| (part.number, part.start / MIB, part.kind.as_str())).collect();
    assert_eq!(seen, [(1, 1, "82"), (2, 2, "05"), (5, 3, "83"), (6, 20, "0c")]);
    assert!(table.partitions[0].boot && !table.partitions[2].boot);
    let swap = table.partitions[0].filesystem.as_ref().unwrap();
    assert_eq!((swap.kind, swap.label.as_deref()), ("swap", Some("paging")));
    check_filesystems(&table.partitions, 2, 3);
    check_files(disk, &report);
}

#[test]
fn file_systems_that_are_only_named_are_named() {
    let folder = Folder::new();
    folder.run("mkdir tree; echo x > tree/file");
    for (make, kind, label) in [
        ("truncate -s 300M disk; mkfs.xfs -q -L data disk", "xfs", Some("data")),
        ("truncate -s 120M disk; mkfs.btrfs -q -L data disk", "btrfs", Some("data")),
        ("mksquashfs tree disk -quiet -no-progress", "squashfs", None),
        ("mkfs.erofs disk tree", "erofs", None),
    ] {
        folder.run(&format!("rm -f disk; {make}"));
        let disk = folder.open();
        let report = report(&disk).unwrap();
        let found = report.filesystem.as_ref().unwrap();
        assert_eq!((found.kind, found.label.as_deref()), (kind, label), "{make}");
        assert!(found.size.unwrap() >= found.used.unwrap() && found.used.unwrap() > 0, "{found:?}");
        assert!(found.uuid.is_some() || kind == "squashfs", "{found:?}");
        let error = place(&Window::whole(disk), &report, None, "/").err().unwrap().to_string();
        assert!(error.contains("kiln reads ext2, ext3, ext4 and FAT") && error.contains(kind), "{error}");
    }
}

#[test]
fn hashes_of_a_verified_device_are_named() {
    let folder = Folder::new();
    folder.run(
        "truncate -s 1M data; veritysetup format --uuid 11111111-2222-3333-4444-555555555555 data disk > /dev/null",
    );
    let report = report(&folder.open()).unwrap();
    let found = report.filesystem.as_ref().unwrap();
    assert_eq!((found.kind, found.uuid.as_deref()), ("DM_verity_hash", Some("11111111-2222-3333-4444-555555555555")));
}

struct Memory(Vec<u8>);

impl Disk for Memory {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn next_data(&self, from: u64) -> Result<Option<Range<u64>>, FormatError> {
        Ok((from < self.size()).then(|| from..self.size()))
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), FormatError> {
        bytes.copy_from_slice(&self.0[offset as usize..][..bytes.len()]);
        Ok(())
    }
}

/// A small disk of each kind of table.
fn small_disks() -> &'static [Vec<u8>] {
    static DISKS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    DISKS.get_or_init(|| {
        ["gpt", "dos"]
            .map(|label| {
                let folder = Folder::new();
                folder.run(&format!(
                    "mkdir -p tree/etc tree/many; echo 'LABEL=root / ext4' > tree/etc/fstab
                     for n in $(seq 1 40); do echo $n > tree/many/file-$n; done
                     seq 1 9000 > tree/many/long; truncate -s 2M ext4; truncate -s 1M fat disk
                     mke2fs -q -F -t ext4 -L root -d tree ext4
                     mkfs.vfat -n ESP fat >/dev/null; mcopy -i fat tree/many/long '::/a long name'; mmd -i fat ::/D
                     truncate -s 6M disk
                     printf 'label: {label}\\nstart=2048, size=2048\\nstart=4096, size=4096\\n' | sfdisk -q disk"
                ));
                folder.place(&[("fat", MIB), ("ext4", 2 * MIB)]);
                std::fs::read(folder.path("disk")).unwrap()
            })
            .to_vec()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn damage_is_an_error_or_another_answer_and_never_a_panic(
        damage in prop::collection::vec((0_usize..6, any::<prop::sample::Index>(), any::<u8>()), 1..16),
        second in any::<bool>(),
    ) {
        let mut bytes = small_disks()[usize::from(second)].clone();
        for (region, place, byte) in damage {
            // Tables, superblocks, the first blocks of file systems, anywhere.
            let (start, length) = [
                (0, 2048), (MIB as usize, 512), (MIB as usize, 16_384), (2 * MIB as usize + 1024, 1024),
                (2 * MIB as usize, 200_000), (0, bytes.len()),
            ][region];
            bytes[start + place.index(length)] = byte;
        }
        let disk: Arc<dyn Disk> = Arc::new(Memory(bytes));
        if let Ok(report) = report(&disk) {
            let whole = Window::whole(disk);
            for (_, window, filesystem) in report.filesystems(&whole) {
                let Ok(Some(files)) = Files::open(&window, filesystem) else { continue };
                for folder in ["/", "/many", "/etc", "/D"] {
                    let _ = files.list(folder);
                }
                for file in ["/many/long", "/etc/fstab", "/a long name"] {
                    let _ = files.copy(file, &mut std::io::sink());
                }
            }
            let _ = place(&whole, &report, None, "/etc/fstab");
        }
    }
}
