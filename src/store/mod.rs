//! What is kept between builds.
//!
//! In: a folder. Out: places in it, each with its own rules: `packages/` (files named by their digest, [`packages`]) and
//! whatever other rooms of the store add. Not here: what the kept things mean.

pub mod builtin;
pub mod download;
pub mod layers;
pub mod packages;
mod proxy;

use camino::{Utf8Path, Utf8PathBuf};

/// A folder that several kiln processes may use at once.
#[derive(Clone, Debug)]
pub struct Store {
    root: Utf8PathBuf,
}

/// Why the store could not give or keep something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file of the store could not be read or written.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was attempted: `make`, `read`, `lock`.
        action: &'static str,
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A URL whose scheme nobody here speaks.
    #[error("cannot fetch {url}: only http:, https:, file: and copy: are understood")]
    Scheme {
        /// The URL.
        url: String,
    },
    /// A proxy variable that is no URL.
    #[error("cannot use the proxy {value:?} of {variable}: {reason}; write it as http://HOST:PORT")]
    Proxy {
        /// `http_proxy` or `https_proxy`.
        variable: String,
        /// Its value.
        value: String,
        /// Why.
        reason: String,
    },
    /// The server says that there is no such file.
    #[error("{url} does not exist (status {status})")]
    Missing {
        /// The URL.
        url: String,
        /// HTTP status; 404 for a local file.
        status: u16,
    },
    /// No answer, or one that breaks off, after every retry.
    #[error("cannot fetch {url}: {reason}; check the network and the proxy variables, or choose another mirror")]
    Network {
        /// The URL.
        url: String,
        /// Why, in the words of the last attempt.
        reason: String,
    },
    /// The bytes are not those that were promised.
    #[error(
        "{url} holds other bytes than its index promises: sha256 {found}, expected {expected}; the mirror is damaged or changing: try again later or choose another mirror"
    )]
    Digest {
        /// The URL.
        url: String,
        /// What was promised.
        expected: String,
        /// What came.
        found: String,
    },
    /// The file ends too early or goes on too long.
    #[error(
        "{url} is {found} bytes long, expected {expected}; the mirror is damaged or changing: try again later or choose another mirror"
    )]
    Size {
        /// The URL.
        url: String,
        /// What was promised.
        expected: u64,
        /// What came.
        found: u64,
    },
}

impl StoreError {
    /// Whether the file is simply not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }
}

impl Store {
    /// Opens the store at `root`, making it when there is none.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(root: &Utf8Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(root).map_err(|source| StoreError::File {
            action: "make the store at",
            path: root.to_owned(),
            source,
        })?;
        Ok(Self { root: root.to_owned() })
    }

    /// Where it is.
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// A folder of the store by its path below the root, made when missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&self, path: &str) -> Result<Utf8PathBuf, StoreError> {
        let path = self.root.join(path);
        std::fs::create_dir_all(&path).map_err(|source| StoreError::File {
            action: "make",
            path: path.clone(),
            source,
        })?;
        Ok(path)
    }
}
