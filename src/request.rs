//! What was asked for.
//!
//! In: nothing; `cli/` fills it from whichever dialect was spoken. Out: the one value that planning starts from.
//! After this, nobody knows which words the user said. Not here: defaults that depend on elements.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

/// A wish for an image.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Request {
    /// What comes out of the build.
    pub kind: Kind,
    /// Elements, as the user named them.
    pub elements: Vec<String>,
    /// Folders that hold elements, first wins; kiln's own come after them.
    pub search_path: Vec<Utf8PathBuf>,
    /// Output path without the format's suffix (`-o`).
    pub output: Utf8PathBuf,
    /// Formats, as named by the user, each once.
    pub formats: Vec<String>,
    /// Architecture in Debian's spelling: `amd64`, `arm64`.
    pub arch: String,
    /// Extra packages (`-p`).
    pub packages: Vec<String>,
    /// Options of elements: `element.name` -> text.
    pub options: BTreeMap<String, String>,
    /// Size of the disk image in bytes; computed from the tree when absent.
    pub image_size: Option<u64>,
    /// Label of the root file system.
    pub root_label: Option<String>,
    /// Digests to compute of each artifact: `md5`, `sha256`.
    pub checksums: Vec<String>,
    /// How qcow2 clusters are compressed.
    pub qcow2_compression: Qcow2Compression,
    /// Do not add the element `base`.
    pub skip_base: bool,
    /// Options for `mkfs` of the root file system.
    pub mkfs_options: Vec<String>,
    /// Options of every conversion that `qemu-img` does: `key=value,key=value`.
    pub qemu_img_options: Option<String>,
    /// Repository and tag of a docker image.
    pub docker_target: Option<String>,
    /// An output that exists is renamed first, with date and time in its name, instead of being replaced.
    pub keep_old_outputs: bool,
    /// Who writes the disk image.
    pub disk_writer: DiskWriter,
    /// Defects of DIB that an image may depend on are reproduced.
    pub dib_strict: bool,
    /// What elements must not be able to do.
    #[serde(default)]
    pub policy: Policy,
    /// The folder the command was given in; hooks outside the image run there.
    pub directory: Utf8PathBuf,
    /// The caller's whole environment, with what options changed in it: shell hooks inherit it, as they do from DIB.
    pub environment: BTreeMap<String, String>,
    /// The words as they were spoken, when they were DIB's (`DIB_ARGS`).
    pub arguments: Option<String>,
    /// Where a shell is wanted.
    pub breakpoints: Breakpoints,
    /// Seconds for which the layer of a step that may reach the network is reused; 0 means never.
    pub max_age: u64,
    /// `DIB_*` and the few other variables that elements may read.
    pub variables: BTreeMap<String, String>,
    /// Seed of every identifier; derived from the request when absent.
    pub seed: Option<String>,
    /// Clamp for time stamps, seconds since the epoch (`SOURCE_DATE_EPOCH`).
    pub source_date_epoch: Option<i64>,
}

/// What comes out of a build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A disk image, or whatever else the formats say.
    #[default]
    Disk,
    /// A kernel and an initial RAM file system, which elements leave beside the tree (`ramdisk-image-create`).
    Ramdisk,
}

/// Who writes the disk image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DiskWriter {
    /// The loop writer when a hook wants real block devices, else the direct one.
    #[default]
    Auto,
    /// Files are written straight into the image file; no hook sees a block device.
    Direct,
    /// The image is attached as a loop device and mounted while the last hooks run.
    Loop,
}

/// Where a build stops and opens a shell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breakpoints {
    /// `before-PHASE`, `after-PHASE`, `after-error`.
    pub points: Vec<String>,
    /// The command to run there instead of `bash`.
    pub command: Option<String>,
    /// After an error the shell is opened on the host, not in the image.
    pub outside_target: bool,
}

impl Breakpoints {
    /// Whether a shell is wanted at `point`.
    pub fn wants(&self, point: &str) -> bool {
        self.points.iter().any(|asked| asked == point)
    }
}

/// How the clusters of a qcow2 are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Qcow2Compression {
    /// Not at all.
    None,
    /// Deflate: every QEMU reads it. Four times the processor time of zstd, and larger.
    Zlib,
    /// Zstandard: needs QEMU 5.1 (2020) or later.
    #[default]
    Zstd,
}

/// What is forbidden. The names are read by `element::audit`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Permissions, by name (`run`, `fetch`: whatever follows the colon) or whole (`write:/etc`: what overlaps it); `shell` for
    /// hooks that are no scripts.
    pub deny: Vec<String>,
    /// Exceptions: by element, permissions that are granted all the same.
    pub allow: BTreeMap<String, Vec<String>>,
}
