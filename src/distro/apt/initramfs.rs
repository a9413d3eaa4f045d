//! The initial ram file system of installed kernels.
//!
//! In: a tree. Out: `/boot/initrd.img-VERSION` for every kernel in it, made by the tree's own generator once everything that
//! goes into it is there. Not here: finding them at boot time (`boot/`).

use camino::Utf8Path;

use super::configure;
use super::loan::{self, Loan};
use crate::distro::DistroError;
use crate::event::Events;
use crate::sandbox::chroot::Chroot;
use crate::sandbox::command::{Command, PATH};

/// Generates the initramfs of every kernel in `root` with update-initramfs, or with dracut where that is all there is.
///
/// # Errors
/// When the generator fails.
pub fn generate(root: &Utf8Path, events: &Events) -> Result<(), DistroError> {
    let has = |path: &str| root.join(path).symlink_metadata().is_ok();
    let debian = has("usr/sbin/update-initramfs");
    if !debian && !has("usr/bin/dracut") {
        return Ok(());
    }
    for version in kernels(root) {
        let image = format!("/boot/initrd.img-{version}");
        let argv: Vec<String> = if debian {
            // -c refuses to touch an image it did not make; -u is for those that are there.
            let verb = if has(image.trim_start_matches('/')) { "-u" } else { "-c" };
            ["update-initramfs", verb, "-k", &version].map(str::to_owned).to_vec()
        } else {
            ["dracut", "--force", "--no-hostonly", &image, &version].map(str::to_owned).to_vec()
        };
        let command = configure::command(root, argv).env("INITRD", "Yes");
        if debian { lend(root, &version, command, events) } else { run(&version, &command, events) }?;
    }
    link_images(root).map_err(|source| DistroError::File {
        action: "make the initrd links in",
        path: root.to_owned(),
        source,
    })
}

/// Runs `command` with helpers that make it quicker.
fn lend(root: &Utf8Path, version: &str, command: Command, events: &Events) -> Result<(), DistroError> {
    let failed = |action| move |source| DistroError::File { action, path: root.to_owned(), source };
    let loan = Loan::begin(root).map_err(failed("lend helpers to"))?;
    let command = command.inside(&loan.reach(Chroot::new(root))).env("PATH", loan::before(PATH));
    run(version, &command, events)?;
    loan.end().map_err(failed("compress the initramfs of"))
}

fn run(version: &str, command: &Command, events: &Events) -> Result<(), DistroError> {
    command.check(events).map(drop).map_err(|source| DistroError::Command {
        attempt: format!("cannot make the initramfs of kernel {version}"),
        source,
    })
}

/// Where `vmlinuz` names a kernel, `initrd.img` names its initramfs: the kernel's postinst only links what it finds.
fn link_images(root: &Utf8Path) -> std::io::Result<()> {
    for folder in [root.to_owned(), root.join("boot")] {
        for ending in ["", ".old"] {
            let link = folder.join(format!("initrd.img{ending}"));
            let Ok(kernel) = folder.join(format!("vmlinuz{ending}")).read_link_utf8() else { continue };
            let image = kernel.as_str().replace("vmlinuz-", "initrd.img-");
            if image != kernel && link.symlink_metadata().is_err() && folder.join(&image).symlink_metadata().is_ok() {
                std::os::unix::fs::symlink(&image, &link)?;
            }
        }
    }
    Ok(())
}

/// Versions of the kernels in `/boot` whose modules are there too, sorted.
fn kernels(root: &Utf8Path) -> Vec<String> {
    let Ok(entries) = root.join("boot").read_dir_utf8() else { return Vec::new() };
    let mut versions: Vec<String> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().strip_prefix("vmlinuz-").map(str::to_owned))
        .filter(|version| {
            root.join("lib/modules").join(version).exists() || root.join("usr/lib/modules").join(version).exists()
        })
        .collect();
    versions.sort();
    versions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_without_kernel_or_generator_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        generate(root, &Events::none()).unwrap();
        std::fs::create_dir_all(root.join("boot")).unwrap();
        std::fs::create_dir_all(root.join("usr/lib/modules/6.1.0-50-amd64")).unwrap();
        std::fs::write(root.join("boot/vmlinuz-6.1.0-50-amd64"), "").unwrap();
        std::fs::write(root.join("boot/vmlinuz-without-modules"), "").unwrap();
        assert_eq!(kernels(root), ["6.1.0-50-amd64"]);
        generate(root, &Events::none()).unwrap();
    }

    #[test]
    fn the_initramfs_is_linked_beside_its_kernel() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        std::fs::create_dir_all(root.join("boot")).unwrap();
        std::fs::write(root.join("boot/initrd.img-6.1"), "").unwrap();
        std::os::unix::fs::symlink("boot/vmlinuz-6.1", root.join("vmlinuz")).unwrap();
        std::os::unix::fs::symlink("boot/vmlinuz-5.9", root.join("vmlinuz.old")).unwrap();
        link_images(root).unwrap();
        assert_eq!(root.join("initrd.img").read_link_utf8().unwrap(), "boot/initrd.img-6.1");
        assert!(root.join("initrd.img.old").symlink_metadata().is_err());
    }
}
