//! What hooks bring into an image from elsewhere: downloads, checkouts, secrets.
//!
//! In: an address with a digest or a commit, or a secret's name. Out: a file outside of the image, or a text. Whoever makes a
//! target says how they are had. Not here: who may ask (`script/`), what becomes of it.

use camino::Utf8PathBuf;

use super::TargetError;

/// How things are brought from outside of the image.
pub trait Outside: Send + Sync {
    /// The file at `url`, whose content has the digest `sha256` (lower-case hex).
    ///
    /// # Errors
    /// `fetch.failed`, `fetch.digest`, `fetch.offline`.
    fn fetch(&self, url: &str, sha256: &str) -> Result<Material, TargetError>;

    /// The tree of `commit` (40 or 64 hex digits) in the repository at `url`, as a tar archive.
    ///
    /// # Errors
    /// `git.failed`, `fetch.offline`.
    fn checkout(&self, url: &str, commit: &str) -> Result<Material, TargetError>;

    /// The secret called `id`.
    ///
    /// # Errors
    /// `secrets.missing`, `io.not-text`.
    fn secret(&self, id: &str) -> Result<String, TargetError>;
}

/// A file outside of the image that a hook may bring into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Material {
    /// The file.
    pub file: Utf8PathBuf,
    /// What a message calls it: its address, or its path in the element.
    pub name: String,
    /// A test's stand-in for a file that it says nothing about: empty, whatever it should be.
    pub pretended: bool,
}

/// Brings nothing: for targets that no script works on.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Nothing {
    fn refuse<T>(what: &str) -> Result<T, TargetError> {
        Err(TargetError::new("fetch.failed", format!("cannot bring {what} into the image here")))
    }
}

impl Outside for Nothing {
    fn fetch(&self, url: &str, _sha256: &str) -> Result<Material, TargetError> {
        Self::refuse(url)
    }

    fn checkout(&self, url: &str, _commit: &str) -> Result<Material, TargetError> {
        Self::refuse(url)
    }

    fn secret(&self, id: &str) -> Result<String, TargetError> {
        Err(TargetError::new("secrets.missing", format!("there is no secret `{id}`")))
    }
}
