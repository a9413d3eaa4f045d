//! Makes a disk boot.
//!
//! In: a finished tree that holds a boot loader's packages and its configuration, and the solved [`Layout`]. Out: the loader's
//! files in the tree, and boot code in the raw image. Two moments: [`configure`] in the tree, before it is written to disk,
//! then [`install`] on the raw image. Neither needs a block device, a mount or the loader's own installer.
//! Not here: which packages bring the loader and what `/etc/default/grub` says (elements do), partition tables (`disk/`).

mod bios;
mod error;
mod files;
mod grub;
mod pe;
mod platform;
mod probe;
mod root;
mod root_hash;
mod signed;
mod systemd;

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

pub use error::BootError;

use crate::disk::layout::Layout;
use crate::event::Events;
use crate::sandbox::chroot::Chroot;
use systemd::Entries;

/// What [`configure`] made, for [`install`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootFiles {
    /// Boot code for a PC BIOS; `None` when the image boots by UEFI only.
    pub bios: Option<BiosFiles>,
    /// Paths inside the image of the UEFI programs that were made.
    pub efi: Vec<Utf8PathBuf>,
}

/// Boot code for a PC BIOS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BiosFiles {
    /// Name of the disk it belongs on.
    pub disk: String,
    /// Host path of GRUB's first sector, 512 bytes.
    pub boot_image: Utf8PathBuf,
    /// Host path of GRUB's core image; its first sector is `diskboot.img`.
    pub core_image: Utf8PathBuf,
}

/// Writes the loader's configuration and modules into the tree and makes its core images.
///
/// `kind` is `grub`, `systemd-boot` or `uki`; `arch` is a DIB name (`amd64`, `arm64`, `i386`); `work` is a folder that lives until [`install`] has run.
/// Identifiers of `layout` must be final, offsets and sizes need not be.
///
/// # Errors
/// When the loader is unknown, its packages are not in the image, the layout has no place for it, or one of its tools fails.
pub fn configure(
    kind: &str,
    chroot: &Chroot,
    layout: &Layout,
    arch: &str,
    work: &Utf8Path,
    events: &Events,
) -> Result<BootFiles, BootError> {
    match kind {
        "grub" | "grub2" => grub::configure(chroot, layout, arch, work, events),
        "systemd-boot" => systemd::configure(chroot.root(), layout, arch, Entries::Type1, events),
        "uki" => systemd::configure(chroot.root(), layout, arch, Entries::Unified, events),
        _ => Err(BootError::UnknownLoader { kind: kind.to_owned() }),
    }
}

/// Writes boot code into the raw image `image` of the disk named `disk`, which already holds its partition table.
///
/// The table, the disk id and every partition but a BIOS boot partition keep their bytes. A disk without BIOS boot code is
/// left as it is.
///
/// # Errors
/// When the code does not fit, the table is not the one of `layout`, or a file cannot be read or written.
pub fn install(files: &BootFiles, layout: &Layout, disk: &str, image: &Utf8Path) -> Result<(), BootError> {
    match &files.bios {
        Some(bios) if bios.disk == disk => bios::install(bios, layout, image),
        _ => Ok(()),
    }
}

/// Puts the root hashes of verified devices, by their names, into the boot entries on the raw image `image` of the disk named `disk`,
/// which [`configure`] wrote without them.
///
/// # Errors
/// When the image cannot be read or written.
pub fn install_root_hashes(
    hashes: &BTreeMap<String, String>,
    layout: &Layout,
    disk: &str,
    image: &Utf8Path,
) -> Result<(), BootError> {
    root_hash::fill(layout, disk, image, hashes)
}
