//! /etc/crypttab, and what Debian's initramfs needs beside it.
//!
//! In: a solved layout, which containers have a key file in the image. Out: the file's text (crypttab(5)): one line a container. Not
//! here: writing it into the tree.

use super::layout::Layout;

/// Where systemd looks for the key of the container `name` when nothing else is said.
pub fn key_file(name: &str) -> String {
    format!("/etc/cryptsetup-keys.d/{name}.key")
}

/// The lines of all containers. A key is the file of `key_file` when `has_key` says that the image has one; otherwise whoever starts
/// the machine is asked. `initramfs` is Debian's word for what has to be open before the root is mounted; systemd passes it over.
pub fn text(layout: &Layout, has_key: impl Fn(&str) -> bool) -> String {
    let line = |container: &super::layout::Luks| {
        let name = &container.name;
        let key = if has_key(name) { key_file(name) } else { "none".to_owned() };
        format!("{name} UUID={} {key} luks,initramfs\n", container.uuid)
    };
    layout.luks.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::disk::layout::{Device, Luks};

    #[test]
    fn a_key_of_the_image_is_named_and_without_one_somebody_is_asked() {
        let container = |name: &str| Luks {
            name: name.into(),
            device: Device::Disk { disk: "image0".into() },
            uuid: Uuid::from_u128(1),
            label: String::new(),
            header: 16 << 20,
            size: 1 << 30,
            cipher: "aes-xts-plain64".into(),
            key_bits: 512,
            sector_size: 512,
            secret: "disk".into(),
        };
        let layout = Layout { luks: vec![container("root"), container("data")], ..Layout::default() };
        assert_eq!(
            text(&layout, |name| name == "root"),
            "root UUID=00000000-0000-0000-0000-000000000001 /etc/cryptsetup-keys.d/root.key luks,initramfs\n\
             data UUID=00000000-0000-0000-0000-000000000001 none luks,initramfs\n"
        );
    }
}
