//! Why elements and a request do not make a plan.

use camino::Utf8PathBuf;

use crate::disk;
use crate::element::ElementError;
use crate::element::audit::AuditError;
use crate::format;

/// Why elements and a request do not make a plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// An element is wrong.
    #[error(transparent)]
    Element(#[from] ElementError),
    /// An element may do what the policy forbids.
    #[error(transparent)]
    Denied(#[from] AuditError),
    /// The block-device description is wrong.
    #[error(transparent)]
    Config(#[from] disk::config::ConfigError),
    /// The block-device description cannot be laid out.
    #[error(transparent)]
    Layout(#[from] disk::solve::LayoutError),
    /// A file system that nobody here writes.
    #[error(transparent)]
    FileSystem(#[from] disk::direct::DiskError),
    /// A format that nobody knows.
    #[error(transparent)]
    Format(#[from] format::UnknownFormat),
    /// A file of an element cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file or folder.
        path: Utf8PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A variable holds no number.
    #[error("{variable} is `{value}`, which is no number of MiB")]
    Number {
        /// The variable.
        variable: String,
        /// Its value.
        value: String,
    },
    /// Two elements bring the same file.
    #[error(
        "There is a duplicated hook in your elements: {file} is in {first} and {second}; leave one of them out, or rename the file \
         in one"
    )]
    DuplicateHook {
        /// One element.
        first: String,
        /// The other.
        second: String,
        /// The file below the element's folder.
        file: Utf8PathBuf,
    },
    /// An operating-system element that is not described.
    #[error(
        "element {element} provides the operating system without saying how: its manifest needs `system`, which names the \
         distribution and its package manager, or some element needs a hook in root.d that makes the tree"
    )]
    NoSystem {
        /// The element.
        element: String,
    },
    /// Two elements describe the disk.
    #[error("both {first} and {second} describe the disk; leave one of them out, or set DIB_BLOCK_DEVICE_CONFIG")]
    TwoDisks {
        /// One element.
        first: String,
        /// The other.
        second: String,
    },
}
