//! File systems of every kind, each checked by its own tools and read back.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt;

use super::*;
use crate::disk::layout::{FstabEntry, Subvolume};
use crate::disk::loopback;
use crate::sandbox::loop_device::{self, LoopDevice};
use crate::sandbox::mount::seeing_only;
use crate::sandbox::mounted::Mounted;

/// Whether file systems can be attached and mounted; says when a test is left out.
pub(super) fn can_mount(layout: &Layout) -> bool {
    match loopback::check(layout) {
        Ok(()) => nix::unistd::geteuid().is_root(),
        Err(error) => {
            writeln!(std::io::stderr(), "skipped: {error}").unwrap();
            false
        }
    }
}

/// A disk of one file system of `kind`, and an ESP on another.
fn layout(kind: &str, size: &str) -> Layout {
    let yaml = format!(
        "
- local_loop: {{ name: image0, size: {size}, mkfs: {{ name: mkfs_root, type: {kind}, mount: {{ mount_point: / }} }} }}
- local_loop: {{ name: image1, size: 100MiB, mkfs: {{ name: esp, type: vfat, mount: {{ mount_point: /boot/efi }} }} }}
"
    );
    solve::solve(&config::parse(&yaml, "test").unwrap(), &solve::tests::parameters(), 0, "seed").unwrap()
}

/// What must survive of the tree, made richer: a capability's attribute, a link, an old time, a device, an owner.
fn furnish(fixture: &Fixture) {
    let tree = fixture.tree();
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(tree.join("usr/bin/tool").as_str(), "user.kiln", b"kept", flags).unwrap();
    run(&["mknod", tree.join("null").as_str(), "c", "1", "3"]);
    std::os::unix::fs::chown(tree.join("home"), Some(1000), Some(1001)).unwrap();
    std::fs::set_permissions(tree.join("usr/bin/tool"), std::os::unix::fs::PermissionsExt::from_mode(0o4755)).unwrap();
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    std::fs::File::open(tree.join("etc/hostname")).unwrap().set_modified(old).unwrap();
    std::fs::write(tree.join("a name with spaces"), "x").unwrap();
}

/// Looks at the tree that the file system at the beginning of `image` holds, mounted with `options`.
fn look(image: &Utf8Path, kind: &str, subvolume: Option<&str>, at: &Utf8Path, work: impl Fn(&Utf8Path) + Send + Sync) {
    std::fs::create_dir_all(at).unwrap();
    let parent = at.parent().unwrap();
    seeing_only(parent, &[], || {
        // Other tests have file systems with the same identifier.
        let _turn = loop_device::turn().unwrap();
        let device = LoopDevice::attach(image, 512).unwrap();
        let mounted = match subvolume {
            Some(name) => Mounted::subvolume(device.node(), kind, name, at).unwrap(),
            None => Mounted::device(device.node(), kind, "", at).unwrap(),
        };
        work(at);
        mounted.unmount().unwrap();
        device.detach().unwrap();
    })
    .unwrap();
}

/// Everything that [`furnish`] made, and nothing of the ESP.
fn check_tree(root: &Utf8Path) {
    check_tree_of(root, 1_000_000_000);
}

/// The same, with another time of the old file.
fn check_tree_of(root: &Utf8Path, old: i64) {
    let facts = |name: &str| root.join(name).symlink_metadata().unwrap();
    assert_eq!(std::fs::read_to_string(root.join("etc/hostname")).unwrap(), "baked\n");
    assert_eq!(facts("etc/hostname").mtime(), old);
    assert_eq!((facts("usr/bin/tool").nlink(), facts("usr/bin/tool").ino()), (2, facts("usr/bin/same").ino()));
    assert_eq!(facts("usr/bin/tool").mode() & 0o7777, 0o4755);
    assert!(facts("usr/bin/same").mtime() <= TIME);
    let mut value = [0; 16];
    let length = rustix::fs::getxattr(root.join("usr/bin/same").as_str(), "user.kiln", &mut value[..]).unwrap();
    assert_eq!(&value[..length], b"kept");
    assert_eq!(root.join("bin").read_link_utf8().unwrap(), "usr/bin");
    assert_eq!((facts("home").uid(), facts("home").gid()), (1000, 1001));
    assert_eq!(facts("null").rdev(), rustix::fs::makedev(1, 3));
    assert!(facts("a name with spaces").is_file());
    assert_eq!(root.join("boot/efi").read_dir_utf8().unwrap().count(), 0);
    assert_eq!(root.metadata().unwrap().mode() & 0o7777, 0o755);
}

fn write_it(fixture: &Fixture, layout: &Layout) -> Utf8PathBuf {
    let image = fixture.path("image0.raw");
    write(layout, &[("image0".to_owned(), image.clone())], &content(&fixture.tree(), &BTreeMap::new())).unwrap();
    let left: Vec<_> =
        image.parent().unwrap().read_dir_utf8().unwrap().map(|entry| entry.unwrap().file_name().to_owned()).collect();
    assert!(!left.iter().any(|name| name.starts_with("image0.raw.")), "{left:?}");
    image
}

#[test]
fn xfs_keeps_links_attributes_times_and_devices() {
    let layout = layout("xfs", "400MiB");
    if !can_mount(&layout) {
        return;
    }
    let fixture = Fixture::new();
    furnish(&fixture);
    let image = write_it(&fixture, &layout);
    run(&["xfs_repair", "-n", "-f", image.as_str()]);
    let uuid = layout.at("/").unwrap().uuid.to_string();
    let facts = run(&["xfs_db", "-f", "-r", "-c", "uuid", "-c", "label", image.as_str()]);
    assert!(facts.contains(&uuid) && facts.contains("img-rootfs"), "{facts}");
    look(&image, "xfs", None, &fixture.path("mnt"), check_tree);
}

#[test]
fn btrfs_keeps_links_attributes_times_and_devices() {
    let layout = layout("btrfs", "300MiB");
    if !can_mount(&layout) {
        return;
    }
    let fixture = Fixture::new();
    furnish(&fixture);
    let image = write_it(&fixture, &layout);
    run(&["btrfs", "check", image.as_str()]);
    look(&image, "btrfs", None, &fixture.path("mnt"), check_tree);
}

#[test]
fn builds_of_one_seed_may_fill_their_btrfs_at_the_same_time() {
    let layout = layout("btrfs", "300MiB");
    if !can_mount(&layout) {
        return;
    }
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let fixture = Fixture::new();
                furnish(&fixture);
                run(&["btrfs", "check", write_it(&fixture, &layout).as_str()]);
            });
        }
    });
}

#[test]
fn a_btrfs_that_is_attached_already_is_named_by_its_identifier() {
    let mut layout = layout("btrfs", "300MiB");
    // Of no other test.
    layout.filesystems[0].uuid = uuid::Uuid::from_u128(0x071f);
    if !can_mount(&layout) {
        return;
    }
    let fixture = Fixture::new();
    let image = write_it(&fixture, &layout);
    let attached = LoopDevice::attach(&image, 512).unwrap();
    let (again, tree) = (fixture.path("again.raw"), fixture.tree());
    let error = write(&layout, &[("image0".to_owned(), again)], &content(&tree, &BTreeMap::new())).unwrap_err();
    attached.detach().unwrap();
    let text = error.to_string();
    assert!(text.contains("has the identifier 00000000-0000-0000-0000-00000000071f already"), "{text}");
    assert!(text.contains("choose another --seed"), "{text}");
}

#[test]
fn subvolumes_are_filled_from_the_folders_they_are_mounted_at() {
    let mut layout = layout("btrfs", "300MiB");
    if !can_mount(&layout) {
        return;
    }
    let fixture = Fixture::new();
    furnish(&fixture);
    std::fs::write(fixture.tree().join("home/notes"), "mine").unwrap();
    let root = &mut layout.filesystems[0];
    root.mount_point = None;
    let subvolume = |name: &str, point: Option<&str>| Subvolume {
        name: name.into(),
        mount_point: point.map(str::to_owned),
        fstab: Some(FstabEntry { options: "compress=zstd:1".into(), dump_freq: 0, fsck_passno: 0 }),
    };
    root.subvolumes = vec![subvolume("@", Some("/")), subvolume("@home", Some("/home")), subvolume("snapshots", None)];
    let image = write_it(&fixture, &layout);
    run(&["btrfs", "check", image.as_str()]);
    let at = fixture.path("mnt");
    look(&image, "btrfs", Some("@"), &at, |root| {
        check_tree(root);
        assert_eq!(root.join("home").read_dir_utf8().unwrap().count(), 0);
    });
    look(&image, "btrfs", Some("@home"), &at, |home| {
        assert_eq!(std::fs::read_to_string(home.join("notes")).unwrap(), "mine");
        assert_eq!(home.metadata().unwrap().uid(), 1000);
    });
    look(&image, "btrfs", None, &at, |top| {
        let listed = run(&["btrfs", "subvolume", "list", top.as_str()]);
        assert!(["path @\n", "path @home\n", "path snapshots\n"].iter().all(|path| listed.contains(path)), "{listed}");
        assert_eq!(top.read_dir_utf8().unwrap().count(), 3);
    });
}

#[test]
fn packed_roots_are_the_same_bytes_twice_and_whole() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    for (kind, check) in [("squashfs", vec!["unsquashfs", "-lls"]), ("erofs", vec!["fsck.erofs"])] {
        let layout = layout(kind, "50MiB");
        let fixture = Fixture::new();
        furnish(&fixture);
        let image = write_it(&fixture, &layout);
        let one = std::fs::read(&image).unwrap();
        run(&check.iter().copied().chain([image.as_str()]).collect::<Vec<_>>());
        assert!(one == std::fs::read(write_it(&fixture, &layout)).unwrap(), "{kind}: the bytes differ");
        if can_mount(&layout) {
            look(&image, kind, None, &fixture.path("mnt"), |root| check_tree_of(root, TIME));
        }
    }
}

#[test]
fn content_that_is_too_large_for_any_kind_says_by_how_much() {
    let mut layout = layout("btrfs", "120MiB");
    // The kernel mounts no two of one identifier, and other tests run beside this one.
    layout.filesystems[0].uuid = uuid::Uuid::from_u128(0x0bad_5eed);
    if !can_mount(&layout) {
        return;
    }
    let fixture = Fixture::new();
    // No hole, and nothing that a file system would compress.
    let noise: Vec<u8> =
        (0..100_u32 << 18).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    std::fs::write(fixture.tree().join("large"), noise).unwrap();
    let image = fixture.path("image0.raw");
    let error = write(&layout, &[("image0".to_owned(), image.clone())], &content(&fixture.tree(), &BTreeMap::new()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("the content of / does not fit") && error.contains("--image-size"), "{error}");
}
