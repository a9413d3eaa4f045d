//! Whether an initramfs would come out as the one before.
//!
//! In: a tree, and what mkinitramfs(8) was asked. Out: a digest; two that are equal mean that the second run would read what the
//! first one read. apt has an initramfs made twice when a kernel comes with the tools: for the kernel, and again for the tools. The
//! files are not read: a file that changed has another time of change (`st_ctime`), which nobody sets. Not here: keeping the
//! initramfs (`loan`).

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use std::path::Path;

use camino::Utf8Path;
use walkdir::WalkDir;

/// What is no part of an initramfs: what the kernel shows, what is fleeting, what package managers note for themselves, text to be
/// read.
const APART: [&str; 12] = [
    "dev",
    "proc",
    "run",
    "sys",
    "tmp",
    "var/cache",
    "var/lib/dpkg",
    "var/log",
    "var/tmp",
    "usr/share/doc",
    "usr/share/info",
    "usr/share/man",
];

/// What mkinitramfs makes.
const MADE: &str = "boot/initrd.img-";

/// Variables that differ between a package's own script and a trigger, and in every process.
const OWN: [&str; 6] = ["DPKG_", "DEB_MAINT_PARAMS=", "_=", "PWD=", "OLDPWD=", "SHLVL="];

/// The digest of `root` as it is now, for a run whose words and variables `asked` holds, a line each.
///
/// # Errors
/// When the tree cannot be walked.
pub fn digest(root: &Utf8Path, asked: &str) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut lines: Vec<&str> = asked.lines().filter(|line| !OWN.iter().any(|own| line.starts_with(own))).collect();
    lines.sort_unstable();
    for line in lines {
        hasher.update(line.as_bytes());
        hasher.update(b"\n");
    }
    let inside = |path: &Path| path.strip_prefix(root).map(Path::to_owned).unwrap_or_default();
    let apart = |path: &Path| APART.iter().any(|apart| path == Path::new(apart));
    let walk = WalkDir::new(root).sort_by_file_name().into_iter();
    for entry in walk.filter_entry(|entry| !apart(&inside(entry.path()))) {
        let entry = entry?;
        let (path, data) = (inside(entry.path()), entry.metadata()?);
        if path.as_os_str().as_bytes().starts_with(MADE.as_bytes()) {
            continue;
        }
        hasher.update(path.as_os_str().as_bytes());
        hasher.update(&[0]);
        for number in [data.mode(), data.uid(), data.gid()] {
            hasher.update(&number.to_le_bytes());
        }
        // A folder changes when something fleeting comes and goes in it; what is in it counts by itself.
        if !data.is_dir() {
            hasher.update(&data.ino().to_le_bytes());
            hasher.update(&data.size().to_le_bytes());
            for time in [data.ctime(), data.ctime_nsec()] {
                hasher.update(&time.to_le_bytes());
            }
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_into_an_initramfs_counts_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        for path in ["etc", "boot", "var/lib/dpkg", "tmp"] {
            std::fs::create_dir_all(root.join(path)).unwrap();
        }
        std::fs::write(root.join("etc/modules"), "loop\n").unwrap();
        let now = |asked: &str| digest(root, asked).unwrap();
        let first = now("-o  6.1\nPATH=/bin\nDPKG_MAINTSCRIPT_NAME=postinst");
        for path in ["boot/initrd.img-6.1", "var/lib/dpkg/status", "tmp/x"] {
            std::fs::write(root.join(path), "made meanwhile").unwrap();
        }
        assert_eq!(now("-o  6.1\nDPKG_MAINTSCRIPT_NAME=trigger\nPATH=/bin"), first);
        assert_ne!(now("-o  6.1\nPATH=/usr/bin"), first);
        assert_ne!(now("-o  6.2\nPATH=/bin"), first);
        // The same length, and the time of before.
        let modules = root.join("etc/modules");
        let time = modules.metadata().unwrap().modified().unwrap();
        std::fs::write(&modules, "fuse\n").unwrap();
        std::fs::File::options().write(true).open(&modules).unwrap().set_modified(time).unwrap();
        let second = now("-o  6.1\nPATH=/bin");
        assert_ne!(second, first);
        std::os::unix::fs::symlink("x", root.join("etc/link")).unwrap();
        assert_ne!(now("-o  6.1\nPATH=/bin"), second);
    }
}
