//! The files of a file system.
//!
//! In: a window with a file system in it, a path. Out: what is there. Symbolic links are followed where the file system has them. Not
//! here: how the kinds of file systems keep files (`ext`, `fat`).

use std::io::Write;

use serde::Serialize;

use super::ext::Ext;
use super::fat::Fat;
use super::report::Filesystem;
use super::{InspectError, Window};

/// A file system that can be looked into.
pub enum Files {
    /// ext2, ext3, ext4.
    Ext(Ext),
    /// FAT12, FAT16, FAT32.
    Fat(Fat),
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A file with content.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A device, a pipe, a socket.
    Other,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its name in its folder.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Bytes.
    pub size: u64,
    /// Permission bits, where the file system has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<u16>,
    /// Owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// Where a symbolic link points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

impl Files {
    /// Whether file systems of this type can be looked into.
    pub fn reads(kind: &str) -> bool {
        matches!(kind, "ext2" | "ext3" | "ext4" | "vfat")
    }

    /// Opens the file system in `window`; `None` when its type is none that can be looked into.
    ///
    /// # Errors
    /// It is damaged, or uses what is not read here.
    pub fn open(window: &Window, filesystem: &Filesystem) -> Result<Option<Self>, InspectError> {
        match filesystem.kind {
            "ext2" | "ext3" | "ext4" => Ext::open(window).map(Self::Ext).map(Some),
            "vfat" => Ok(Fat::open(window)?.map(Self::Fat)),
            _ => Ok(None),
        }
    }

    /// The file at `path`, which begins with a slash.
    ///
    /// # Errors
    /// There is none, or the file system is damaged.
    pub fn stat(&self, path: &str) -> Result<Entry, InspectError> {
        match self {
            Self::Ext(ext) => ext.stat(path),
            Self::Fat(fat) => fat.stat(path),
        }
    }

    /// What is in the folder at `path`, sorted by name, without `.` and `..`.
    ///
    /// # Errors
    /// There is none, it is no folder, or the file system is damaged.
    pub fn list(&self, path: &str) -> Result<Vec<Entry>, InspectError> {
        let mut entries = match self {
            Self::Ext(ext) => ext.list(path)?,
            Self::Fat(fat) => fat.list(path)?,
        };
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }

    /// Copies the content of the file at `path` to `out`.
    ///
    /// # Errors
    /// There is none, it is no file, the file system is damaged, or `out` cannot be written.
    pub fn copy(&self, path: &str, out: &mut dyn Write) -> Result<(), InspectError> {
        match self {
            Self::Ext(ext) => ext.copy(path, out),
            Self::Fat(fat) => fat.copy(path, out),
        }
    }
}
