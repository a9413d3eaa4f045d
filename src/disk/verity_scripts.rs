//! What Debian's initramfs needs to open a verified root: initramfs-tools has nothing for it, other than systemd's and dracut's.
//!
//! Out: files of the image and their text. The script reads the same words of the kernel's command line as
//! systemd-veritysetup-generator(8) does. Not here: those words (`boot/`), `veritysetup` itself (a package), writing into the tree.

use super::layout::Layout;

/// Executable files: the path inside the image, the text.
pub const SCRIPTS: [(&str, &str); 2] = [
    ("/etc/initramfs-tools/hooks/kiln-verity", include_str!("verity_scripts/hook")),
    ("/etc/initramfs-tools/scripts/local-block/kiln-verity", include_str!("verity_scripts/local-block")),
];

/// Whether the initramfs of an image with this layout has to open anything.
pub fn are_needed(layout: &Layout) -> bool {
    layout.verity.iter().any(|verity| layout.verified_name(verity).is_some())
}

#[cfg(test)]
mod tests {
    use crate::disk::{examples, fstab};

    #[test]
    fn only_what_the_command_line_can_name_is_opened_by_the_initramfs() {
        let mut layout = examples::named("verity").layout();
        assert!(super::are_needed(&layout));
        assert!(fstab::text(&layout).contains("/dev/mapper/root / squashfs ro 0 0\n"));
        let root = layout.filesystems.iter_mut().find(|filesystem| filesystem.kind == "squashfs").unwrap();
        root.mount_point = Some("/srv".to_owned());
        assert!(!super::are_needed(&layout));
        assert!(fstab::text(&layout).contains("/dev/mapper/root-verity /srv squashfs ro 0 0\n"));
    }
}
