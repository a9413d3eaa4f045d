//! Volumes and containers: read back by LVM's, cryptsetup's and the file systems' own tools, on plain files.

use uuid::Uuid;

use super::*;
use crate::disk::layout::{
    Device, Disk, FileSystem, LogicalVolume, Luks, PhysicalVolume, Segment, VolumeGroup, VolumeKind,
};

const MIB: u64 = 1 << 20;

/// A disk without a table.
fn disk(name: &str, size: u64) -> Disk {
    Disk { name: name.into(), size, sector_size: 512, table: None, partitions: Vec::new() }
}

fn whole(disk: &str) -> Device {
    Device::Disk { disk: disk.into() }
}

fn filesystem(name: &str, device: Device, size: u64, point: &str) -> FileSystem {
    FileSystem {
        name: name.into(),
        device,
        size,
        kind: "ext4".into(),
        label: name.into(),
        uuid: Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()),
        options: Vec::new(),
        subvolumes: Vec::new(),
        mount_point: Some(point.into()),
        fstab: None,
    }
}

/// A group of one physical volume on `device`: `root` of 100 MiB, and `home` of 40 MiB in two pieces around it.
fn group(device: Device, size: u64) -> VolumeGroup {
    let segment = |first, count| Segment { physical_volume: "pv".into(), first, count };
    let volume = |name: &str, segments: Vec<Segment>| LogicalVolume {
        name: name.into(),
        uuid: Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()),
        size: segments.iter().map(|segment| segment.count).sum::<u64>() * 4 * MIB,
        kind: VolumeKind::Linear { segments },
    };
    VolumeGroup {
        name: "kiln-vg".into(),
        uuid: Uuid::from_u128(0x1234),
        extent_size: 4 * MIB,
        physical_volumes: vec![PhysicalVolume {
            name: "pv".into(),
            device,
            uuid: Uuid::from_u128(0x5678),
            size,
            data_start: MIB,
            extents: (size - MIB) / (4 * MIB),
        }],
        volumes: vec![volume("root", vec![segment(5, 25)]), volume("home", vec![segment(0, 5), segment(30, 5)])],
        spare: None,
    }
}

fn volume(name: &str) -> Device {
    Device::Volume { group: "kiln-vg".into(), volume: name.into() }
}

fn on_lvm() -> Layout {
    Layout {
        disks: vec![disk("image0", 200 * MIB)],
        volume_groups: vec![group(whole("image0"), 200 * MIB)],
        filesystems: vec![
            filesystem("root", volume("root"), 100 * MIB, "/"),
            filesystem("home", volume("home"), 40 * MIB, "/home"),
        ],
        ..Layout::default()
    }
}

fn written(fixture: &Fixture, layout: &Layout, secrets: &BTreeMap<String, Vec<u8>>) -> Utf8PathBuf {
    let image = fixture.path("image0.raw");
    write(layout, &[("image0".to_owned(), image.clone())], &content(&fixture.tree(), secrets)).unwrap();
    image
}

#[test]
fn lvm_finds_its_group_and_the_volumes_hold_their_file_systems() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let fixture = Fixture::new();
    std::fs::write(fixture.tree().join("home/notes"), "mine").unwrap();
    let image = written(&fixture, &on_lvm(), &BTreeMap::new());
    let dump = run(&["pvck", "--dump", "metadata", image.as_str()]);
    assert!(dump.contains("kiln-vg {") && dump.contains("stripes = [\"pv0\", 30]"), "{dump}");
    let headers = run(&["pvck", "--dump", "headers", image.as_str()]);
    assert!(!headers.contains("CHECK:"), "{headers}");
    check_ext_at(&image, MIB + 5 * 4 * MIB);
    let place = format!("{image}?offset={}", MIB + 5 * 4 * MIB);
    assert!(run(&["debugfs", "-R", "cat /etc/hostname", &place]).contains("baked\n"));
    // The volume in two pieces, put together as the kernel would.
    let bytes = std::fs::read(&image).unwrap();
    let at = |extent: u64| (MIB + extent * 4 * MIB) as usize;
    let home = fixture.path("home");
    std::fs::write(&home, [&bytes[at(0)..at(5)], &bytes[at(30)..at(35)]].concat()).unwrap();
    check_ext_at(&home, 0);
    assert!(run(&["debugfs", "-R", "cat /notes", home.as_str()]).contains("mine"));
}

#[test]
fn lvms_own_tools_report_the_group_through_a_loop_device() {
    let fixture = Fixture::new();
    if !super::kinds::can_mount(&fixture.layout(MBR)) {
        return;
    }
    let image = written(&fixture, &on_lvm(), &BTreeMap::new());
    crate::sandbox::mount::seeing_only(&fixture.path(""), &[], || {
        let device = crate::sandbox::loop_device::LoopDevice::attach(&image, 512).unwrap();
        let config = "devices { use_devicesfile=0 } global { locking_type=1 } backup { backup=0 archive=0 }";
        let ask = |words: &[&str]| {
            let words: Vec<&str> =
                words.iter().copied().chain(["--config", config, "--devices", device.node().as_str()]).collect();
            run(&words)
        };
        let volumes = ask(&["pvs", "--noheadings", "-o", "pv_uuid,vg_name,pv_pe_count"]);
        assert!(volumes.contains("000000-0000-0000-0000-0000-0000-005678 kiln-vg  49"), "{volumes}");
        ask(&["vgck", "kiln-vg"]);
        let volumes = ask(&["lvs", "--noheadings", "--units", "m", "-o", "lv_name,lv_size,seg_count", "kiln-vg"]);
        assert!(volumes.contains("root 100.00m") && volumes.contains("home  40.00m"), "{volumes}");
        device.detach().unwrap();
    })
    .unwrap();
}

fn container(device: Device, outside: u64) -> Luks {
    Luks {
        name: "hidden".into(),
        device,
        uuid: Uuid::from_u128(0xabcd),
        label: String::new(),
        header: 16 * MIB,
        size: outside - 16 * MIB,
        cipher: "aes-xts-plain64".into(),
        key_bits: 512,
        sector_size: 4096,
        secret: "disk".into(),
    }
}

#[test]
fn an_encrypted_disk_holds_nothing_that_can_be_read_and_two_writes_are_the_same() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let fixture = Fixture::new();
    let marker = "a text that nobody may read".repeat(100);
    std::fs::write(fixture.tree().join("etc/motd"), &marker).unwrap();
    let inside = Device::Luks { container: "hidden".into() };
    let layout = Layout {
        disks: vec![disk("image0", 230 * MIB)],
        luks: vec![container(whole("image0"), 230 * MIB)],
        volume_groups: vec![group(inside, 214 * MIB)],
        filesystems: vec![filesystem("root", volume("root"), 100 * MIB, "/")],
        ..Layout::default()
    };
    let secrets = BTreeMap::from([("disk".to_owned(), b"open sesame".to_vec())]);
    let image = written(&fixture, &layout, &secrets);
    let one = std::fs::read(&image).unwrap();
    let readable = |text: &[u8]| one.windows(text.len()).any(|window| window == text);
    assert!(!readable(marker.as_bytes()) && !readable(b"kiln-vg {"));
    let passphrase = fixture.path("passphrase");
    std::fs::write(&passphrase, "open sesame").unwrap();
    run(&["cryptsetup", "open", "--test-passphrase", "--key-file", passphrase.as_str(), image.as_str()]);
    assert!(one == std::fs::read(written(&fixture, &layout, &secrets)).unwrap());
    let names: Vec<_> =
        fixture.path("").read_dir_utf8().unwrap().map(|entry| entry.unwrap().file_name().to_owned()).collect();
    assert!(!names.iter().any(|name| name.contains("inside")), "{names:?}");
}

#[test]
fn a_container_without_its_secret_is_an_error_that_says_how_to_give_it() {
    let fixture = Fixture::new();
    let inside = Device::Luks { container: "hidden".into() };
    let layout = Layout {
        disks: vec![disk("image0", 66 * MIB)],
        luks: vec![container(whole("image0"), 66 * MIB)],
        filesystems: vec![filesystem("root", inside, 50 * MIB, "/")],
        ..Layout::default()
    };
    let image = fixture.path("image0.raw");
    let error = write(&layout, &[("image0".to_owned(), image.clone())], &content(&fixture.tree(), &BTreeMap::new()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("add --secret disk=FILE"), "{error}");
    assert!(!fixture.path("image0.raw.hidden.inside").exists());
}

#[test]
fn a_file_system_on_the_volumes_of_two_disks_is_whole() {
    let fixture = Fixture::new();
    let mut layout = on_lvm();
    layout.disks.push(disk("image1", 200 * MIB));
    let mut second = layout.volume_groups[0].physical_volumes[0].clone();
    second.name = "pv2".into();
    second.uuid = Uuid::from_u128(0x9abc);
    second.device = whole("image1");
    layout.volume_groups[0].physical_volumes.push(second);
    let VolumeKind::Linear { segments } = &mut layout.volume_groups[0].volumes[1].kind else { unreachable!() };
    segments[1].physical_volume = "pv2".into();
    let images = ["image0", "image1"].map(|name| (name.to_owned(), fixture.path(&format!("{name}.raw"))));
    write(&layout, &images, &content(&fixture.tree(), &BTreeMap::new())).unwrap();
    for (_, image) in &images {
        assert!(run(&["pvck", "--dump", "metadata", image.as_str()]).contains("home {"));
    }
    // Its first 20 MiB are on the one disk, the rest on the other.
    let part = |image: &Utf8Path, extent: u64| {
        let bytes = std::fs::read(image).unwrap();
        bytes[(MIB + extent * 4 * MIB) as usize..][..20 << 20].to_vec()
    };
    let home = fixture.path("home");
    std::fs::write(&home, [part(&images[0].1, 0), part(&images[1].1, 30)].concat()).unwrap();
    run(&["e2fsck", "-fn", home.as_str()]);
}

#[test]
fn what_is_no_file_system_is_refused_on_a_volume_in_several_pieces() {
    let fixture = Fixture::new();
    let mut layout = on_lvm();
    layout.luks = vec![container(volume("home"), 40 * MIB)];
    layout.filesystems[1].device = Device::Luks { container: "hidden".into() };
    let image = fixture.path("image0.raw");
    let secrets = BTreeMap::from([("disk".to_owned(), b"open sesame".to_vec())]);
    let images = [("image0".to_owned(), image.clone())];
    let error = write(&layout, &images, &content(&fixture.tree(), &secrets)).unwrap_err().to_string();
    assert!(error.contains("`hidden`: what lies on a volume in several pieces and is no file system"), "{error}");
    assert!(!image.exists());
}

/// The numbers of a tag's attribute in an XML text.
fn numbers(text: &str, tag: &str, attribute: &str) -> Vec<u64> {
    let tags = text.split('<').filter(|part| part.starts_with(tag));
    let value = |part: &str| part.split(&format!("{attribute}=\"")).nth(1)?.split('"').next()?.parse().ok();
    tags.filter_map(value).collect()
}

#[test]
fn a_thin_volume_is_found_through_its_pools_metadata() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let fixture = Fixture::new();
    let yaml = "
- local_loop: { name: image0, size: 300MiB }
- lvm:
    name: lvm
    pvs: [{ name: pv, base: image0 }]
    vgs: [{ name: vg, base: [pv] }]
    lvs:
    - { name: pool, base: vg, type: thin-pool, size: 200MiB }
    - { name: root, base: vg, type: thin, thin-pool: pool, size: 2GiB }
    - { name: home, base: vg, type: thin, thin-pool: pool, size: 1GiB }
- mkfs: { name: mkfs_root, base: root, mount: { mount_point: / } }
- mkfs: { name: home_fs, base: home, type: ext4, mount: { mount_point: /home } }
";
    let layout = fixture.layout(yaml);
    let image = written(&fixture, &layout, &BTreeMap::new());
    let headers = run(&["pvck", "--dump", "headers", image.as_str()]);
    assert!(!headers.contains("CHECK:"), "{headers}");
    let group = &layout.volume_groups[0];
    let VolumeKind::ThinPool { data, metadata, chunk_size } = &group.volumes[0].kind else { panic!("{group:?}") };
    let bytes = std::fs::read(&image).unwrap();
    let cut = |segments: &[Segment]| -> Vec<u8> {
        let regions = layout.segments(group, segments).unwrap();
        regions
            .iter()
            .flat_map(|region| &bytes[region.start as usize..(region.start + region.size) as usize])
            .copied()
            .collect()
    };
    let tree = fixture.path("metadata");
    std::fs::write(&tree, cut(&metadata.segments)).unwrap();
    run(&["thin_check", tree.as_str()]);
    let dump = run(&["thin_dump", tree.as_str()]);
    let blocks = cut(&data.segments);
    for (device, file, request, expected) in
        [("1", "root", "cat /etc/hostname", "baked\n"), ("2", "home", "stat /", "Type: directory")]
    {
        let part = dump.split("<device ").find(|part| part.starts_with(&format!("dev_id=\"{device}\""))).unwrap();
        // thin_dump writes a run of one block in another way.
        let part = part.replace("<single_mapping origin_block", "<range_mapping length=\"1\" origin_begin");
        let part = part.replace("data_block", "data_begin");
        let all = |attribute| numbers(&part, "range_mapping", attribute);
        let (from, to, length) = (all("data_begin"), all("origin_begin"), all("length"));
        assert!(!from.is_empty() && from.len() == to.len() && to.len() == length.len(), "{part}");
        let path = fixture.path(file);
        let whole = std::fs::File::create(&path).unwrap();
        let volume = group.volumes.iter().find(|volume| volume.name == file).unwrap();
        whole.set_len(volume.size).unwrap();
        for ((from, to), length) in from.into_iter().zip(to).zip(length) {
            let (at, end) = ((from * chunk_size) as usize, ((from + length) * chunk_size) as usize);
            std::os::unix::fs::FileExt::write_all_at(&whole, &blocks[at..end], to * chunk_size).unwrap();
        }
        check_ext_at(&path, 0);
        let said = run(&["debugfs", "-R", request, path.as_str()]);
        assert!(said.contains(expected), "{said}");
    }
}
