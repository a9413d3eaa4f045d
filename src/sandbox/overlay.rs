//! Overlay mounts: a tree made of layers.
//!
//! In: layer folders, the lowest first. Out: one mounted tree, writable when there is a folder for what is written.
//! See the kernel's `Documentation/filesystems/overlayfs.rst`. Not here: which layers (`store/`).

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// A mounted tree; unmounted when dropped.
#[derive(Debug)]
pub struct Overlay {
    at: Utf8PathBuf,
}

/// Where an overlay's changes go.
#[derive(Clone, Copy, Debug)]
pub struct Upper<'a> {
    /// Receives what is written.
    pub layer: &'a Utf8Path,
    /// Scratch space on the same file system.
    pub scratch: &'a Utf8Path,
}

/// Whether the file system of `folder` holds the attributes by which overlayfs marks what a layer hides.
pub fn holds_layers(folder: &Utf8Path) -> bool {
    let probe = folder.join("probe");
    let marked = std::fs::create_dir(&probe).is_ok()
        && rustix::fs::setxattr(probe.as_std_path(), "trusted.overlay.opaque", b"y", rustix::fs::XattrFlags::empty())
            .is_ok();
    let _ = std::fs::remove_dir(&probe);
    marked
}

impl Overlay {
    /// Mounts `lower` (names of folders in `layers`, the lowest first) at `at`.
    ///
    /// # Errors
    /// When the kernel refuses: no overlayfs, or a file system that cannot hold layers.
    pub fn mount(layers: &Utf8Path, lower: &[String], upper: Option<Upper<'_>>, at: &Utf8Path) -> io::Result<Self> {
        // All options of a mount share one page: names relative to their folder leave room for some 200 layers.
        std::env::set_current_dir(layers)?;
        let mut names: Vec<&str> = lower.iter().map(String::as_str).rev().collect();
        // An overlay without an upper layer needs two lower ones.
        if names.len() == 1 && upper.is_none() {
            mount(Some(names[0]), at.as_str(), None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
            return Ok(Self { at: at.to_owned() });
        }
        let mut options = format!("lowerdir={}", std::mem::take(&mut names).join(":"));
        if let Some(Upper { layer, scratch }) = upper {
            // `volatile`: unmounting must not write everything to disk; what is half-written when the machine stops is not used.
            options.push_str(&format!(",upperdir={layer},workdir={scratch},volatile"));
        }
        // index and redirect_dir tie a layer to the very folders below it; layers here are moved and shared.
        options.push_str(",index=off,redirect_dir=off,metacopy=off,xino=off");
        mount(Some("overlay"), at.as_str(), Some("overlay"), MsFlags::empty(), Some(options.as_str()))?;
        Ok(Self { at: at.to_owned() })
    }

    /// Shows `folder` at `at`, writable: a tree of one layer that is being made.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn bind(folder: &Utf8Path, at: &Utf8Path) -> io::Result<Self> {
        mount(Some(folder.as_str()), at.as_str(), None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
        Ok(Self { at: at.to_owned() })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Utf8Path {
        &self.at
    }

    /// Unmounts it and says so when that fails: a layer is complete only then.
    ///
    /// # Errors
    /// When something still uses the tree.
    pub fn unmount(self) -> io::Result<()> {
        let at = self.at.clone();
        std::mem::forget(self);
        umount2(at.as_str(), MntFlags::empty()).map_err(io::Error::from)
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        let _ = umount2(self.at.as_str(), MntFlags::MNT_DETACH);
    }
}
