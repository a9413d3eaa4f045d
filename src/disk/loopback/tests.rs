use std::fs;
use std::io::Write;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::*;
use crate::disk::{config, solve};
use crate::sandbox::command::Command;
use crate::sandbox::host;

const EFI: &str = include_str!("../testdata/block-device-efi.yaml");
const TIME: i64 = 1_700_000_000;

/// Runs `work` in a mount namespace of its own, unless this machine has no loop devices for us.
fn apart(work: impl FnOnce(&Fixture) + Send) {
    let fixture = Fixture::new();
    let layout = fixture.layout(config::DEFAULT);
    if let Err(error) = check(&layout) {
        writeln!(std::io::stderr(), "skipped: {error}").unwrap();
        return;
    }
    assert!(host::is_root());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
            work(&fixture);
        });
    });
}

/// A tree, and room for images.
struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let fixture = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["tree/etc", "tree/boot/efi/EFI", "tree/home/somebody", "mnt"] {
            fs::create_dir_all(fixture.path(folder)).unwrap();
        }
        fs::write(fixture.path("tree/etc/hostname"), "baked\n").unwrap();
        fs::write(fixture.path("tree/home/somebody/notes"), "kept").unwrap();
        fs::write(fixture.path("tree/boot/efi/EFI/A longer name.txt"), "from the tree").unwrap();
        fixture
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.folder.path()).unwrap().join(name)
    }

    fn layout(&self, yaml: &str) -> Layout {
        let config = config::parse(yaml, "test").unwrap();
        solve::solve(&config, &solve::tests::parameters(), 1 << 30, "seed").unwrap()
    }

    /// Writes every disk and attaches it.
    fn attach(&self, yaml: &str) -> Attached {
        let layout = self.layout(yaml);
        let write = |disk: &crate::disk::layout::Disk| {
            let image = self.path(&format!("{}.raw", disk.name));
            let (tree, secrets, events) = (self.path("tree"), std::collections::BTreeMap::new(), Events::none());
            let content = direct::Content { tree: &tree, time: Some(TIME), secrets: &secrets, events: &events };
            direct::write(&layout, &[(disk.name.clone(), image.clone())], &content).unwrap();
            (disk.name.clone(), image)
        };
        let images: Vec<_> = layout.disks.iter().map(write).collect();
        attach(&layout, &images).unwrap()
    }

    fn mounted(&self, yaml: &str) -> Attached {
        let mut attached = self.attach(yaml);
        attached.mount(&self.path("tree"), &self.path("mnt")).unwrap();
        attached
    }

    /// Nothing of this fixture is mounted or attached.
    fn assert_clean(&self) {
        let mounts = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        assert!(!mounts.contains(self.folder.path().to_str().unwrap()), "{mounts}");
        let devices = run(&["losetup", "-a"]);
        assert!(!devices.contains(self.folder.path().to_str().unwrap()), "{devices}");
    }

    /// The bytes of the file system at `point` of the image of `image0`, as a file.
    fn part(&self, layout: &Layout, point: &str) -> Utf8PathBuf {
        let region = layout.region(&layout.at(point).unwrap().device).unwrap();
        let (image, part) = (fs::read(self.path("image0.raw")).unwrap(), self.path("part"));
        fs::write(&part, &image[region.start as usize..(region.start + region.size) as usize]).unwrap();
        part
    }
}

fn run(words: &[&str]) -> String {
    let output = Command::new(words.iter().copied()).quiet().run(&Events::none()).unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status, 0, "{words:?}: {text}");
    text
}

#[test]
fn hooks_see_devices_by_name_and_what_they_write_is_in_the_image() {
    apart(|fixture| {
        let attached = fixture.mounted(EFI);
        let layout = attached.layout.clone();
        let device = attached.image_block_device().unwrap().to_owned();
        assert_eq!(
            attached.image_block_devices(),
            format!(" [image0]={device}  [ESP]={device}p1  [BSP]={device}p2  [root]={device}p3 ")
        );
        assert_eq!(attached.device("root").unwrap(), format!("{device}p3"));
        assert_eq!(attached.device("mkfs_root"), None);
        assert_eq!(attached.parts(), [fixture.path("mnt/boot/efi")]);
        // Tools that look for the device of a folder find the partition, and FAT on it.
        let mounts = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        assert!(mounts.contains(&format!("/mnt/boot/efi rw,relatime - tmpfs {device}p1 ")), "{mounts}");
        assert!(run(&["blkid", "-p", &format!("{device}p1")]).contains("TYPE=\"vfat\""));
        let efi = fixture.path("mnt/boot/efi/EFI");
        assert_eq!(fs::read_to_string(efi.join("A longer name.txt")).unwrap(), "from the tree");
        fs::create_dir(efi.join("BOOT")).unwrap();
        fs::write(efi.join("BOOT/BOOTX64.EFI"), vec![7; 100_000]).unwrap();
        fs::remove_file(efi.join("A longer name.txt")).unwrap();
        fs::write(fixture.path("mnt/etc/hostname"), "changed\n").unwrap();
        // Code for the gap behind the table, as grub-install writes it.
        run(&["sh", "-c", &format!("printf core | dd of={device}p2 bs=4 conv=notrunc status=none")]);
        // A hook that leaves a mount behind must not lose the host's files.
        let host = fixture.path("host");
        fs::create_dir(&host).unwrap();
        fs::write(host.join("file"), "precious").unwrap();
        run(&["mount", "--bind", host.as_str(), fixture.path("mnt/home").as_str()]);
        run(&["mount", "-t", "tmpfs", "none", efi.join("BOOT").as_str()]);
        attached.finish(Some(TIME), &Events::none()).unwrap();
        fixture.assert_clean();
        assert_eq!(fs::read_to_string(host.join("file")).unwrap(), "precious");
        let image = fixture.path("image0.raw");
        assert!(run(&["sgdisk", "-v", image.as_str()]).contains("No problems found"));
        let esp = fixture.part(&layout, "/boot/efi");
        assert!(run(&["fsck.vfat", "-n", "-v", esp.as_str()]).contains("32 bit entries"));
        let listing = run(&["mdir", "-i", esp.as_str(), "-/", "-b", "::"]);
        assert!(listing.contains("EFI/BOOT/BOOTX64.EFI") && !listing.contains("longer"), "{listing}");
        let root = fixture.part(&layout, "/");
        run(&["e2fsck", "-fn", root.as_str()]);
        assert!(run(&["debugfs", "-R", "cat /etc/hostname", root.as_str()]).contains("changed"));
        assert!(run(&["debugfs", "-R", "cat /home/somebody/notes", root.as_str()]).contains("kept"));
        let start = layout.disk("image0").unwrap().partitions[1].start as usize;
        assert_eq!(&fs::read(&image).unwrap()[start..start + 4], b"core");
    });
}

#[test]
fn what_a_hook_removes_becomes_a_hole() {
    use std::os::unix::fs::MetadataExt;
    apart(|fixture| {
        fs::write(fixture.path("tree/large"), vec![1; 32 << 20]).unwrap();
        let attached = fixture.mounted(config::DEFAULT);
        let image = fixture.path("image0.raw");
        let devices = attached.image_block_devices();
        let partition = regex::Regex::new(r"loop\d+p\d").unwrap();
        assert!(!partition.is_match(&devices), "the file system fills the disk: {devices}");
        fs::remove_file(fixture.path("mnt/large")).unwrap();
        attached.finish(None, &Events::none()).unwrap();
        fixture.assert_clean();
        let bytes = fs::metadata(&image).unwrap().blocks() * 512;
        assert!(bytes < 24 << 20, "{bytes}");
        run(&["e2fsck", "-fn", image.as_str()]);
    });
}

#[test]
fn disks_with_logical_partitions_swap_and_large_sectors_are_attached_whole() {
    apart(|fixture| {
        let yaml = "
- local_loop: { name: image0 }
- local_loop: { name: data, size: 128MiB, block_size: 4096 }
- partitioning:
    base: image0
    label: mbr
    partitions:
    - { name: root, flags: [boot, primary], size: 400MiB, mkfs: { name: mkfs_root, type: ext3, mount: { mount_point: / } } }
    - { name: old, size: 50MiB, mkfs: { type: ext2, mount: { mount_point: /home } } }
    - { name: swap, type: 0x82, size: 100%, mkfs: { type: swap, mount: { mount_point: none, fstab: {} } } }
- partitioning:
    base: data
    label: gpt
    partitions:
    - { name: esp, type: EF00, size: 40MiB, mkfs: { type: vfat, mount: { mount_point: /boot/efi } } }
    - { name: srv, size: 60MiB, mkfs: { type: ext4, mount: { mount_point: /srv } } }
";
        let attached = fixture.mounted(yaml);
        let (layout, one) = (attached.layout.clone(), attached.device("image0").unwrap().to_owned());
        let two = attached.device("data").unwrap().to_owned();
        assert_eq!(
            attached.image_block_devices(),
            format!(
                " [image0]={one}  [root]={one}p1  [old]={one}p5  [swap]={one}p6  [data]={two}  [esp]={two}p1  [srv]={two}p2 "
            )
        );
        assert!(run(&["blkid", "-p", &format!("{one}p6")]).contains("TYPE=\"swap\""));
        fs::write(fixture.path("mnt/srv/file"), "on the second disk").unwrap();
        assert_eq!(fs::read_to_string(fixture.path("mnt/home/somebody/notes")).unwrap(), "kept");
        attached.finish(Some(TIME), &Events::none()).unwrap();
        fixture.assert_clean();
        for filesystem in layout.filesystems.iter().filter(|filesystem| filesystem.kind.starts_with("ext")) {
            let region = layout.region(&filesystem.device).unwrap();
            let image = fixture.path(&format!("{}.raw", region.disk));
            run(&["e2fsck", "-fn", &format!("{image}?offset={}", region.start)]);
        }
        let srv = layout.region(&layout.at("/srv").unwrap().device).unwrap().start;
        let image = format!("{}?offset={srv}", fixture.path("data.raw"));
        assert!(run(&["debugfs", "-R", "cat /file", &image]).contains("on the second disk"));
    });
}

#[test]
fn a_process_that_stays_in_the_tree_is_named_and_everything_is_let_go_of() {
    apart(|fixture| {
        let attached = fixture.mounted(config::DEFAULT);
        let words = ["sh", "-c", "cd $0 && exec sleep 60", fixture.path("mnt/etc").as_str()].map(str::to_owned);
        let (child, _pipes) = crate::sandbox::child::start(&words).unwrap();
        let begun = std::time::Instant::now();
        while !users_of(&fixture.path("mnt")) && begun.elapsed().as_secs() < 10 {
            std::thread::yield_now();
        }
        let error = attached.finish(None, &Events::none()).unwrap_err().to_string();
        assert!(error.contains("cannot unmount") && error.contains("sleep ("), "{error}");
        drop(child);
        fixture.assert_clean();
    });
}

fn users_of(at: &Utf8Path) -> bool {
    let processes = Utf8Path::new("/proc").read_dir_utf8().unwrap().filter_map(Result::ok);
    processes.into_iter().any(|entry| entry.path().join("cwd").read_link_utf8().is_ok_and(|cwd| cwd.starts_with(at)))
}

#[test]
fn what_fat_cannot_hold_is_an_error_that_leaves_nothing_behind() {
    apart(|fixture| {
        let attached = fixture.mounted(EFI);
        std::os::unix::fs::symlink("EFI", fixture.path("mnt/boot/efi/link")).unwrap();
        let error = attached.finish(Some(TIME), &Events::none()).unwrap_err().to_string();
        assert!(error.contains("mnt/boot/efi/link cannot be stored on the FAT file system"), "{error}");
        fixture.assert_clean();
    });
}

#[test]
fn dropping_unmounts_and_detaches() {
    apart(|fixture| {
        drop(fixture.mounted(EFI));
        fixture.assert_clean();
    });
}

#[test]
fn a_file_system_without_a_driver_is_refused_before_the_build() {
    apart(|fixture| {
        let layout = fixture.layout(&config::DEFAULT.replace("name: mkfs_root", "name: mkfs_root\n      type: kilnfs"));
        let error = check(&layout).unwrap_err().to_string();
        assert!(error.contains("mkfs `mkfs_root`") && error.contains("cannot mount kilnfs"), "{error}");
        // FAT needs no driver.
        check(&fixture.layout(EFI)).unwrap();
    });
}

#[test]
fn xfs_and_subvolumes_are_mounted_as_described_and_keep_what_hooks_write() {
    let yaml = "
- local_loop: { name: image0, size: 400MiB, mkfs: { name: mkfs_root, type: xfs, mount: { mount_point: / } } }
- local_loop:
    name: image1
    size: 300MiB
    mkfs:
      name: more
      type: btrfs
      label: more
      subvolumes:
      - { name: '@home', mount_point: /home }
      - { name: '@srv', mount_point: /srv }
";
    apart(|fixture| {
        if let Err(error) = check(&fixture.layout(yaml)) {
            writeln!(std::io::stderr(), "skipped: {error}").unwrap();
            return;
        }
        let attached = fixture.mounted(yaml);
        assert_eq!(attached.parts(), [fixture.path("mnt/home"), fixture.path("mnt/srv")]);
        assert_eq!(fs::read_to_string(fixture.path("mnt/home/somebody/notes")).unwrap(), "kept");
        for file in ["mnt/etc/hook", "mnt/home/hook", "mnt/srv/hook"] {
            fs::write(fixture.path(file), "was here").unwrap();
        }
        attached.finish(Some(TIME), &Events::none()).unwrap();
        fixture.assert_clean();
        run(&["xfs_repair", "-n", "-f", fixture.path("image0.raw").as_str()]);
        run(&["btrfs", "check", fixture.path("image1.raw").as_str()]);
        let images = ["image0", "image1"].map(|name| (name.to_owned(), fixture.path(&format!("{name}.raw"))));
        let mut again = attach(&fixture.layout(yaml), &images).unwrap();
        again.mount(&fixture.path("tree"), &fixture.path("mnt")).unwrap();
        for file in ["mnt/etc/hook", "mnt/home/hook", "mnt/srv/hook"] {
            assert_eq!(fs::read_to_string(fixture.path(file)).unwrap(), "was here");
        }
    });
}

#[test]
fn a_root_on_a_volume_or_in_a_container_is_refused_with_what_the_kernel_lacks() {
    let fixture = Fixture::new();
    let root = "- mkfs: { name: mkfs_root, base: root, mount: { mount_point: / } }\n";
    let lvm = "
- local_loop: { name: image0 }
- lvm:
    name: lvm
    pvs: [{ name: pv, base: image0 }]
    vgs: [{ name: vg, base: [pv] }]
    lvs: [{ name: root, base: vg, extents: 100%FREE }]
";
    let luks = "
- local_loop: { name: image0 }
- luks: { name: root, base: image0, secret: disk }
";
    if check(&fixture.layout(config::DEFAULT)).is_err() {
        return;
    }
    for (nodes, what) in [(lvm, "a logical volume"), (luks, "an encrypted container")] {
        let error = check(&fixture.layout(&format!("{nodes}{root}"))).unwrap_err().to_string();
        assert!(error.contains(what) && error.contains("--disk-writer direct"), "{error}");
    }
}
