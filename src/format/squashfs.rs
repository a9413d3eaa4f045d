//! The tree as a squashfs, compressed with xz.
//!
//! In: the finished tree. Out: what `mksquashfs` makes of it. As in an archive, what is mounted on the tree is not in it, nor
//! `lost+found`. Not here: who reads it.

use camino::Utf8Path;

use super::FormatError;
use super::qemu_img::tool;
use super::shape::Shape;
use crate::event::Events;
use crate::sandbox::command::Command;
use crate::sandbox::mount::seeing_parts;

/// Makes the file system in the new file `to`.
pub fn write(shape: &Shape<'_>, to: &Utf8Path, events: &Events) -> Result<(), FormatError> {
    // It would add to a file that exists.
    match std::fs::remove_file(to) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(FormatError::io("replace", to)(error));
        }
        _ => {}
    }
    let words = ["mksquashfs", shape.tree.as_str(), to.as_str(), "-comp", "xz", "-noappend", "-no-recovery"];
    let mut words: Vec<String> = words.into_iter().chain(["-no-progress", "-quiet"]).map(str::to_owned).collect();
    words.push("-e".to_owned());
    words.extend(shape.lost_and_found());
    let reading = FormatError::io("read", shape.tree);
    let make = || {
        // The time of the file system, and the latest of its files.
        let time = shape.latest().map_err(reading)?.to_string();
        Command::new(words).env("SOURCE_DATE_EPOCH", time).check(events).map_err(tool("squashfs")).map(drop)
    };
    seeing_parts(shape.tree, shape.parts, make).map_err(FormatError::io("hide what is mounted on", shape.tree))?
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use camino::Utf8PathBuf;

    use super::*;
    use crate::format::host::find_program;

    #[test]
    fn unsquashfs_restores_the_tree_without_mounts() {
        if !crate::sandbox::host::is_root() || find_program("mksquashfs").is_none() {
            writeln!(std::io::stderr(), "skipped: needs root and mksquashfs").unwrap();
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        let tree = root.join("tree");
        for folder in ["etc", "lost+found", "mnt", "a b/lost+found"] {
            std::fs::create_dir_all(tree.join(folder)).unwrap();
        }
        std::fs::write(tree.join("etc/hostname"), "baked\n").unwrap();
        std::os::unix::fs::symlink("etc", tree.join("link")).unwrap();
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(tree.join("etc/hostname").as_str(), "user.kiln", b"kept", flags).unwrap();
        let run = |words: &[&str]| {
            let output = Command::new(words.iter().copied()).check(&Events::none()).unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let write = |name: &str, time| -> Utf8PathBuf {
            let to = root.join(name);
            let parts = [tree.join("a b")];
            let shape = Shape { tree: &tree, parts: &parts, top: ".", time, last: None };
            let work = || write(&shape, &to, &Events::none());
            // Something is mounted meanwhile.
            crate::sandbox::mount::seeing_only(root, &[], || {
                run(&["mount", "-t", "tmpfs", "none", tree.join("mnt").as_str()]);
                std::fs::write(tree.join("mnt/of-the-host"), "").unwrap();
                run(&["mount", "-t", "tmpfs", "none", tree.join("a b").as_str()]);
                std::fs::create_dir(tree.join("a b/lost+found")).unwrap();
                std::fs::write(tree.join("a b/part"), "of the image").unwrap();
                work().unwrap();
            })
            .unwrap();
            to
        };
        let one = write("one.squash", Some(1_700_000_000));
        let two = write("two.squash", Some(1_700_000_000));
        assert_eq!(std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
        assert!(run(&["unsquashfs", "-s", one.as_str()]).contains("Compression xz"));
        let out = root.join("out");
        run(&["unsquashfs", "-q", "-n", "-d", out.as_str(), one.as_str()]);
        let listed = run(&["sh", "-c", "cd $0 && find . | sort", out.as_str()]);
        let expected = [".", "./a b", "./a b/part", "./etc", "./etc/hostname", "./link", "./mnt"];
        assert_eq!(listed.lines().collect::<Vec<_>>(), expected);
        let mut value = [0; 16];
        let length = rustix::fs::getxattr(out.join("etc/hostname").as_str(), "user.kiln", &mut value[..]).unwrap();
        assert_eq!(&value[..length], b"kept");
    }
}
