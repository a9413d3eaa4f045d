//! How a distribution's root tree and packages are installed.
//!
//! In: what tree is wanted ([`Context`]), the [`Store`]. Out: a [`Resolution`] (pure choice of packages, with a digest for keys),
//! then an installed tree. One folder per package manager; outside of this room nobody knows which one works.
//! Not here: which elements want which packages, file systems, images.

pub mod apk;
pub mod apt;
pub mod dnf;
#[cfg(test)]
mod driven;
mod driver;
pub mod emerge;
pub mod pacman;
pub mod zypper;

use std::collections::BTreeMap;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

use crate::event::Events;
use crate::sandbox::chroot::Chroot;
use crate::sandbox::command::CommandError;
use crate::sandbox::mount_table::MountEntry;
use crate::store::{Store, StoreError};
use crate::target::Packages;
pub use apt::debootstrap;
pub use apt::loan::Loan;
pub use apt::turn::Turn;
use driver::{Driver, Words};

/// What tree is wanted.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Architecture in Debian's spelling: `amd64`.
    pub arch: String,
    /// `debian`.
    pub distribution: String,
    /// The distribution's options, documented where they are read (`apt::sources::Settings`).
    pub options: BTreeMap<String, String>,
    /// Variables of the build; proxies are taken from here.
    pub variables: BTreeMap<String, String>,
    /// Packages wanted on top of the smallest tree that the package manager works in.
    pub packages: Vec<String>,
}

/// One package that will be installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture: `amd64`, `all`.
    pub architecture: String,
    /// Size of its archive in bytes.
    pub size: u64,
}

/// Everything that determines the tree, decided before anything is downloaded or written.
#[derive(Clone, Debug)]
pub struct Resolution {
    /// Lower-case hex over names, versions and digests of all packages, the sources, the keys and the settings.
    pub digest: String,
    /// Lower-case hex over the signed heads of all sources: the state of the archive that packages installed later come from. It
    /// changes whenever the archive does, also when the chosen packages stay the same.
    pub archive: String,
    /// The packages, sorted by name.
    pub packages: Vec<ResolvedPackage>,
    /// Bytes that are not yet in the store.
    pub download_size: u64,
    /// What the package manager's own code needs.
    pub(crate) private: Private,
}

/// The part of a [`Resolution`] that only its maker reads.
#[derive(Clone, Debug)]
pub(crate) enum Private {
    /// Made by [`apt`].
    Apt(Arc<apt::Choice>),
}

/// Makes a root tree out of packages.
pub trait Bootstrap: Send {
    /// Chooses the packages: reads indices, changes nothing but the store.
    ///
    /// # Errors
    /// When an index cannot be had or trusted, or no choice of packages satisfies what is wanted.
    fn resolve(&self, events: &Events) -> Result<Resolution, DistroError>;

    /// Installs what was chosen into the empty folder `root`.
    ///
    /// # Errors
    /// When a package cannot be had, unpacked or configured. The tree is then of no use.
    fn install(&self, resolution: &Resolution, root: &Utf8Path, events: &Events) -> Result<(), DistroError>;
}

/// Why a tree or a package could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum DistroError {
    /// No code for this package manager.
    #[error("kiln makes no tree with the package manager {name:?}; it knows: apt")]
    Manager {
        /// What was asked for.
        name: String,
    },
    /// The machine cannot run the programs of the image.
    #[error(
        "this machine ({host}) cannot run {asked} programs, and installing packages runs them; build the image on a machine of architecture {asked}"
    )]
    Architecture {
        /// The host's architecture.
        host: String,
        /// The image's.
        asked: String,
    },
    /// An option's value makes no sense.
    #[error("option {option}: {reason}")]
    Option {
        /// The option.
        option: &'static str,
        /// What is wrong with it, and what to write.
        reason: String,
    },
    /// A release that the mirror does not have.
    #[error(
        "{url} does not exist: {mirror} has no suite {suite:?}; known suites of Debian: {known}; else check the mirror (option mirror, DIB_DISTRIBUTION_MIRROR)"
    )]
    Suite {
        /// What was asked of the server.
        url: String,
        /// The mirror.
        mirror: String,
        /// The suite.
        suite: String,
        /// Suites worth trying.
        known: &'static str,
    },
    /// The archive's index is not to be trusted.
    #[error("{url} is not trusted: {reason}")]
    Trust {
        /// The file.
        url: String,
        /// Why, and what to do.
        reason: String,
    },
    /// A file does not have the form that its format demands.
    #[error("{file}: {reason}")]
    Format {
        /// File or URL.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// No choice of packages satisfies what is wanted.
    #[error("cannot choose packages: {0}")]
    Unsatisfiable(String),
    /// A file of the tree or the host.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was attempted.
        action: &'static str,
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The package manager's own program failed.
    #[error("{attempt}: {source}")]
    Command {
        /// What was attempted.
        attempt: String,
        /// The program's failure.
        source: CommandError,
    },
    /// The store or the network.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The bootstrap of the package manager called `manager`.
///
/// # Errors
/// When kiln does not know it, or the context makes no sense.
pub fn bootstrap(manager: &str, context: &Context, store: &Store) -> Result<Box<dyn Bootstrap>, DistroError> {
    match manager {
        "apt" => Ok(Box::new(apt::Apt::new(context, store)?)),
        name => Err(DistroError::Manager { name: name.to_owned() }),
    }
}

/// Package managers that are called inside the image, and that make no tree from nothing.
const DRIVEN: [&Words; 5] = [&dnf::WORDS, &zypper::WORDS, &pacman::WORDS, &apk::WORDS, &emerge::WORDS];

/// The name of the package manager that the tree at `root` has.
pub fn found(root: &Utf8Path) -> Option<&'static str> {
    // zypper's distributions may have dnf too.
    let known = [("apt-get", "apt"), ("zypper", "zypper"), ("dnf", "dnf"), ("microdnf", "dnf"), ("yum", "dnf")];
    let known = known.into_iter().chain([("pacman", "pacman"), ("apk", "apk"), ("emerge", "emerge")]);
    let has = |program: &str| {
        ["usr/bin", "bin", "sbin", "usr/sbin"].iter().any(|folder| root.join(folder).join(program).exists())
    };
    known.into_iter().find(|(program, _)| has(program)).map(|(_, manager)| manager)
}

/// The package manager of the tree at `root`, run inside of it.
///
/// # Errors
/// When kiln does not know it.
pub fn packages(
    manager: &str,
    context: &Context,
    store: &Store,
    root: &Utf8Path,
    events: Events,
) -> Result<Arc<dyn Packages>, DistroError> {
    match manager {
        "apt" => Ok(Arc::new(apt::packages::AptGet::new(context, store, root, events)?)),
        name => {
            let words = DRIVEN.iter().find(|words| words.name == name);
            let words = words.ok_or_else(|| DistroError::Manager { name: name.to_owned() })?;
            Ok(Arc::new(Driver::new(words, context, &Chroot::new(root), events)))
        }
    }
}

/// Helpers for commands that run in the tree at `root` and may install packages: nothing where no package manager's work can be
/// made quicker.
///
/// # Errors
/// When no folder for the helpers can be made.
pub fn lend(root: &Utf8Path) -> Result<Option<Loan>, DistroError> {
    if root.join("var/lib/dpkg").symlink_metadata().is_err() {
        return Ok(None);
    }
    let failed = |source| DistroError::File { action: "lend helpers to", path: root.to_owned(), source };
    Loan::begin(root).map(Some).map_err(failed)
}

/// Waits until no other build uses a cache of packages that a hook has put into the tree; `mounted` is all that hooks have mounted there.
pub fn turn(mounted: &[MountEntry], events: &Events) -> Option<Turn> {
    let cache = mounted.iter().find(|mounted| mounted.inside == apt::turn::ARCHIVES)?;
    apt::turn::take(cache.from.as_deref()?, events)
}

/// Generates the initramfs of every kernel installed in `root`. Without a kernel, or without a generator, nothing happens.
///
/// # Errors
/// When the generator fails.
pub fn initramfs(manager: &str, root: &Utf8Path, events: &Events) -> Result<(), DistroError> {
    match manager {
        "apt" => apt::initramfs::generate(root, events),
        name => Err(DistroError::Manager { name: name.to_owned() }),
    }
}
