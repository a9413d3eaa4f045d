//! The initial ram file system of installed kernels.
//!
//! In: a tree. Out: `/boot/initrd.img-VERSION` for every kernel in it, made by the tree's own generator once everything that
//! goes into it is there. Not here: finding them at boot time (`boot/`).

use camino::Utf8Path;

use super::configure;
use crate::distro::DistroError;
use crate::event::Events;

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
        configure::command(root, argv).env("INITRD", "Yes").check(events).map_err(|source| DistroError::Command {
            attempt: format!("cannot make the initramfs of kernel {version}"),
            source,
        })?;
    }
    Ok(())
}

/// Versions of the kernels in `/boot` whose modules are there too, sorted.
fn kernels(root: &Utf8Path) -> Vec<String> {
    let Ok(entries) = root.join("boot").read_dir_utf8() else { return Vec::new() };
    let mut versions: Vec<String> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().strip_prefix("vmlinuz-").map(str::to_owned))
        .filter(|version| root.join("lib/modules").join(version).exists() || root.join("usr/lib/modules").join(version).exists())
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
}
