//! Why a stage could not be carried out.

use camino::Utf8PathBuf;

use crate::sandbox::command::CommandError;
use crate::target::TargetError;

/// What went wrong, with what the user can do about it.
#[derive(Debug, thiserror::Error)]
pub enum PlumbingError {
    /// Nobody knows the stage.
    #[error("there is no built-in stage `{name}`; the stages are {known}")]
    UnknownStage {
        /// Its name.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// Something in the image could not be read or changed.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A command of the host failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// Something on the host could not be read or changed.
    #[error("cannot {attempt} {path}: {source}")]
    Host {
        /// `read`, `write`.
        attempt: &'static str,
        /// The file or folder.
        path: Utf8PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of an element, or a variable, says what cannot be carried out.
    #[error("{0}")]
    Wrong(String),
}

impl PlumbingError {
    /// For `map_err`: what was attempted on which path of the host.
    pub(super) fn host(attempt: &'static str, path: impl Into<Utf8PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Host { attempt, path, source }
    }

    /// An error whose text says all.
    pub(super) fn wrong(text: impl Into<String>) -> Self {
        Self::Wrong(text.into())
    }
}
