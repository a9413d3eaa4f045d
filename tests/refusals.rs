//! Wrong words are refused before the slow part, each with its own text.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::support::{KILN, Sandbox, stderr, stdout};

/// Runs a command that must be refused in under a second, and gives what it said.
fn refused(command: impl Fn() -> Command) -> String {
    let mut quickest = Duration::MAX;
    let mut last: Option<Output> = None;
    for _ in 0..5 {
        let begun = Instant::now();
        last = Some(command().output().unwrap());
        quickest = quickest.min(begun.elapsed());
        // Other tests use the processors too: the quickest counts.
        if quickest < Duration::from_secs(1) {
            break;
        }
    }
    let output = last.unwrap();
    assert!(!output.status.success(), "not refused: {}", stdout(&output));
    assert!(quickest < Duration::from_secs(1), "refused only after {quickest:?}");
    stderr(&output)
}

fn says(sandbox: &Sandbox, words: &[&str], texts: &[&str]) {
    let said = refused(|| sandbox.kiln(words));
    for text in texts {
        assert!(said.contains(text), "kiln {words:?} does not say `{text}` but:\n{said}");
    }
    let packages = sandbox.path().join("store/packages");
    let stored = std::fs::read_dir(packages).map_or(0, Iterator::count);
    assert_eq!(stored, 0, "something was downloaded");
}

#[test]
fn an_unknown_element_is_refused_with_the_nearest_names() {
    says(&Sandbox::new(), &["build", "vmm", "debian-minimal"], &["'vmm' not found", "did you mean", "vm"]);
    says(&Sandbox::new(), &["build", "vm", "debian-minimum"], &["'debian-minimum' not found", "debian-minimal"]);
}

#[test]
fn an_unknown_dependency_is_refused_with_who_asked_for_it() {
    let sandbox = Sandbox::new();
    let elements = sandbox.element("web", &[("element-deps", "no-such-thing\n")]);
    let path = elements.to_str().unwrap();
    says(&sandbox, &["build", "--elements-path", path, "web", "debian-minimal"], &["'no-such-thing'", "web"]);
}

#[test]
fn an_image_without_an_operating_system_is_refused() {
    says(&Sandbox::new(), &["build", "vm"], &["Please include an operating system element", "debian-minimal"]);
}

#[test]
fn two_elements_that_provide_the_same_thing_are_refused() {
    let words = ["build", "vm", "debian-minimal", "block-device-mbr", "block-device-gpt"];
    says(&Sandbox::new(), &words, &["block-device: already provided by", "block-device-mbr", "block-device-gpt"]);
}

#[test]
fn an_unknown_format_is_refused_with_the_known_ones() {
    says(&Sandbox::new(), &["build", "-t", "qcow3", "vm", "debian-minimal"], &["qcow3", "qcow2"]);
}

#[test]
fn an_output_that_cannot_be_written_is_refused() {
    let sandbox = Sandbox::new();
    says(&sandbox, &["build", "-o", "no/such/folder/image", "vm", "debian-minimal"], &["no/such/folder"]);
    std::fs::create_dir(sandbox.path().join("image.qcow2")).unwrap();
    says(&sandbox, &["build", "-o", "image", "vm", "debian-minimal"], &["image.qcow2"]);
}

#[test]
fn a_full_disk_is_refused_with_what_is_needed() {
    let sandbox = Sandbox::new();
    let said = refused(|| {
        // A small file system of the test's own, in a mount namespace of its own.
        let mut command = Command::new("unshare");
        let script = "mkdir -p small && mount -t tmpfs -o size=64m none small && exec \"$0\" build --store small/store vm debian-minimal";
        command.args(["-m", "sh", "-c", script, KILN]).current_dir(sandbox.path());
        command
    });
    assert!(said.contains("not enough space") && said.contains("--store"), "{said}");
}

#[test]
fn a_missing_host_tool_is_refused_with_the_package_that_has_it() {
    let sandbox = Sandbox::new();
    let own = sandbox.path().join("bin");
    std::fs::create_dir(&own).unwrap();
    std::fs::write(own.join("mke2fs"), "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(own.join("mke2fs"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let empty = sandbox.path().join("nothing");
    std::fs::write(&empty, "").unwrap();
    std::fs::set_permissions(&empty, std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = refused(|| {
        let mut command = Command::new("unshare");
        // One on the user's PATH does not count: a build does not see it.
        let script = "mount --bind \"$0\" \"$(command -v mke2fs)\" && \
             PATH=\"$2:$PATH\" exec \"$1\" build vm debian-minimal";
        command.args(["-m", "sh", "-c", script]).arg(&empty).arg(KILN).arg(&own).current_dir(sandbox.path());
        command.env("KILN_STORE", sandbox.path().join("store"));
        command
    });
    assert!(said.contains("`mke2fs`") && said.contains("apt-get install e2fsprogs"), "{said}");
}

#[test]
fn an_unknown_option_is_refused_with_the_nearest_one() {
    says(&Sandbox::new(), &["build", "--checksums", "vm", "debian-minimal"], &["--checksums", "--checksum"]);
}

#[test]
fn an_unknown_option_of_an_element_is_refused_with_the_nearest_one() {
    let words = ["build", "--option", "debian-minimal.relase=sid", "vm", "debian-minimal"];
    says(&Sandbox::new(), &words, &["no option 'relase'", "release"]);
    says(&Sandbox::new(), &["build", "--option", "relase", "vm", "debian-minimal"], &["ELEMENT.NAME=VALUE"]);
}

#[test]
fn a_foreign_architecture_is_refused() {
    let foreign = if std::env::consts::ARCH == "aarch64" { "amd64" } else { "arm64" };
    says(&Sandbox::new(), &["build", "-a", foreign, "vm", "debian-minimal"], &[foreign, "this machine is"]);
}

#[test]
fn an_element_that_does_not_work_on_the_architecture_is_refused_with_one_that_does() {
    for element in ["block-device-mbr", "block-device-gpt"] {
        let words = ["plan", "-a", "arm64", "vm", "debian-minimal", element];
        let texts = [
            &format!("'{element}' does not work on arm64"),
            "amd64, i386",
            "use block-device-efi or block-device-efi-4k or",
        ];
        says(&Sandbox::new(), &words, &texts);
    }
    let words = ["plan", "-a", "ppc64le", "vm", "debian-minimal", "block-device-efi"];
    says(&Sandbox::new(), &words, &["does not work on ppc64el", "use block-device-gpt or block-device-mbr"]);
}

#[test]
fn a_boot_loader_without_a_finalise_hook_is_shown_at_its_place() {
    let sandbox = Sandbox::new();
    let text = "const ELEMENT = #{\n    summary: \"s\",\n    boot_loader: \"grub\",\n};\n";
    let elements = sandbox.element("loader", &[("element.rhai", text)]);
    let words = ["plan", "--elements-path", elements.to_str().unwrap(), "loader", "debian-minimal"];
    says(&sandbox, &words, &["exactly one finalise hook", "the element has none", "loader/element.rhai:3"]);
}

#[test]
fn an_unknown_architecture_is_refused_with_the_known_ones() {
    says(&Sandbox::new(), &["plan", "-a", "amd46", "vm", "debian-minimal"], &["`amd46`", "-a", "amd64, arm64"]);
    let sandbox = Sandbox::new();
    let said = refused(|| {
        let mut command = sandbox.kiln(&["plan", "vm", "debian-minimal"]);
        command.env("ARCH", "vax");
        command
    });
    assert!(said.contains("ARCH is `vax`") && said.contains("amd64, arm64"), "{said}");
}

#[test]
fn an_output_that_is_a_folder_is_refused() {
    for name in ["out/", ".", "out/..", ".qcow2"] {
        says(&Sandbox::new(), &["plan", "-o", name, "vm", "debian-minimal"], &["names no file", "-o"]);
    }
}

#[test]
fn a_store_that_cannot_hold_layers_is_refused() {
    let sandbox = Sandbox::new();
    let said = refused(|| {
        // An overlay in a mount namespace of the test's own: no overlay can lie upon it.
        let mut command = Command::new("unshare");
        let script = "mkdir -p tmp && mount -t tmpfs none tmp && mkdir tmp/lower tmp/upper tmp/work tmp/store && \
             mount -t overlay -o lowerdir=tmp/lower,upperdir=tmp/upper,workdir=tmp/work none tmp/store && \
             exec \"$0\" build --store tmp/store/deep/below vm debian-minimal";
        command.args(["-m", "sh", "-c", script, KILN]).current_dir(sandbox.path());
        command
    });
    assert!(said.contains("on overlay") && said.contains("--store"), "{said}");
}

#[test]
fn a_layout_that_cannot_be_is_refused() {
    let sandbox = Sandbox::new();
    let config = "- local_loop: {name: image0}\n- partitioning: {base: image0, label: mbt, partitions: [{name: root, size: 100%}]}\n";
    let said = refused(|| {
        let mut command = sandbox.kiln(&["build", "vm", "debian-minimal"]);
        command.env("DIB_BLOCK_DEVICE_CONFIG", config);
        command
    });
    assert!(said.contains("mbt") && said.contains("gpt"), "{said}");
}

#[test]
fn an_image_too_small_for_its_partitions_is_refused() {
    says(&Sandbox::new(), &["build", "--image-size", "100MiB", "vm", "debian-minimal", "block-device-efi"], &["ESP"]);
}

#[test]
fn a_permission_that_does_not_exist_is_shown_at_its_place() {
    let sandbox = Sandbox::new();
    let text = "const ELEMENT = #{\n    summary: \"s\",\n    permissions: [\"pakages\"],\n};\n";
    let elements = sandbox.element("web", &[("element.rhai", text)]);
    let words = ["build", "--elements-path", elements.to_str().unwrap(), "web", "debian-minimal"];
    says(&sandbox, &words, &["pakages", "packages", "web/element.rhai:3"]);
}

#[test]
fn a_mistake_in_a_manifest_is_shown_at_its_place() {
    let sandbox = Sandbox::new();
    let elements =
        sandbox.element("web", &[("element.rhai", "const ELEMENT = #{\n    summary: \"s\",\n    depend: [],\n};\n")]);
    let path = elements.to_str().unwrap();
    let words = ["build", "--elements-path", path, "web", "debian-minimal"];
    says(&sandbox, &words, &["depend", "depends", "web/element.rhai:3"]);
}
