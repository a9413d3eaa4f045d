//! Tests of kiln's own elements: that they load, fit together and declare the packages that they should.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use super::packages::{self, PackageFacts};
use super::{Catalog, Element, HookKind, Settings, resolve, settings};
use crate::plan::Phase;
use crate::request::Request;
use crate::script::syntax;

fn folder() -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("elements")
}

fn image(elements: &[&str], arch: &str, variables: &[(&str, &str)]) -> (Vec<Element>, Settings) {
    let request = Request {
        elements: elements.iter().map(|name| (*name).to_string()).collect(),
        arch: arch.into(),
        variables: variables.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string())).collect(),
        ..Request::default()
    };
    let elements = resolve(&request, &Catalog::new(&[], &folder()).unwrap()).unwrap();
    let settings = settings(&request, &elements).unwrap();
    (elements, settings)
}

/// Every real name that `elements` declare, and the system's own.
fn packages_of(elements: &[Element], settings: &Settings, release: &str, arch: &str) -> BTreeSet<String> {
    let facts = PackageFacts {
        distribution: "debian".into(),
        family: "debian".into(),
        release: release.into(),
        arch: arch.into(),
        variables: settings.variables.clone(),
    };
    let phases = packages::resolve(elements, &facts).unwrap();
    let system =
        elements.iter().filter_map(|element| element.system.as_ref()).flat_map(|system| system.packages.clone());
    phases.values().flat_map(|lists| &lists.install).flat_map(|package| package.real.clone()).chain(system).collect()
}

fn set(names: &str) -> BTreeSet<String> {
    names.split_whitespace().map(str::to_string).collect()
}

#[test]
fn every_element_loads_says_what_it_is_for_and_has_a_readme() {
    let catalog = Catalog::new(&[], &folder()).unwrap();
    for name in catalog.names() {
        let element = catalog.load(name).unwrap().unwrap();
        assert!(!element.summary.is_empty(), "{name}");
        assert!(element.directory.join("README.md").is_file(), "{name}");
        assert!(element.hooks.iter().all(|hook| !matches!(hook.kind, HookKind::Shell { .. })), "{name}");
    }
    assert!(catalog.names().count() >= 22);
}

#[test]
fn every_test_of_an_element_can_be_read() {
    let mut count = 0;
    for file in walkdir::WalkDir::new(folder()).into_iter().map(Result::unwrap) {
        let path = Utf8Path::from_path(file.path()).unwrap();
        if path.extension() == Some("rhai") && path.parent().unwrap().file_name() == Some("tests") {
            let source = syntax::read(path.as_str(), &std::fs::read_to_string(path).unwrap()).unwrap();
            for function in &source.functions {
                let known = function.name.starts_with("test_") || function.name == "arrange";
                assert!(known && function.parameters == ["image"], "{path}");
                count += 1;
            }
        }
    }
    assert!(count > 20, "{count} tests found");
}

#[test]
fn a_virtual_machine_with_debian_has_these_elements() {
    let (elements, settings) = image(&["debian-minimal", "vm"], "amd64", &[]);
    let names: Vec<&str> = elements.iter().map(|element| element.name.as_str()).collect();
    let expected = set(
        "base block-device-mbr bootloader debian-minimal debootstrap dib-init-system dpkg install-bin install-types manifests \
         modprobe package-installs pkg-map sysprep vm",
    );
    assert_eq!(names.iter().map(|name| (*name).to_string()).collect::<BTreeSet<_>>(), expected);
    let expected: BTreeMap<&str, &str> = [
        ("DISTRO_NAME", "debian"),
        ("DIB_RELEASE", "stable"),
        ("DIB_INIT_SYSTEM", "systemd"),
        ("DIB_BLOCK_DEVICE", "mbr"),
        ("DIB_MANIFEST_IMAGE_DIR", "/etc/dib-manifests"),
    ]
    .into();
    for (name, value) in expected {
        assert_eq!(settings.variables[name], value, "{name}");
    }
    assert_eq!(settings.options["debian-minimal"]["release"], "stable");
    assert_eq!(settings.options["bootloader"]["virtual_terminal"], "tty0");
    let loaders: Vec<&str> = elements.iter().filter_map(|element| element.boot_loader.as_deref()).collect();
    assert_eq!(loaders, ["grub"]);
}

#[test]
fn an_empty_virtual_terminal_is_kept_and_an_empty_release_is_not() {
    let variables = [("DIB_BOOTLOADER_VIRTUAL_TERMINAL", ""), ("DIB_RELEASE", "")];
    let (_, settings) = image(&["debian-minimal", "vm"], "amd64", &variables);
    assert_eq!(settings.options["bootloader"]["virtual_terminal"], "");
    assert_eq!(settings.options["debian-minimal"]["release"], "stable");
}

#[test]
fn bookworm_gets_these_packages() {
    let (elements, settings) = image(&["debian-minimal", "vm"], "amd64", &[("DIB_RELEASE", "bookworm")]);
    let expected = set(
        "adduser apt-transport-https busybox ca-certificates dbus-user-session gnupg2 grub-pc krb5-locales libgpm2 \
         libldap-common libnss-systemd libsasl2-modules linux-image-amd64 locales lsb-release netbase open-iscsi python3 \
         software-properties-common sudo systemd-sysv systemd-timesyncd usr-is-merged",
    );
    assert_eq!(packages_of(&elements, &settings, "bookworm", "amd64"), expected);
}

#[test]
fn packages_follow_release_firmware_and_wishes() {
    let (elements, settings) = image(&["debian-minimal", "vm", "block-device-efi"], "amd64", &[]);
    let found = packages_of(&elements, &settings, "stable", "amd64");
    assert!(!found.contains("software-properties-common") && !found.contains("grub-pc"));
    assert!(found.is_superset(&set("efibootmgr grub-efi grub-pc-bin")));
    let (elements, settings) = image(&["debian-minimal", "vm"], "arm64", &[]);
    let found = packages_of(&elements, &settings, "stable", "arm64");
    assert!(found.is_superset(&set("linux-image-arm64 efibootmgr grub-efi-arm64 grub-efi-arm64-bin")), "{found:?}");
    assert!(!found.contains("grub-pc") && !found.contains("linux-image-amd64"));
    let (elements, settings) = image(&["debian-minimal", "vm"], "amd64", &[("DIB_SKIP_GRUB_PACKAGE_INSTALL", "True")]);
    assert!(!packages_of(&elements, &settings, "stable", "amd64").contains("grub-pc"));
}

#[test]
fn the_hooks_of_a_phase_have_the_places_that_they_have_in_dib() {
    let (elements, _) = image(&["debian-minimal", "vm"], "amd64", &[]);
    let mut hooks: Vec<_> = elements.iter().flat_map(|element| element.hooks.clone()).collect();
    super::hooks::sort(&mut hooks);
    let keys =
        |phase| hooks.iter().filter(|hook| hook.phase == phase).map(|hook| hook.key.as_str()).collect::<Vec<_>>();
    let expected = ["10-create-pkg-map-dir", "20-manifest-dir", "50-modprobe-blacklist", "99-enable-install-types"];
    assert_eq!(keys(Phase::ExtraData), expected);
    assert_eq!(keys(Phase::PreInstall), ["00-disable-apt-recommends", "01-install-bin", "04-dib-init-system"]);
    let expected = ["10-cloud-init", "10-debian-networking", "20-install-init-scripts", "80-modprobe-blacklist"];
    assert_eq!(keys(Phase::Install), expected);
    assert_eq!(keys(Phase::Finalise), ["50-bootloader", "99-clear-machine-id", "99-write-dpkg-manifest"]);
    assert_eq!(keys(Phase::Cleanup), ["01-copy-manifests-dir", "99-clean-up-cache"]);
}

#[test]
fn every_built_in_stage_has_the_place_that_its_work_has_in_dib() {
    let catalog = Catalog::new(&[], &folder()).unwrap();
    let mut found: Vec<String> = Vec::new();
    for name in catalog.names() {
        for hook in catalog.load(name).unwrap().unwrap().hooks {
            if let HookKind::BuiltIn { name } = hook.kind {
                found.push(format!("{name} {}/{}", hook.phase, hook.key));
            }
        }
    }
    found.sort();
    let expected = [
        "element-manifest extra-data/75-inject-element-manifest",
        "init-scripts install/20-install-init-scripts",
        "install-bin pre-install/01-install-bin",
        "install-static install/10-install-static-files",
        "install-types extra-data/99-enable-install-types",
        "manifests cleanup/01-copy-manifests-dir",
        "modprobe extra-data/50-modprobe-blacklist",
        "pkg-map extra-data/10-create-pkg-map-dir",
        "source-repositories extra-data/98-source-repositories",
        "svc-map extra-data/10-merge-svc-map-files",
    ];
    assert_eq!(found, expected);
    assert_eq!(found.len(), super::built_in::STAGES.len());
}

/// How many mounts at `/` there are in `value`.
fn roots(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(items) => items.iter().map(roots).sum(),
        serde_json::Value::Object(keys) => {
            usize::from(value["mount_point"] == "/") + keys.values().map(roots).sum::<usize>()
        }
        _ => 0,
    }
}

#[test]
fn every_disk_description_is_yaml_with_one_root() {
    let catalog = Catalog::new(&[], &folder()).unwrap();
    for name in catalog.names().filter(|name| name.starts_with("block-device-")) {
        let element = catalog.load(name).unwrap().unwrap();
        for arch in ["amd64", "ppc64el"] {
            let text = std::fs::read_to_string(element.block_device(arch).unwrap()).unwrap();
            let value: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
            assert_eq!(roots(&value), 1, "{name} {arch}");
        }
    }
}
