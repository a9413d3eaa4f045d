//! A stand-in for GRUB's questions about devices.
//!
//! `grub-mkconfig` asks `grub-probe` which device and file system a path is on, and `grub-mkrelpath` where a path is on its
//! file system. While an image is made there is no device, and everything is one folder: the layout has the answers.
//! In: the layout. Out: the text of one script for `/bin/sh` that answers as both programs. Not here: mounting it.

use std::fmt::Write;

use super::platform::{filesystem_module, grub_partition, grub_volume};
use crate::disk::layout::{FileSystem, Layout, Mounted, PartitionKind, Table};

/// The part that is the same for every layout. A device is called `UUID=…`: what a configuration without `GRUB_DEVICE` then
/// says after `root=` boots too. Any other device is unknown, as it is to the real program: menu entries keep their names.
const MACHINE: &str = r#"
fail() {
    echo "$0: $1" >&2
    exit 1
}

target=fs by=path
operands=
while [ $# -gt 0 ]; do
    case $1 in
        --target=*) target=${1#*=} ;;
        -t|--target) target=$2; shift ;;
        -t*) target=${1#-t} ;;
        -d|--device) by=device ;;
        -m|--device-map) shift ;;
        -V|--version) echo "grub-probe (kiln)"; exit 0 ;;
        -*) ;;
        *) operands="$operands$1
" ;;
    esac
    shift
done
[ -n "$operands" ] || fail "no path or device is given"

IFS='
'
set -f
for operand in $operands; do
    case $0 in
        *mkrelpath*) relative "$operand"; continue ;;
    esac
    if [ $by = device ]; then
        number=$(of_device "$operand") || fail "unknown device $operand"
    else
        number=$(of_path "$operand")
    fi
    answer "$number.$target" || fail "cannot tell the $target of $operand"
done
"#;

/// The script. It is called as `grub-probe` or as `grub-mkrelpath` (or `grub2-…`) and tells by its name.
pub(super) fn script(layout: &Layout) -> String {
    let mut text = String::from("#!/bin/sh\n# grub-probe and grub-mkrelpath of an image that is still a folder\n\n");
    let mut mounted: Vec<(usize, Mounted<'_>)> =
        (0..).zip(layout.mounts()).filter(|(_, mounted)| mounted.point.starts_with('/')).collect();
    // The longest mount point first: the first match is the right one.
    mounted.sort_by_key(|(_, mounted)| std::cmp::Reverse(mounted.point.len()));

    text.push_str("of_path() {\n    case $1/ in\n");
    for (number, mounted) in &mounted {
        let _ = writeln!(text, "        {}*) echo {number} ;;", quoted(&with_slash(mounted.point)));
    }
    text.push_str("    esac\n}\n\nof_device() {\n    case $1 in\n");
    for (number, mounted) in &mounted {
        let _ = writeln!(text, "        {}) echo {number} ;;", quoted(&device(mounted.filesystem)));
    }
    // A relative path never ends in a slash, that of a mount point is empty: `/vmlinuz` is joined to it.
    text.push_str("        *) return 1 ;;\n    esac\n}\n\nrelative() {\n    set -- \"${1%/}\"\n    case $1/ in\n");
    for (_, mounted) in &mounted {
        let point = mounted.point.trim_end_matches('/');
        // A subvolume is a folder of its file system.
        let above = mounted.subvolume.map_or_else(String::new, |subvolume| quoted(&format!("/{}", subvolume.name)));
        let _ = writeln!(text, "        {}*) echo {above}\"${{1#{}}}\" ;;", quoted(&with_slash(point)), quoted(point));
    }
    text.push_str("        *) echo \"$1\" ;;\n    esac\n}\n\nanswer() {\n    case $1 in\n");
    for (number, mounted) in &mounted {
        for (target, value) in answers(layout, mounted.filesystem) {
            let _ = writeln!(text, "        {number}.{target}) echo {} ;;", quoted(&value));
        }
    }
    // A wrong hint is worse than none: nobody knows yet which disk of which machine this will be.
    text.push_str("        *.cryptodisk_uuid|*.*hint|*.hints_string) ;;\n        *) return 1 ;;\n    esac\n}\n");
    text.push_str(MACHINE);
    text
}

fn answers(layout: &Layout, filesystem: &FileSystem) -> Vec<(&'static str, String)> {
    let mut answers = vec![
        ("device", device(filesystem)),
        ("fs", filesystem_module(&filesystem.kind).to_owned()),
        ("fs_uuid", identifier(filesystem)),
        ("fs_label", filesystem.label.clone()),
    ];
    let volume = grub_volume(layout, &filesystem.device);
    answers.push(("abstraction", if volume.is_some() { "lvm".to_owned() } else { String::new() }));
    let Some(disk) = layout.disk_of(&filesystem.device) else { return answers };
    let index = layout.disks.iter().position(|other| other.name == disk.name).unwrap_or(0);
    let drive = match (volume, grub_partition(layout, filesystem)) {
        (Some(volume), _) => volume,
        (None, Some(partition)) => format!("hd{index},{partition}"),
        (None, None) => format!("hd{index}"),
    };
    answers.push(("drive", format!("({drive})")));
    let partition = layout.partition_of(&filesystem.device);
    match (disk.table, partition) {
        (Some(Table::Mbr { disk_id }), Some(partition)) => {
            answers.push(("partmap", "msdos".to_owned()));
            answers.push(("partuuid", format!("{disk_id:08x}-{:02x}", partition.number)));
            if let PartitionKind::Mbr(kind) = partition.kind {
                answers.push(("msdos_parttype", format!("{kind:x}")));
            }
        }
        (Some(Table::Gpt { .. }), Some(partition)) => {
            answers.push(("partmap", "gpt".to_owned()));
            if let Some(guid) = partition.guid {
                answers.push(("partuuid", guid.to_string()));
            }
            if let PartitionKind::Gpt(kind) = partition.kind {
                answers.push(("gpt_parttype", kind.to_string()));
            }
        }
        _ => answers.push(("partmap", String::new())),
    }
    answers
}

/// The identifier as GRUB's `search --fs-uuid` reads it.
pub(super) fn identifier(filesystem: &FileSystem) -> String {
    if filesystem_module(&filesystem.kind) == "fat" {
        let (volume, ..) = filesystem.uuid.as_fields();
        return format!("{:04X}-{:04X}", volume >> 16, volume & 0xffff);
    }
    filesystem.uuid.to_string()
}

fn device(filesystem: &FileSystem) -> String {
    format!("UUID={}", identifier(filesystem))
}

fn with_slash(mount_point: &str) -> String {
    format!("{}/", mount_point.trim_end_matches('/'))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::super::platform::tests::{in_a_subvolume, layout, on_lvm};
    use super::*;
    use crate::event::Events;
    use crate::sandbox::command::Command;

    /// What the script says, run by `/bin/sh` under `name`; `None` when it fails.
    fn ask(layout: &Layout, name: &str, words: &[&str]) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, script(layout)).unwrap();
        let mut argv = vec!["/bin/sh".to_owned(), path.to_str().unwrap().to_owned()];
        argv.extend(words.iter().map(|word| (*word).to_owned()));
        let output = Command::new(argv).run(&Events::none()).unwrap();
        (output.status == 0).then(|| String::from_utf8(output.stdout).unwrap())
    }

    fn with_boot() -> Layout {
        let mut layout = layout("efi");
        let mut boot = layout.filesystems[0].clone();
        boot.mount_point = Some("/boot".into());
        boot.uuid = uuid::Uuid::from_u128(0x42);
        boot.label = "it's boot".into();
        layout.filesystems.insert(1, boot);
        layout
    }

    #[test]
    fn the_root_file_system_answers_for_every_path_of_an_image_without_others() {
        let layout = layout("mbr");
        let uuid = "850c575b-ed61-43b5-b81a-6a543090ba3c\n";
        for path in ["/", "/boot", "/boot/grub", "/usr/share/grub/unicode.pf2"] {
            assert_eq!(ask(&layout, "grub-probe", &["--target=fs_uuid", path]).as_deref(), Some(uuid));
            assert_eq!(ask(&layout, "grub-probe", &["-t", "device", path]), Some(format!("UUID={uuid}")));
        }
    }

    #[test]
    fn a_device_it_named_itself_answers_and_others_are_unknown() {
        let layout = layout("mbr");
        let device = "UUID=850c575b-ed61-43b5-b81a-6a543090ba3c";
        for (target, expected) in [
            ("fs", "ext2\n"),
            ("fs_label", "cloudimg-rootfs\n"),
            ("partmap", "msdos\n"),
            ("partuuid", "1234abcd-01\n"),
            ("drive", "(hd0,msdos1)\n"),
            ("abstraction", "\n"),
            ("compatibility_hint", ""),
            ("hints_string", ""),
        ] {
            let answer = ask(&layout, "grub-probe", &["--device", device, &format!("--target={target}")]);
            assert_eq!(answer.as_deref(), Some(expected), "{target}");
        }
        assert_eq!(ask(&layout, "grub-probe", &["--device", "LABEL=cloudimg-rootfs", "--target=fs"]), None);
        assert_eq!(ask(&layout, "grub-probe", &["--target=colour", "/"]), None);
        assert_eq!(ask(&layout, "grub-probe", &["--target=fs"]), None);
    }

    #[test]
    fn a_path_belongs_to_the_longest_mount_point_above_it() {
        let layout = with_boot();
        for (path, label) in [
            ("/boot/efi/EFI", "ESP\n"),
            ("/boot/grub", "it's boot\n"),
            ("/boot", "it's boot\n"),
            ("/bootstrap", "cloudimg-rootfs\n"),
            ("/usr", "cloudimg-rootfs\n"),
        ] {
            assert_eq!(ask(&layout, "grub-probe", &["--target=fs_label", path]).as_deref(), Some(label), "{path}");
        }
        assert_eq!(ask(&layout, "grub-probe", &["-t", "fs_uuid", "/boot/efi"]).as_deref(), Some("850C-575B\n"));
        assert_eq!(ask(&layout, "grub-probe", &["-t", "partmap", "/"]).as_deref(), Some("gpt\n"));
    }

    #[test]
    fn a_path_is_relative_to_its_own_file_system() {
        let layout = with_boot();
        for (path, relative) in [
            ("/boot/vmlinuz-6", "/vmlinuz-6\n"),
            ("/boot", "\n"),
            ("/boot/", "\n"),
            ("/", "\n"),
            ("/usr/share/x", "/usr/share/x\n"),
        ] {
            assert_eq!(ask(&layout, "grub-mkrelpath", &[path]).as_deref(), Some(relative), "{path}");
        }
    }

    #[test]
    fn a_path_in_a_subvolume_begins_with_its_name() {
        let layout = in_a_subvolume();
        for (path, relative) in [
            ("/", "/@\n"),
            ("/boot/vmlinuz-6", "/@/boot/vmlinuz-6\n"),
            ("/home/me", "/@home/me\n"),
            ("/boot/efi/EFI", "/EFI\n"),
        ] {
            assert_eq!(ask(&layout, "grub-mkrelpath", &[path]).as_deref(), Some(relative), "{path}");
        }
        assert_eq!(ask(&layout, "grub-probe", &["-t", "fs", "/home"]).as_deref(), Some("btrfs\n"));
    }

    #[test]
    fn a_logical_volume_is_lvm() {
        let layout = on_lvm();
        assert_eq!(ask(&layout, "grub-probe", &["-t", "abstraction", "/"]).as_deref(), Some("lvm\n"));
        assert_eq!(ask(&layout, "grub-probe", &["-t", "abstraction", "/boot/efi"]).as_deref(), Some("\n"));
        assert!(ask(&layout, "grub-probe", &["-t", "drive", "/"]).unwrap().starts_with("(lvmid/000000-"));
    }
}
