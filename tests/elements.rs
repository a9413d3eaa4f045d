//! kiln's own elements: documented, tested, without shell.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use kiln::plan::{Action, Plan};

use crate::support::{Sandbox, stderr, stdout};

fn elements() -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("elements");
    let mut found: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

#[test]
fn the_tests_of_kilns_own_elements_pass() {
    let sandbox = Sandbox::new();
    let output = sandbox.kiln(&["test"]).output().unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("0 failed"), "{text}");
    for element in elements() {
        let name = element.file_name().unwrap().to_string_lossy().into_owned();
        assert!(text.contains(&format!("test {name}::declarations ... ok")), "{name} was not tested:\n{text}");
    }
}

#[test]
fn a_dependency_that_nobody_is_fails_the_element_s_tests() {
    let sandbox = Sandbox::new();
    let text = "const ELEMENT = #{ summary: \"s\", depends: [\"no-such-thing\"] };\n";
    let elements = sandbox.element("web", &[("element.rhai", text)]);
    let output = sandbox.kiln(&["test", "--elements-path", elements.to_str().unwrap(), "web"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("`web` depends on `no-such-thing`"), "{}", stdout(&output));
}

#[test]
fn every_element_has_a_readme_and_each_script_has_tests() {
    for element in elements() {
        assert!(element.join("README.md").is_file(), "{} has no README.md", element.display());
        let script = fs::read_to_string(element.join("element.rhai")).unwrap_or_default();
        if script.lines().any(|line| line.starts_with("fn ")) {
            let tests = fs::read_dir(element.join("tests")).map_or(0, Iterator::count);
            assert!(tests > 0, "{} has no tests", element.display());
        }
    }
}

#[test]
fn no_hook_is_shell_and_every_tool_in_bin_is() {
    fn look(folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(&path);
            } else {
                let content = fs::read(&path).unwrap();
                let is_tool = path.parent().unwrap().ends_with("bin");
                assert_eq!(content.starts_with(b"#!"), is_tool, "{}", path.display());
            }
        }
    }
    for element in elements() {
        look(&element);
    }
}

/// The packages that the bootstrap is asked for by the plan of these words, or what was said instead.
fn packages(sandbox: &Sandbox, words: &[&str]) -> Result<BTreeSet<String>, String> {
    let output = sandbox.kiln(&[&["plan", "--json", "-n"], words].concat()).output().unwrap();
    if !output.status.success() {
        return Err(stderr(&output));
    }
    let plan: Plan = serde_json::from_slice(&output.stdout).unwrap();
    let asked = plan.steps.into_iter().find_map(|step| match step.action {
        Action::Bootstrap { packages, .. } => Some(packages),
        _ => None,
    });
    Ok(asked.unwrap().into_iter().collect())
}

fn set(names: &str) -> BTreeSet<String> {
    names.split_whitespace().map(str::to_owned).collect()
}

/// What an element adds to debian-minimal: for bookworm and stable on amd64, then on arm64.
const ADDED: [(&str, [&str; 4]); 24] = [
    (
        "base",
        [
            "apt-transport-https open-iscsi software-properties-common",
            "apt-transport-https open-iscsi",
            "apt-transport-https open-iscsi software-properties-common",
            "apt-transport-https open-iscsi",
        ],
    ),
    ("block-device-efi", ["", "", "", ""]),
    ("block-device-gpt", ["", "", "refused", "refused"]),
    ("block-device-mbr", ["", "", "refused", "refused"]),
    (
        "bootloader",
        [
            "efibootmgr grub-efi grub-pc grub-pc-bin",
            "efibootmgr grub-efi grub-pc grub-pc-bin",
            "efibootmgr grub-efi-arm64 grub-efi-arm64-bin",
            "efibootmgr grub-efi-arm64 grub-efi-arm64-bin",
        ],
    ),
    ("cache-url", ["", "", "", ""]),
    ("debian-minimal", ["", "", "", ""]),
    ("debootstrap", ["", "", "", ""]),
    ("dib-init-system", ["", "", "", ""]),
    ("dpkg", ["", "", "", ""]),
    ("element-manifest", ["", "", "", ""]),
    ("install-bin", ["", "", "", ""]),
    ("install-static", ["", "", "", ""]),
    ("install-types", ["", "", "", ""]),
    ("manifests", ["", "", "", ""]),
    ("modprobe", ["", "", "", ""]),
    ("package-installs", ["", "", "", ""]),
    ("pkg-map", ["", "", "", ""]),
    ("source-repositories", ["git", "git", "git", "git"]),
    ("svc-map", ["", "", "", ""]),
    ("sysprep", ["", "", "", ""]),
    ("systemd-boot", ["systemd-boot-efi", "systemd-boot-efi", "systemd-boot-efi", "systemd-boot-efi"]),
    ("uki", ["systemd-boot-efi", "systemd-boot-efi", "systemd-boot-efi", "systemd-boot-efi"]),
    (
        "vm",
        [
            "grub-pc",
            "grub-pc",
            "efibootmgr grub-efi-arm64 grub-efi-arm64-bin",
            "efibootmgr grub-efi-arm64 grub-efi-arm64-bin",
        ],
    ),
];

#[test]
fn every_element_can_be_planned_and_asks_for_these_packages() {
    let names: Vec<_> = elements().iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(names, ADDED.map(|(name, _)| name), "the table has every element");
    let sandbox = Sandbox::new();
    let machines = [("bookworm", "amd64"), ("stable", "amd64"), ("bookworm", "arm64"), ("stable", "arm64")];
    for (column, (release, arch)) in machines.into_iter().enumerate() {
        let release = format!("debian-minimal.release={release}");
        let debian =
            set("adduser busybox ca-certificates dbus-user-session gnupg2 krb5-locales libgpm2 libldap-common \
             libnss-systemd libsasl2-modules locales lsb-release netbase python3 sudo systemd-sysv systemd-timesyncd \
             usr-is-merged");
        let debian: BTreeSet<String> = debian.into_iter().chain([format!("linux-image-{arch}")]).collect();
        for (element, added) in ADDED {
            let found = packages(&sandbox, &["-a", arch, "--option", &release, "debian-minimal", element]);
            match added[column] {
                "refused" => assert!(found.unwrap_err().contains("does not work on"), "{element} {arch}"),
                added => {
                    let expected: BTreeSet<String> = debian.union(&set(added)).cloned().collect();
                    assert_eq!(found, Ok(expected), "{element}, {release}, {arch}");
                }
            }
        }
    }
}

#[test]
fn what_the_disk_is_made_of_brings_the_packages_that_start_from_it() {
    let sandbox = Sandbox::new();
    let ask = |description: &str| {
        let words = ["plan", "--json", "-n", "vm", "debian-minimal"];
        let output = sandbox.kiln(&words).env("DIB_BLOCK_DEVICE_CONFIG", description).output().unwrap();
        let plan: Plan = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)));
        let asked = plan.steps.into_iter().find_map(|step| match step.action {
            Action::Bootstrap { packages, .. } => Some(packages),
            _ => None,
        });
        let of_disks = ["btrfs-progs", "cryptsetup-initramfs", "lvm2", "xfsprogs"];
        asked.unwrap().into_iter().filter(|package| of_disks.contains(&package.as_str())).collect::<Vec<_>>().join(" ")
    };
    let disk = |nodes: &str| ask(&format!("- local_loop: {{ name: image0, size: 4GiB }}\n{nodes}"));
    let root = |base: &str, kind: &str| {
        format!("- mkfs: {{ name: mkfs_root, base: {base}, type: {kind}, mount: {{ mount_point: / }} }}\n")
    };
    assert_eq!(disk(&root("image0", "ext4")), "");
    assert_eq!(disk(&root("image0", "xfs")), "xfsprogs");
    assert_eq!(disk(&root("image0", "btrfs")), "btrfs-progs");
    let locked = "- luks: { name: crypt, base: image0, secret: disk }\n";
    assert_eq!(disk(&format!("{locked}{}", root("crypt", "ext4"))), "cryptsetup-initramfs");
    let group = "- lvm:
    name: lvm
    pvs: [{ name: pv, base: image0 }]
    vgs: [{ name: vg, base: [pv] }]
    lvs: [{ name: root, base: vg, extents: 100%FREE }]
";
    assert_eq!(disk(&format!("{group}{}", root("root", "ext4"))), "lvm2");
}
