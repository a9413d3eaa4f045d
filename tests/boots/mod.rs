//! Images whose root is not simply a partition with ext4: each checked by the tools of the trade and booted, with the kernel's own
//! word for what it mounted.
//!
//! They share one set of packages, so the store makes their tree once; what the disk writes and what boots is each one's own.

mod ramdisk;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::cut::part;
use crate::support::{
    FOR_AN_EMULATED_MACHINE, Sandbox, a_core, approve, ending, kiln, one_build, shared_store, stderr, stdout,
};

/// The release that the figures of DIB were taken with.
const RELEASE: &str = "bookworm";
/// What all of these disks need together.
const PACKAGES: &str = "btrfs-progs,cryptsetup-initramfs,lvm2,xfsprogs";

/// A GPT with an EFI system partition and a BIOS boot partition; what follows are more partitions and nodes.
fn gpt(rest: &str) -> String {
    format!(
        "
- local_loop: {{ name: image0, size: 3GiB }}
- partitioning:
    base: image0
    label: gpt
    partitions:
    - {{ name: ESP, type: EF00, size: 100MiB, mkfs: {{ type: vfat, mount: {{ mount_point: /boot/efi, fstab: {{}} }} }} }}
    - {{ name: BSP, type: EF02, size: 8MiB }}
{rest}"
    )
}

/// Builds a raw image of `elements` with the disk `description` (of the elements when empty). `words` are more words.
fn build(sandbox: &Sandbox, description: &str, elements: &[&str], words: &[&str]) -> PathBuf {
    let _turn = one_build();
    let mut all = vec!["build", "-o", "image", "-t", "raw", "-p", PACKAGES];
    all.extend(words);
    all.extend(["vm", "debian-minimal"]);
    all.extend(elements);
    let mut command = kiln(&all);
    command.current_dir(sandbox.path()).env("KILN_STORE", shared_store()).env("DIB_RELEASE", RELEASE);
    command.envs(FOR_AN_EMULATED_MACHINE);
    if sandbox.path().join("elements").is_dir() {
        command.env("ELEMENTS_PATH", sandbox.path().join("elements"));
    }
    if !description.is_empty() {
        command.env("DIB_BLOCK_DEVICE_CONFIG", description);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "kiln {all:?}: {}", ending(&output));
    sandbox.path().join("image.raw")
}

/// `kiln boot`, beside a build of another test: it keeps one core busy. Emulated on a busy machine it takes minutes.
fn run_machine(image: &Path, words: &[&str]) -> Output {
    let _turn = a_core();
    let mut all = vec!["boot", image.to_str().unwrap(), "--timeout", "1200"];
    all.extend(words);
    kiln(&all).output().unwrap()
}

/// Boots the image until somebody may log in, and wants each of `signs` on the console: a regular expression each.
fn boot(image: &Path, words: &[&str], signs: &[&str]) {
    let output = run_machine(image, words);
    let console = stdout(&output);
    assert!(output.status.success(), "kiln boot {words:?}: {}", ending(&output));
    for sign in signs {
        let sign = regex::Regex::new(sign).unwrap();
        assert!(sign.is_match(&console), "the console does not say {sign}: {}", ending(&output));
    }
}

/// Where partition `number` begins and how large it is, bytes.
fn partition(raw: &Path, number: usize) -> (u64, u64) {
    let table: serde_json::Value =
        serde_json::from_str(&approve("sfdisk", &["--json", raw.to_str().unwrap()])).unwrap();
    let entry = &table["partitiontable"]["partitions"][number - 1];
    let bytes = |name: &str| entry[name].as_u64().unwrap() * 512;
    (bytes("start"), bytes("size"))
}

/// The content of partition `number` as a file of its own.
fn cut(raw: &Path, number: usize) -> PathBuf {
    let (start, size) = partition(raw, number);
    let to = raw.with_file_name(format!("part{number}"));
    part(raw, start, size, &to);
    to
}

fn check_gpt(raw: &Path) {
    let said = approve("sgdisk", &["-v", raw.to_str().unwrap()]);
    assert!(said.contains("No problems found"), "{said}");
}

#[test]
fn a_disk_of_4k_sectors_boots_by_uefi() {
    let sandbox = Sandbox::new();
    let image = build(&sandbox, "", &["block-device-efi-4k"], &[]);
    let signs = [r"EXT4-fs \(vda3\): mounted filesystem", "4096-byte logical blocks"];
    boot(&image, &["--uefi", "--sector-size", "4096"], &signs);
}

#[test]
fn a_root_on_logical_volumes_boots_both_ways() {
    let sandbox = Sandbox::new();
    // The volumes of block-device-efi-lvm on a disk that a test can copy.
    let rest = "
    - { name: physical, type: 8E00, size: 100% }
- lvm:
    name: lvm
    pvs: [{ name: pv, base: physical }]
    vgs: [{ name: vg, base: [pv] }]
    lvs:
    - { name: lv_root, base: vg, size: 1700MiB }
    - { name: lv_var, base: vg, size: 600MiB }
    - { name: lv_home, base: vg, extents: 100%FREE }
- mkfs: { name: fs_root, base: lv_root, type: xfs, label: img-rootfs, mount: { mount_point: /, fstab: {} } }
- mkfs: { name: fs_var, base: lv_var, type: xfs, mount: { mount_point: /var, fstab: {} } }
- mkfs: { name: fs_home, base: lv_home, type: xfs, mount: { mount_point: /home, fstab: {} } }
";
    let image = build(&sandbox, &gpt(rest), &["block-device-efi"], &[]);
    check_gpt(&image);
    let volume = cut(&image, 3);
    let volume = volume.to_str().unwrap();
    let headers = approve("pvck", &["--dump", "headers", volume]);
    assert!(!headers.contains("CHECK:"), "{headers}");
    let dump = approve("pvck", &["--dump", "metadata", volume]);
    assert!(dump.contains("lv_root {") && dump.contains("lv_home {"), "{dump}");
    let signs = [r"XFS \(dm-\d\): Ending clean mount", r"root=LABEL=img-rootfs"];
    boot(&image, &["--uefi"], &signs);
    boot(&image, &[], &signs);
}

#[test]
fn a_volume_on_two_disks_is_in_both_images_and_mounted_from_them() {
    let sandbox = Sandbox::new();
    let rest = "
    - { name: root, size: 2000MiB, mkfs: { name: mkfs_root, type: ext4, mount: { mount_point: /, fstab: {} } } }
    - { name: physical, type: 8E00, size: 100% }
- local_loop: { name: data, size: 1GiB }
- lvm:
    name: lvm
    pvs: [{ name: pv0, base: physical }, { name: pv1, base: data }]
    vgs: [{ name: vg, base: [pv0, pv1] }]
    lvs: [{ name: lv_srv, base: vg, extents: 100%FREE }]
- mkfs: { name: fs_srv, base: lv_srv, type: ext4, label: srv, mount: { mount_point: /srv, fstab: {} } }
";
    let image = build(&sandbox, &gpt(rest), &["block-device-efi"], &[]);
    check_gpt(&image);
    let data = sandbox.path().join("image.data.raw");
    assert_eq!(fs::metadata(&data).unwrap().len(), 1 << 30);
    for volume in [&cut(&image, 4), &data] {
        let dump = approve("pvck", &["--dump", "metadata", volume.to_str().unwrap()]);
        assert!(dump.contains("lv_srv {") && dump.contains("segment_count = 2"), "{dump}");
    }
    let signs = [r"EXT4-fs \(vda3\): mounted filesystem", r"EXT4-fs \(dm-0\): mounted filesystem", "Mounted .*[ /]srv"];
    boot(&image, &["--disk", data.to_str().unwrap()], &signs);
}

#[test]
fn an_xfs_root_boots() {
    let sandbox = Sandbox::new();
    let rest = "    - { name: root, size: 100%, mkfs: { name: mkfs_root, type: xfs, mount: { mount_point: /, fstab: {} } } }\n";
    let image = build(&sandbox, &gpt(rest), &["block-device-efi"], &[]);
    check_gpt(&image);
    approve("xfs_repair", &["-n", "-f", cut(&image, 3).to_str().unwrap()]);
    boot(&image, &[], &[r"XFS \(vda3\): Ending clean mount"]);
}

#[test]
fn a_root_in_a_btrfs_subvolume_boots() {
    let sandbox = Sandbox::new();
    let rest = "
    - name: root
      size: 100%
      mkfs:
        name: mkfs_root
        type: btrfs
        subvolumes:
        - { name: '@', mount_point: /, options: 'compress=zstd:1' }
        - { name: '@home', mount_point: /home }
";
    let image = build(&sandbox, &gpt(rest), &["block-device-efi"], &[]);
    check_gpt(&image);
    approve("btrfs", &["check", cut(&image, 3).to_str().unwrap()]);
    boot(&image, &[], &[r"BTRFS.*device .*vda3", r"rootflags=subvol=@ ", r"Mounted .*[ /]home"]);
}

/// Puts the key where the initramfs finds it.
const UNLOCK: &str = r#"//! The image opens its own disk.

const ELEMENT = #{
    summary: "the image opens its own disk",
    permissions: ["write:/etc/cryptsetup-keys.d", "secrets:disk"],
};

/// Writes the key file.
fn install(image) {
    image.write_file("/etc/cryptsetup-keys.d/crypt.key", image.secret("disk"), #{ mode: 0o600 });
}
"#;

#[test]
fn an_encrypted_root_opens_with_the_key_of_its_initramfs() {
    let sandbox = Sandbox::new();
    sandbox.element("unlock", &[("element.rhai", UNLOCK)]);
    let secret = sandbox.path().join("disk.secret");
    fs::write(&secret, "open sesame 4711").unwrap();
    let rest = "
    - { name: boot, size: 300MiB, mkfs: { type: ext4, mount: { mount_point: /boot, fstab: {} } } }
    - { name: hidden, type: '8309', size: 100%, luks: { name: crypt, secret: disk } }
- mkfs: { name: mkfs_root, base: crypt, type: ext4, mount: { mount_point: /, fstab: {} } }
";
    let given = format!("disk={}", secret.display());
    // Every byte of the container is encrypted, also the empty ones.
    let disk = gpt(rest).replace("3GiB", "2GiB");
    let image = build(&sandbox, &disk, &["block-device-efi", "unlock"], &["--secret", &given]);
    check_gpt(&image);
    let container = cut(&image, 4);
    let container = container.to_str().unwrap();
    let dump = approve("cryptsetup", &["luksDump", container]);
    assert!(dump.contains("aes-xts-plain64"), "{dump}");
    approve("cryptsetup", &["open", "--test-passphrase", "--key-file", secret.to_str().unwrap(), container]);
    boot(&image, &[], &[r"EXT4-fs \(dm-0\): mounted filesystem", r"EXT4-fs \(vda3\): mounted filesystem"]);
}

#[test]
fn firmware_with_secure_boot_starts_shim_and_grub_and_nothing_it_does_not_trust() {
    let sandbox = Sandbox::new();
    let packages = ["-p", "shim-signed,grub-efi-amd64-signed"];
    let image = build(&sandbox, "", &["block-device-efi"], &packages);
    check_gpt(&image);
    let signs = [
        "EFI stub: UEFI Secure Boot is enabled",
        "secureboot: Secure boot enabled",
        "Kernel is locked down from EFI Secure Boot",
        r"EXT4-fs \(vda3\): mounted filesystem",
    ];
    boot(&image, &["--secure-boot"], &signs);

    // GRUB bears Debian's signature and not Microsoft's: only shim trusts it.
    let esp = format!("{}@@{}", image.display(), partition(&image, 1).0);
    let grub = sandbox.path().join("grub.efi");
    let grub = grub.to_str().unwrap();
    approve("mcopy", &["-i", &esp, "::EFI/BOOT/grubx64.efi", grub]);
    approve("mcopy", &["-o", "-i", &esp, grub, "::EFI/BOOT/BOOTX64.EFI"]);
    let refused = run_machine(&image, &["--secure-boot"]);
    assert_eq!(refused.status.code(), Some(1), "{}", stdout(&refused));
    assert!(stderr(&refused).contains("no enrolled key has signed its boot loader"), "{}", stderr(&refused));
}

#[test]
fn systemd_boot_starts_the_kernel_of_its_entry() {
    let sandbox = Sandbox::new();
    let image = build(&sandbox, "", &["block-device-efi", "systemd-boot"], &[]);
    check_gpt(&image);
    let esp = cut(&image, 1);
    approve("fsck.vfat", &["-n", esp.to_str().unwrap()]);
    let entry = entry_of(&esp);
    assert!(entry.contains("title Debian GNU/Linux 12 (bookworm)\n"), "{entry}");
    assert!(entry.contains("options root=LABEL=cloudimg-rootfs ro console="), "{entry}");
    let signs = [
        "Reboot Into Firmware Interface",
        r"Command line: initrd=\\debian\\[^ ]+\\initrd.img root=LABEL=cloudimg-rootfs ro ",
        r"EXT4-fs \(vda3\): mounted filesystem",
    ];
    boot(&image, &["--uefi"], &signs);
}

/// The text of the only entry of type 1 on the EFI system partition.
fn entry_of(esp: &Path) -> String {
    let esp = esp.to_str().unwrap();
    let listed = approve("mdir", &["-i", esp, "-b", "::loader/entries"]);
    let [entry] = listed.lines().collect::<Vec<_>>()[..] else { panic!("{listed}") };
    approve("mtype", &["-i", esp, entry])
}

#[test]
fn a_verified_root_and_usr_boot_with_the_root_hashes_of_their_entry() {
    let sandbox = Sandbox::new();
    let description = "
- local_loop: { name: image0, size: 3GiB }
- partitioning:
    base: image0
    label: gpt
    partitions:
    - { name: ESP, type: EF00, size: 200MiB, mkfs: { type: vfat, mount: { mount_point: /boot/efi, fstab: {} } } }
    - name: root
      type: '8304'
      size: 400MiB
      attributes: [read-only]
      mkfs: { name: mkfs_root, type: erofs, mount: { mount_point: /, fstab: { options: ro, fsck-passno: 0 } } }
      verity: { name: checked, hash: hashes }
    - { name: hashes, type: 830C, size: 8MiB }
    - name: usr
      size: 1200MiB
      mkfs: { type: erofs, mount: { mount_point: /usr, fstab: { options: ro, fsck-passno: 0 } } }
      verity: { name: checked-usr, hash: usr-hashes }
    - { name: usr-hashes, size: 16MiB }
    - name: srv
      size: 32MiB
      mkfs: { type: erofs, mount: { mount_point: /srv, fstab: { options: ro, fsck-passno: 0 } } }
      verity: { name: offers, hash: offered }
    - { name: offered, size: 4MiB }
    - { name: var, size: 100%, mkfs: { type: ext4, mount: { mount_point: /var, fstab: {} } } }
";
    let offers = "const ELEMENT = #{ summary: \"s\", permissions: [\"write:/srv\"] };

fn install(image) {
    image.write_file(\"/srv/offers\", \"a\\n\");
}
";
    sandbox.element("offers", &[("element.rhai", offers)]);
    let image = build(&sandbox, description, &["block-device-efi", "systemd-boot", "offers"], &[]);
    check_gpt(&image);
    let entry = entry_of(&cut(&image, 1));
    let verified = |name: &str, number: usize| {
        let hash = entry.split_whitespace().find_map(|word| word.strip_prefix(&format!("{name}="))).unwrap();
        let (data, hashes) = (cut(&image, number), cut(&image, number + 1));
        approve("veritysetup", &["verify", data.to_str().unwrap(), hashes.to_str().unwrap(), hash]);
        assert_eq!(fs::read_to_string(image.with_extension(name)).unwrap().trim(), hash);
        hash
    };
    let (root, usr) = (verified("roothash", 2), verified("usrhash", 4));
    let signs = [
        &format!(r"Command line: .* root=/dev/mapper/root roothash={root} .* usrhash={usr} "),
        "device-mapper: verity: sha256 using implementation",
        r"erofs: \(device dm-0\): mounted with root inode",
        r"erofs: \(device dm-1\): mounted with root inode",
        "Finished .*systemd-verityset",
        // /etc/veritytab, which lies on the verified root, has the root hash of this one.
        r"erofs: \(device dm-2\): mounted with root inode",
    ];
    boot(&image, &["--uefi"], &signs);
}

#[test]
fn a_unified_kernel_image_boots() {
    let sandbox = Sandbox::new();
    let image = build(&sandbox, "", &["block-device-efi", "uki"], &[]);
    check_gpt(&image);
    let esp = cut(&image, 1);
    approve("fsck.vfat", &["-n", esp.to_str().unwrap()]);
    let listed = approve("mdir", &["-i", esp.to_str().unwrap(), "-/", "-b", "::"]);
    assert!(listed.contains("EFI/BOOT/BOOTX64.EFI"), "{listed}");
    let unified = listed.lines().find(|line| line.contains("EFI/Linux/debian-")).unwrap_or_else(|| panic!("{listed}"));
    let file = sandbox.path().join("unified.efi");
    approve("mcopy", &["-i", esp.to_str().unwrap(), unified, file.to_str().unwrap()]);
    if let Ok(output) = Command::new("objdump").args(["-h", file.to_str().unwrap()]).output() {
        let said = stdout(&output);
        assert!([".osrel", ".cmdline", ".initrd", ".linux"].iter().all(|name| said.contains(name)), "{said}");
    }
    boot(
        &image,
        &["--uefi"],
        &[r"EXT4-fs \(vda3\): mounted filesystem", "Command line: root=LABEL=cloudimg-rootfs ro"],
    );
}
