//! Why an image was not made bootable.

use camino::Utf8PathBuf;

use crate::sandbox::command::CommandError;

/// Why an image was not made bootable.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// No such loader.
    #[error("unknown boot loader `{kind}`; kiln installs `grub`, `systemd-boot` and `uki`")]
    UnknownLoader {
        /// The name given.
        kind: String,
    },
    /// No such architecture.
    #[error("cannot install a boot loader for the architecture `{arch}`; it is known for amd64, i386 and arm64")]
    UnknownArchitecture {
        /// The name given.
        arch: String,
    },
    /// The layout has no file system with the kernel.
    #[error("cannot install a boot loader: no file system of the block-device layout is mounted at `/`")]
    NoRoot,
    /// The boot loader cannot read its files.
    #[error(
        "the folder /boot is in the encrypted container `{container}`, which GRUB would have to be given the passphrase of; mount a file \
         system on a partition of its own at /boot, or use the element systemd-boot"
    )]
    Encrypted {
        /// The container.
        container: String,
    },
    /// The boot loader's entries have no room for a root hash.
    #[error(
        "the file system of {mount_point} is verified by `{node}`, and GRUB's menu, which the image's own grub-mkconfig writes, does not \
         tell the kernel the root hash; use the element systemd-boot or uki"
    )]
    Verified {
        /// What is verified.
        mount_point: String,
        /// By which node.
        node: String,
    },
    /// Firmware would not find any boot code.
    #[error(
        "cannot install a boot loader on disk `{disk}` ({arch}): {reason}; use the element block-device-mbr, block-device-gpt or \
         block-device-efi, or add to the layout a partition of type EF02, or one of type EF00 mounted at /boot/efi"
    )]
    NoPlace {
        /// The disk.
        disk: String,
        /// The image's architecture.
        arch: String,
        /// What is missing.
        reason: &'static str,
    },
    /// A file of the loader's packages is not in the image.
    #[error(
        "cannot install the boot loader: the image has no {path}; add the element `bootloader`, or install the package {package} (its \
         name in Debian)"
    )]
    MissingPackage {
        /// The path inside the image.
        path: String,
        /// Debian's package.
        package: String,
    },
    /// GRUB's files would leave the tree.
    #[error(
        "cannot write GRUB's files below {path}: it is a symbolic link or no folder; make it a folder of the image"
    )]
    NotAFolder {
        /// The path on the host.
        path: Utf8PathBuf,
    },
    /// One of GRUB's own tools failed.
    #[error("cannot {attempt}: {source}")]
    Tool {
        /// What was attempted.
        attempt: &'static str,
        /// How it ended.
        source: CommandError,
    },
    /// A file could not be read or written.
    #[error("cannot {attempt} {path}: {source}")]
    File {
        /// `read`, `write`, …
        attempt: &'static str,
        /// Which file.
        path: Utf8PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of GRUB is not what GRUB documents.
    #[error("cannot use {path}: {reason}; is its package in the image whole?")]
    Malformed {
        /// Which file.
        path: Utf8PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The image holds no partition table.
    #[error("cannot write boot code into {image}: its first sector holds no partition table")]
    NoTable {
        /// The raw image.
        image: Utf8PathBuf,
    },
    /// The core image is larger than its place.
    #[error("GRUB's core image has {size} bytes and {place} of disk `{disk}` has room for {room}; {remedy}")]
    TooLarge {
        /// Bytes of the core image.
        size: u64,
        /// Bytes of its place.
        room: u64,
        /// What the place is.
        place: &'static str,
        /// The disk.
        disk: String,
        /// What to change.
        remedy: &'static str,
    },
}

impl BootError {
    /// For `map_err`: the file and what was attempted with it.
    pub(super) fn file(attempt: &'static str, path: impl Into<Utf8PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { attempt, path, source }
    }
}
