//! Why an element cannot be ported.

use camino::Utf8PathBuf;

/// Why an element cannot be ported.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the draft cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A name that is not text.
    #[error("{path} has a name that is not UTF-8")]
    Name {
        /// The file, as far as it can be shown.
        path: String,
    },
    /// There is a draft already.
    #[error("{path} exists: move it away, or name another folder with --output")]
    Exists {
        /// The folder.
        path: Utf8PathBuf,
    },
    /// The element is in Rhai already.
    #[error("{path} has an element.rhai: it is no shell element")]
    Rhai {
        /// The folder.
        path: Utf8PathBuf,
    },
    /// The draft is not what kiln reads: a fault of the port, not of the element.
    #[error("the draft {path} cannot be loaded ({problem}): this is a bug in kiln, please report it with the element")]
    Draft {
        /// The folder.
        path: Utf8PathBuf,
        /// What is wrong.
        problem: String,
    },
}
