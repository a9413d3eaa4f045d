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
    /// `DIB_*` and the few other variables that elements may read.
    pub variables: BTreeMap<String, String>,
    /// Seed of every identifier; derived from the request when absent.
    pub seed: Option<String>,
    /// Clamp for time stamps, seconds since the epoch (`SOURCE_DATE_EPOCH`).
    pub source_date_epoch: Option<i64>,
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
