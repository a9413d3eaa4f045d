use std::collections::BTreeMap;
use std::os::unix::fs::symlink;

use camino::{Utf8Path, Utf8PathBuf};

use super::{Content, DiskError, write};
use crate::disk::layout::Layout;
use crate::disk::{config, solve};
use crate::event::Events;
use crate::sandbox::command::Command;

const MBR: &str = include_str!("../testdata/block-device-mbr.yaml");
const GPT: &str = include_str!("../testdata/block-device-gpt.yaml");
const EFI: &str = include_str!("../testdata/block-device-efi.yaml");
const TIME: i64 = 1_700_000_000;

mod kinds;
mod volumes;

/// The tree as what images are filled from.
fn content<'a>(tree: &'a Utf8Path, secrets: &'a BTreeMap<String, Vec<u8>>) -> Content<'a> {
    static SILENT: std::sync::LazyLock<Events> = std::sync::LazyLock::new(Events::none);
    Content { tree, time: Some(TIME), secrets, events: &SILENT }
}

/// A tree, and room for images.
struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let fixture = Self { folder: tempfile::tempdir().unwrap() };
        let tree = fixture.tree();
        for folder in ["etc", "usr/bin", "boot/efi/EFI/BOOT", "home"] {
            std::fs::create_dir_all(tree.join(folder)).unwrap();
        }
        std::fs::write(tree.join("etc/hostname"), "baked\n").unwrap();
        std::fs::write(tree.join("usr/bin/tool"), vec![7; 300_000]).unwrap();
        std::fs::hard_link(tree.join("usr/bin/tool"), tree.join("usr/bin/same")).unwrap();
        symlink("usr/bin", tree.join("bin")).unwrap();
        std::fs::write(tree.join("boot/efi/EFI/BOOT/BOOTX64.EFI"), vec![9; 200_000]).unwrap();
        std::fs::write(tree.join("boot/efi/A longer name.txt"), "text").unwrap();
        fixture
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.folder.path()).unwrap().join(name)
    }

    fn tree(&self) -> Utf8PathBuf {
        self.path("tree")
    }

    fn layout(&self, yaml: &str) -> Layout {
        let config = config::parse(yaml, "test").unwrap();
        solve::solve(&config, &solve::tests::parameters(), 1 << 30, "seed").unwrap()
    }

    fn write(&self, yaml: &str, size: u64, name: &str) -> Result<(Layout, Utf8PathBuf), DiskError> {
        let config = config::parse(yaml, "test").unwrap();
        let layout = solve::solve(&config, &solve::tests::parameters(), size, "seed").unwrap();
        let image = self.path(name);
        write(&layout, &[("image0".to_owned(), image.clone())], &content(&self.tree(), &BTreeMap::new()))
            .map(|_| (layout, image))
    }
}

fn run(words: &[&str]) -> String {
    let output = Command::new(words.iter().copied()).quiet().run(&Events::none()).unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status, 0, "{words:?}: {text}");
    text
}

fn debugfs(image: &Utf8Path, layout: &Layout, point: &str, request: &str) -> String {
    let start = layout.region(&layout.at(point).unwrap().device).unwrap().start;
    run(&["debugfs", "-R", request, &format!("{image}?offset={start}")])
}

fn check_ext_at(image: &Utf8Path, start: u64) {
    run(&["e2fsck", "-fn", &format!("{image}?offset={start}")]);
}

fn check_ext(image: &Utf8Path, layout: &Layout) {
    for filesystem in layout.filesystems.iter().filter(|filesystem| filesystem.kind.starts_with("ext")) {
        check_ext_at(image, layout.region(&filesystem.device).unwrap().start);
    }
}

#[test]
fn an_mbr_image_passes_sfdisk_and_e2fsck_and_holds_the_tree() {
    let fixture = Fixture::new();
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(fixture.tree().join("etc/hostname").as_str(), "user.kiln", b"kept", flags).unwrap();
    let (layout, image) = fixture.write(MBR, 256 << 20, "mbr.raw").unwrap();
    assert!(debugfs(&image, &layout, "/", "ea_list /etc/hostname").contains("user.kiln (4) = \"kept\""));
    assert!(run(&["sfdisk", "-V", image.as_str()]).contains("No errors detected"));
    check_ext(&image, &layout);
    assert!(debugfs(&image, &layout, "/", "cat /etc/hostname").contains("baked\n"));
    assert!(debugfs(&image, &layout, "/", "stat /bin").contains("Fast link dest: \"usr/bin\""));
    assert!(debugfs(&image, &layout, "/", "stat /usr/bin/same").contains("Links: 2"));
    assert!(debugfs(&image, &layout, "/", "stat /boot/efi/EFI/BOOT/BOOTX64.EFI").contains("Size: 200000"));
}

#[test]
fn a_gpt_image_passes_sgdisk() {
    let fixture = Fixture::new();
    let (layout, image) = fixture.write(GPT, 256 << 20, "gpt.raw").unwrap();
    assert!(run(&["sgdisk", "-v", image.as_str()]).contains("No problems found"));
    check_ext(&image, &layout);
}

#[test]
fn the_table_is_the_one_that_sgdisk_makes() {
    let fixture = Fixture::new();
    let (_, image) = fixture.write(EFI, 1 << 30, "efi.raw").unwrap();
    let other = fixture.path("sgdisk.raw");
    std::fs::File::create(&other).unwrap().set_len(1 << 30).unwrap();
    let words = "-n 1:0:+550M -t 1:EF00 -c 1:ESP -n 2:0:+8M -t 2:EF02 -c 2:BSP -n 3:0:+464M -t 3:8300 -c 3:root";
    run(&["sgdisk"].into_iter().chain(words.split(' ')).chain([other.as_str()]).collect::<Vec<_>>());
    let entries = |image: &Utf8Path| {
        let keep = |line: &&str| !line.contains("unique GUID");
        let number =
            |number| run(&["sgdisk", "-i", number, image.as_str()]).lines().filter(keep).collect::<Vec<_>>().join("\n");
        ["1", "2", "3"].map(number)
    };
    assert_eq!(entries(&image), entries(&other));
    let protective = |image: &Utf8Path| std::fs::read(image).unwrap()[446..512].to_vec();
    assert_eq!(protective(&image), protective(&other));
}

#[test]
fn the_esp_is_filled_from_its_folder_which_is_empty_on_the_root() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let fixture = Fixture::new();
    let (layout, image) = fixture.write(EFI, 1 << 30, "efi.raw").unwrap();
    assert!(run(&["sgdisk", "-v", image.as_str()]).contains("No problems found"));
    check_ext(&image, &layout);
    let listing = debugfs(&image, &layout, "/", "ls -p /boot/efi");
    assert!(!listing.contains("EFI"), "{listing}");
    assert!(debugfs(&image, &layout, "/", "stat /boot/efi").contains("Mode:  0755"));
    let esp = layout.region(&layout.at("/boot/efi").unwrap().device).unwrap();
    let (part, whole) = (fixture.path("esp"), std::fs::read(&image).unwrap());
    std::fs::write(&part, &whole[esp.start as usize..(esp.start + esp.size) as usize]).unwrap();
    let report = run(&["fsck.vfat", "-n", "-v", part.as_str()]);
    assert!(report.contains("32 bit entries"), "{report}");
    let listing = run(&["mdir", "-i", part.as_str(), "-/", "-b", "::"]);
    assert!(listing.contains("EFI/BOOT/BOOTX64.EFI") && listing.contains("A longer name.txt"), "{listing}");
    // The tree itself is as it was.
    assert!(fixture.tree().join("boot/efi/EFI/BOOT/BOOTX64.EFI").exists());
}

#[test]
fn a_disk_with_sectors_of_4_kib_has_both_tables() {
    let fixture = Fixture::new();
    let yaml = GPT.replace("name: image0", "name: image0\n    block_size: 4096");
    let (layout, image) = fixture.write(&yaml, 256 << 20, "4k.raw").unwrap();
    // The tools read files as disks of 512-byte sectors, so both tables are read back by the crate, checksums and all.
    let config = gpt::GptConfig::new().logical_block_size(gpt::disk::LogicalBlockSize::Lb4096).only_valid_headers(true);
    let table = config.open(&image).unwrap();
    assert_eq!(table.partitions()[&2].first_lba, 9 * 256);
    assert_eq!(table.backup_header().unwrap().current_lba, (256 << 20) / 4096 - 1);
    check_ext(&image, &layout);
}

#[test]
fn the_same_tree_makes_the_same_bytes() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let fixture = Fixture::new();
    let (_, one) = fixture.write(EFI, 1 << 30, "one.raw").unwrap();
    // Nobody can choose a file's change and access times: they must not matter.
    std::fs::rename(fixture.tree().join("etc/hostname"), fixture.tree().join("etc/h")).unwrap();
    std::fs::rename(fixture.tree().join("etc/h"), fixture.tree().join("etc/hostname")).unwrap();
    let (layout, two) = fixture.write(EFI, 1 << 30, "two.raw").unwrap();
    check_ext(&two, &layout);
    run(&["cmp", one.as_str(), two.as_str()]);
}

#[test]
fn a_file_system_has_the_mode_and_owner_of_its_folder() {
    let fixture = Fixture::new();
    std::fs::set_permissions(fixture.tree().join("home"), std::os::unix::fs::PermissionsExt::from_mode(0o1777))
        .unwrap();
    let yaml = "
- local_loop: { name: image0, size: 100MiB, mkfs: { name: mkfs_root, mount: { mount_point: / } } }
- local_loop: { name: image1, size: 100MiB, mkfs: { type: ext4, name: home, mount: { mount_point: /home } } }
";
    let config = config::parse(yaml, "test").unwrap();
    let layout = solve::solve(&config, &solve::tests::parameters(), 0, "seed").unwrap();
    let image = fixture.path("home.raw");
    write(&layout, &[("image1".to_owned(), image.clone())], &content(&fixture.tree(), &BTreeMap::new())).unwrap();
    check_ext_at(&image, 0);
    assert!(debugfs(&image, &layout, "/home", "stat <2>").contains("Mode:  01777"));
}

#[test]
fn fat_of_every_width_passes_fsck() {
    let fixture = Fixture::new();
    for (size, sector, options, report) in [
        ("3MiB", 512, "", "12 bit entries"),
        ("100MiB", 512, "", "16 bit entries"),
        ("500MiB", 4096, "", "16 bit entries"),
        ("600MiB", 512, "", "32 bit entries"),
        ("100MiB", 512, "-F 32", "32 bit entries"),
    ] {
        let yaml = format!(
            "
- local_loop: {{ name: root, size: 100MiB, mkfs: {{ name: mkfs_root, mount: {{ mount_point: / }} }} }}
- local_loop:
    name: image0
    size: {size}
    block_size: {sector}
    mkfs: {{ name: esp, type: vfat, opts: '{options}', mount: {{ mount_point: /boot/efi }} }}
"
        );
        let (_, image) = fixture.write(&yaml, 0, "fat.raw").unwrap();
        let text = run(&["fsck.vfat", "-n", "-v", image.as_str()]);
        assert!(text.contains(report), "{size}: {text}");
        assert!(!text.contains("uninitialized") && !text.contains("differences"), "{size}: {text}");
    }
}

#[test]
fn logical_partitions_and_swap_are_seen_by_the_tools() {
    let fixture = Fixture::new();
    let yaml = "
- local_loop: { name: image0 }
- partitioning:
    base: image0
    label: mbr
    partitions:
    - { name: root, flags: [boot, primary], size: 100MiB, mkfs: { name: mkfs_root, type: ext2, mount: { mount_point: / } } }
    - { name: home, size: 50MiB, mkfs: { type: ext3, mount: { mount_point: /home } } }
    - { name: swap, type: 0x82, size: 100%, mkfs: { type: swap, mount: { mount_point: none, fstab: {} } } }
";
    let (layout, image) = fixture.write(yaml, 256 << 20, "logical.raw").unwrap();
    assert!(run(&["sfdisk", "-V", image.as_str()]).contains("No errors detected"));
    let dump = run(&["sfdisk", "-d", image.as_str()]);
    assert!(dump.contains("logical.raw5 : start=") && dump.contains("logical.raw6 : start="), "{dump}");
    check_ext(&image, &layout);
    let swap = layout.filesystems.iter().find(|filesystem| filesystem.kind == "swap").unwrap();
    let offset = layout.region(&swap.device).unwrap().start.to_string();
    let probe = run(&["blkid", "-p", "-O", &offset, "-S", &swap.size.to_string(), image.as_str()]);
    assert!(probe.contains("TYPE=\"swap\"") && probe.contains("LABEL=\"mkfs_swap\""), "{probe}");
    assert!(probe.contains(&swap.uuid.to_string()), "{probe}");
}

#[test]
fn content_that_does_not_fit_says_by_how_much() {
    let fixture = Fixture::new();
    std::fs::write(fixture.tree().join("large"), vec![1; 40 << 20]).unwrap();
    let error = fixture.write(MBR, 32 << 20, "small.raw").unwrap_err().to_string();
    assert!(error.contains("the content of / does not fit") && error.contains("--image-size"), "{error}");
}

#[test]
fn what_cannot_be_written_is_refused_before_anything_is() {
    let fixture = Fixture::new();
    let yaml = config::DEFAULT.replace("name: mkfs_root", "name: mkfs_root\n      type: jfs");
    let error = fixture.write(&yaml, 256 << 20, "jfs.raw").unwrap_err().to_string();
    assert!(
        error.contains("jfs cannot be written in this version; use one of ext2, ext3, ext4, xfs, btrfs, vfat, swap"),
        "{error}"
    );
    assert!(!fixture.path("jfs.raw").exists());
    symlink("/etc", fixture.tree().join("srv")).unwrap();
    let yaml = EFI.replace("/boot/efi", "/srv/efi");
    assert!(matches!(fixture.write(&yaml, 1 << 30, "link.raw"), Err(DiskError::NotAFolder { .. })));
}
