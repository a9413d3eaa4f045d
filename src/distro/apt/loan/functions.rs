//! Shorter ways for the hooks of initramfs-tools, which ask for the same facts thousands of times, each time with new programs.
//!
//! In: a tree and a kernel version. Out: a copy of `/usr/share/initramfs-tools/hook-functions` whose `copy_file` knows that a
//! module's path holds no symlink, and whose `modinfo` knows the firmware of each module, to be bound over the original for one
//! command. What comes out is the same, file for file: every answer given here was looked up in the tree before, every other
//! question goes the long way, and a `copy_file` that is not one of the known ones is left alone. Not here: running it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use camino::{Utf8Path, Utf8PathBuf};

use crate::store::packages::sha256;

/// Where the hooks look for their functions.
pub const ORIGINAL: &str = "usr/share/initramfs-tools/hook-functions";

/// How the function begins that is replaced.
const COPY_FILE: &str = "\ncopy_file() {\n";

/// Digests of the `copy_file` functions whose result for modules is known to be the one of [`FUNCTIONS`]:
/// initramfs-tools 0.142 (Debian 12).
const KNOWN: [&str; 1] = ["51544bd45a9588e55bc4e0360c984bffb32384200502abecb9dfd99d068d0aa1"];

/// `VERSION` is the kernel's, `FOLDER` holds a file with the firmware of each module that has any.
const FUNCTIONS: &str = r#"
copy_file() {
	case "$#:$1:$2" in
	*//* | */./* | */../*) ;;
	2:module:/lib/modules/VERSION/kernel/*.ko)
		[ -f "$2" ] || return 2
		[ -e "${DESTDIR}/usr$2" ] && return 1
		[ -d "${DESTDIR}/usr${2%/*}" ] || mkdir -p "${DESTDIR}/usr${2%/*}"
		[ "${verbose}" = "y" ] && echo "Adding module /usr$2"
		cp -pP "/usr$2" "${DESTDIR}/usr$2" || return $(($? + 1))
		return 0
		;;
	esac
	long_copy_file "$@"
}

modinfo() {
	case "$#:$1:$2:$3:$4:$5" in
	*//* | */./* | */../*) command modinfo "$@" ;;
	5:-k:VERSION:-F:firmware:/lib/modules/VERSION/kernel/*.ko)
		if [ -e "FOLDER$5" ]; then
			while read -r long_firmware; do printf '%s\n' "$long_firmware"; done <"FOLDER$5"
		elif ! [ -e "$5" ]; then
			command modinfo "$@"
		fi
		;;
	*) command modinfo "$@" ;;
	esac
}
"#;

/// Writes the copy and the modules' firmware below `folder`, which a command in the tree sees as `inside`. Returns the copy, or
/// nothing when this tree's hooks are not to be shortened.
///
/// # Errors
/// When the folder cannot be written.
pub fn write(root: &Utf8Path, version: &str, folder: &Utf8Path, inside: &str) -> io::Result<Option<Utf8PathBuf>> {
    let Some(original) = std::fs::read_to_string(root.join(ORIGINAL)).ok().filter(|text| is_known(text)) else {
        return Ok(None);
    };
    let merged = ["bin", "lib"].into_iter().all(|name| {
        let to = root.join(name).read_link_utf8().unwrap_or_default();
        to.as_str().trim_start_matches('/') == format!("usr/{name}")
    });
    if !merged || !plain(version) || version.is_empty() || version.contains('/') {
        return Ok(None);
    }
    let Some(firmware) = firmware(root, version) else { return Ok(None) };
    for (module, names) in firmware {
        let file = folder.join(module.trim_start_matches('/'));
        std::fs::create_dir_all(file.parent().unwrap_or(folder))?;
        std::fs::write(&file, names)?;
    }
    let copy = folder.join("hook-functions");
    let functions = FUNCTIONS.replace("VERSION", version).replace("FOLDER", inside);
    std::fs::write(&copy, original.replacen("\ncopy_file()", "\nlong_copy_file()", 1) + functions.as_str())?;
    Ok(Some(copy))
}

/// Whether the text has one `copy_file` and it is a known one.
fn is_known(text: &str) -> bool {
    let mut parts = text.split(COPY_FILE);
    let (Some(_), Some(after), None) = (parts.next(), parts.next(), parts.next()) else { return false };
    let Some((body, _)) = after.split_once("\n}\n") else { return false };
    KNOWN.contains(&sha256(format!("{}{body}\n}}\n", &COPY_FILE[1..]).as_bytes()).as_str())
}

/// No character that means something to the shell, in or outside of a pattern.
fn plain(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "._+-~/@:,".contains(c))
}

/// Whether the shell's `read -r` and `printf %s` give it back as it is.
fn one_line(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && !text.contains(char::is_control)
}

/// Path of each module, as modprobe names it, to the lines that modinfo prints for its firmware; modules without firmware are
/// left out. Nothing when there is a module that is not read here (compressed, a symlink, of another form).
fn firmware(root: &Utf8Path, version: &str) -> Option<BTreeMap<String, String>> {
    let top = format!("lib/modules/{version}/kernel");
    let mut all = BTreeMap::new();
    // Below the link /lib nothing is allowed to be one.
    for entry in walkdir::WalkDir::new(root.join("usr").join(&top)) {
        let entry = entry.ok()?;
        let path = Utf8Path::from_path(entry.path())?;
        let name = format!("/{top}/{}", path.strip_prefix(root.join("usr").join(&top)).ok()?);
        if entry.file_type().is_symlink() || !plain(&name) {
            return None;
        }
        if !entry.file_type().is_file() || !path.as_str().contains(".ko") {
            continue;
        }
        let facts = module_facts(&File::open(path).ok()?)?;
        let mut lines = String::new();
        for fact in facts.split(|byte| *byte == 0) {
            if let Some(name) = fact.strip_prefix(b"firmware=") {
                lines.push_str(std::str::from_utf8(name).ok().filter(|name| one_line(name))?);
                lines.push('\n');
            }
        }
        if !lines.is_empty() {
            all.insert(name, lines);
        }
    }
    Some(all)
}

/// The section `.modinfo` of a module, an ELF object of 64 bits in little-endian order (elf(5)): `NAME=VALUE` strings, each with
/// a NUL after it.
fn module_facts(file: &File) -> Option<Vec<u8>> {
    let read = |offset: u64, length: usize| -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, offset).ok().map(|()| bytes)
    };
    let number = |bytes: &[u8], at: usize, width: usize| -> Option<u64> {
        Some(bytes.get(at..at + width)?.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    };
    let head = read(0, 64)?;
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (width, count) = (number(&head, 58, 2)?, number(&head, 60, 2)?);
    let table = read(number(&head, 40, 8)?, usize::try_from(width * count).ok()?)?;
    let sections: Vec<&[u8]> = table.chunks_exact(usize::try_from(width).ok().filter(|width| *width >= 64)?).collect();
    let content =
        |section: &[u8]| read(number(section, 24, 8)?, usize::try_from(number(section, 32, 8)?.min(1 << 24)).ok()?);
    let names = content(sections.get(usize::try_from(number(&head, 62, 2)?).ok()?)?)?;
    let found = sections.iter().find(|section| {
        let at = number(section, 0, 4).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| names.get(at..)).is_some_and(|name| name.starts_with(b".modinfo\0"))
    })?;
    content(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module whose only content is the section `.modinfo`.
    fn module(facts: &[u8]) -> Vec<u8> {
        let names = b"\0.shstrtab\0.modinfo\0";
        let mut bytes = vec![0; 64];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        let table = 64 + names.len() + facts.len();
        bytes[40..48].copy_from_slice(&(table as u64).to_le_bytes());
        bytes[58] = 64;
        bytes[60] = 3;
        bytes[62] = 1;
        bytes.extend_from_slice(names);
        bytes.extend_from_slice(facts);
        for (name, offset, size) in [(0, 0, 0), (1, 64, names.len()), (11, 64 + names.len(), facts.len())] {
            let mut section = [0; 64];
            section[0] = name;
            section[24..32].copy_from_slice(&(offset as u64).to_le_bytes());
            section[32..40].copy_from_slice(&(size as u64).to_le_bytes());
            bytes.extend_from_slice(&section);
        }
        bytes
    }

    #[test]
    fn firmware_is_read_out_of_modules_and_anything_unusual_stops_the_reading() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        let kernel = root.join("usr/lib/modules/6.1/kernel/net");
        std::fs::create_dir_all(&kernel).unwrap();
        std::fs::write(kernel.join("a.ko"), module(b"license=GPL\0firmware=a/b*.bin\0\0firmware=c.fw\0")).unwrap();
        std::fs::write(kernel.join("b.ko"), module(b"license=GPL\0")).unwrap();
        let found = firmware(root, "6.1").unwrap();
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [("/lib/modules/6.1/kernel/net/a.ko".to_owned(), "a/b*.bin\nc.fw\n".to_owned())]
        );
        for (name, content) in [("c.ko.xz", b"\xfd7zXZ".to_vec()), ("d.ko", b"\x7fELF\x02\x01".to_vec())] {
            std::fs::write(kernel.join(name), content).unwrap();
            assert_eq!(firmware(root, "6.1"), None, "{name}");
            std::fs::remove_file(kernel.join(name)).unwrap();
        }
        std::os::unix::fs::symlink("a.ko", kernel.join("e.ko")).unwrap();
        assert_eq!(firmware(root, "6.1"), None);
    }

    #[test]
    fn unknown_functions_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        assert_eq!(write(root, "6.1", root, "/mnt").unwrap(), None);
        std::fs::create_dir_all(root.join("usr/share/initramfs-tools")).unwrap();
        std::fs::write(root.join(ORIGINAL), "\ncopy_file() {\n\techo other\n}\n").unwrap();
        assert_eq!(write(root, "6.1", root, "/mnt").unwrap(), None);
    }
}
