//! Why a build stopped, before it is told to the user.

use crate::boot::BootError;
use crate::diagnostic::Diagnostic;
use crate::disk::direct::DiskError;
use crate::disk::image_size::UsageError;
use crate::disk::solve::LayoutError;
use crate::distro::DistroError;
use crate::event::Failure;
use crate::format::FormatError;
use crate::hook::HookError;
use crate::plumbing::PlumbingError;
use crate::sandbox::command::CommandError;
use crate::store::StoreError;
use crate::target::TargetError;

/// Why a build stopped.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A distribution could not be installed.
    #[error(transparent)]
    Distro(#[from] DistroError),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A verb of the program's own stages failed.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The tree could not be measured.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The block-device description cannot be laid out.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The disk image could not be written.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The boot loader could not be made.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// An output could not be written.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A shell hook failed.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// A stage that the program carries out for an element failed.
    #[error(transparent)]
    Plumbing(#[from] PlumbingError),
    /// A command failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The kernel or a file system refused.
    #[error("cannot {attempt}: {source}")]
    System {
        /// What was attempted.
        attempt: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// An element is not what was planned any more.
    #[error("element {element}, or a file of the host that it reads, changed while it was built; build again")]
    Changed {
        /// The element.
        element: String,
    },
    /// A function describes another disk than when it was planned.
    #[error(
        "{step} describes a disk that was not planned: {node}; describe it by facts and options alone, the tree is not there when the build is planned"
    )]
    DiskChanged {
        /// The step.
        step: String,
        /// What it said.
        node: String,
    },
    /// A script failed; it says all by itself.
    #[error("{}", .0.message)]
    Script(Box<Diagnostic>),
}

impl BuildError {
    /// Turns an input/output error into one that says what was attempted.
    pub fn system(attempt: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let attempt = attempt.into();
        move |source| Self::System { attempt, source }
    }

    /// What the user is told; the step is added by whoever ran it.
    pub fn into_failure(self) -> Failure {
        match self {
            Self::Script(diagnostic) => Failure {
                message: diagnostic.message.clone(),
                diagnostic: Some(*diagnostic),
                exit_status: 1,
                ..Failure::default()
            },
            Self::Hook(error) => Failure {
                message: error.to_string(),
                help: error.help(),
                exit_status: error.exit_status(),
                ..Failure::default()
            },
            other => Failure { message: other.to_string(), exit_status: 1, ..Failure::default() },
        }
    }
}
