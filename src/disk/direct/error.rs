//! Why an image was not written.

use camino::{Utf8Path, Utf8PathBuf};

use crate::disk::image_size::UsageError;
use crate::disk::layout::FileSystem;
use crate::disk::size::human;
use crate::sandbox::command::CommandError;

/// Why an image was not written.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The layout has no such disk.
    #[error("the layout has no disk `{disk}`")]
    NoDisk {
        /// Its name.
        disk: String,
    },
    /// A type that cannot be written.
    #[error("mkfs `{node}`: {kind} cannot be written in this version; use one of {supported}")]
    Unsupported {
        /// The node.
        node: String,
        /// Its type.
        kind: String,
        /// What works.
        supported: &'static str,
    },
    /// A kind of device that cannot be written.
    #[error("`{node}`: {what} cannot be written in this version; {instead}")]
    UnsupportedDevice {
        /// The node.
        node: String,
        /// What it is.
        what: &'static str,
        /// What works.
        instead: &'static str,
    },
    /// The content is larger than its file system.
    #[error(
        "the content of {mount_point} does not fit: it takes {} and its file system `{node}` has {}; make the image at least {} larger with --image-size, or the partition if it has a fixed size",
        human(*.used), human(*.size), human(*.missing)
    )]
    DoesNotFit {
        /// The node.
        node: String,
        /// Where it is mounted.
        mount_point: String,
        /// Bytes of the content.
        used: u64,
        /// Bytes of the file system.
        size: u64,
        /// Bytes by which it should grow.
        missing: u64,
    },
    /// The operating system refused something.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was attempted.
        what: &'static str,
        /// On which file.
        path: Utf8PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A mount point leads out of the tree.
    #[error(
        "mount point {point}: {path} in the image is not a folder; remove it from the image or choose another mount point"
    )]
    NotAFolder {
        /// The mount point.
        point: String,
        /// The part of it that is something else.
        path: Utf8PathBuf,
    },
    /// FAT knows folders and files only.
    #[error("{path} cannot be stored on the FAT file system `{node}`: {why}")]
    NotForFat {
        /// The file.
        path: Utf8PathBuf,
        /// The node.
        node: String,
        /// Why.
        why: String,
    },
    /// Writing the partition table failed.
    #[error("cannot write the partition table of {image}: {source}")]
    Gpt {
        /// The image.
        image: Utf8PathBuf,
        /// Why.
        source: Box<gpt::GptError>,
    },
    /// A partition or file system has a shape that its format cannot hold.
    #[error("mkfs `{node}`: {why}")]
    Shape {
        /// The node.
        node: String,
        /// Why.
        why: String,
    },
    /// The passphrase of a container was not given.
    #[error("`{node}` is opened by the secret `{secret}`, which was not given; add --secret {secret}=FILE")]
    NoSecret {
        /// The container.
        node: String,
        /// The secret's identifier.
        secret: String,
    },
    /// Something of a volume or container could not be written.
    #[error("cannot write {what} of `{node}`: {source}")]
    Format {
        /// The node.
        node: String,
        /// What of it.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// Btrfs tells file systems apart by their identifiers, whatever they are on.
    #[error(
        "mkfs `{node}`: a block device of this machine has the identifier {uuid} already, so an image of the same seed is attached; detach it (`lsblk -o NAME,UUID` shows it), or choose another --seed"
    )]
    Twin {
        /// The node.
        node: String,
        /// The identifier of both.
        uuid: uuid::Uuid,
    },
    /// A file system's tool failed.
    #[error("cannot make the file system `{node}`: {source}")]
    Mkfs {
        /// The node.
        node: String,
        /// Why.
        source: CommandError,
    },
    /// No hook can be shown a block device here.
    #[error("a hook wants real block devices, and this machine has none for it: {why}")]
    NoLoop {
        /// What is missing, and what to do.
        why: String,
    },
    /// The kernel has no driver.
    #[error(
        "mkfs `{node}`: a hook wants it mounted, and this machine's kernel cannot mount {kind}; load its module {kind}, build on another host, or use ext4"
    )]
    NoDriver {
        /// The node.
        node: String,
        /// Its type.
        kind: String,
    },
    /// What hooks are shown, they may write to.
    #[error(
        "mkfs `{node}`: a hook wants it mounted at /, and nobody can write to {kind}; write the image directly (--disk-writer direct), or use a file system that can be written to"
    )]
    ReadOnlyRoot {
        /// The node.
        node: String,
        /// Its type.
        kind: String,
    },
    /// A volume or container cannot be shown to hooks.
    #[error(
        "mkfs `{node}`: a hook wants it mounted, and it is on {what}: {why}; write the image directly (--disk-writer direct), or put it on a partition"
    )]
    NoMapper {
        /// The node.
        node: String,
        /// What it is on.
        what: &'static str,
        /// Why it cannot be shown.
        why: &'static str,
    },
    /// A partition could not be announced.
    #[error("cannot make the partition `{node}` of `{disk}` a block device: {source}")]
    Partition {
        /// The partition.
        node: String,
        /// Its disk.
        disk: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file system could not be mounted.
    #[error("cannot mount the file system `{node}` on {device}: {source}")]
    Mount {
        /// The node.
        node: String,
        /// Where it is.
        device: Utf8PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The tree could not be measured.
    #[error(transparent)]
    Usage(#[from] UsageError),
}

impl DiskError {
    /// Wraps the error of `what` was attempted on `path`.
    pub(in crate::disk) fn io(what: &'static str, path: &Utf8Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { what, path: path.to_owned(), source }
    }

    /// What the failure of a mkfs means.
    pub(super) fn mkfs(filesystem: &FileSystem, source: CommandError) -> Self {
        let node = filesystem.name.clone();
        // mkfs.btrfs says it and nothing else.
        if source.to_string().contains("non-unique UUID") {
            return Self::Twin { node, uuid: filesystem.uuid };
        }
        Self::Mkfs { node, source }
    }
}
