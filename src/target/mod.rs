//! The system being made, and what a hook may do to it.
//!
//! In: calls of verbs. Out: a changed tree ([`tree`]), or a record of what would have changed ([`fake`]).
//! Not here: who may call (`script/`), how packages are installed (`distro/`).

pub mod accounts;
pub mod fake;
pub mod outside;
pub mod owner;
pub mod pretended;
pub mod repository;
pub mod resolve;
pub mod stream;
pub mod tree;

use std::io::Read;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

use crate::event::Events;
use outside::Outside;

/// What a hook can do to the root tree being made. Paths are absolute inside the tree; a symlink never leads out of it.
pub trait Target: Send + Sync {
    /// What is at `path`, not following a final symlink; `None` when nothing is.
    fn stat(&self, path: &Utf8Path) -> Result<Option<Stat>, TargetError>;
    /// Content of the file at `path`.
    fn read(&self, path: &Utf8Path) -> Result<Vec<u8>, TargetError>;
    /// Names in the folder at `path`, sorted bytewise.
    fn list(&self, path: &Utf8Path) -> Result<Vec<String>, TargetError>;
    /// Where the symlink at `path` points.
    fn read_link(&self, path: &Utf8Path) -> Result<Utf8PathBuf, TargetError>;
    /// Replaces the file at `path`; missing parents are made with mode 0755. A mode or owner not given is kept from the
    /// file that was there, else 0644 and root.
    fn write(&self, path: &Utf8Path, content: &[u8], attributes: Attributes) -> Result<(), TargetError>;
    /// As `write`, with all that is left of `from`; for content that is too large to hold in memory.
    fn write_stream(&self, path: &Utf8Path, from: &mut dyn Read, attributes: Attributes) -> Result<(), TargetError>;
    /// Makes a folder and its missing parents; an existing one gets the attributes given.
    fn make_dir(&self, path: &Utf8Path, attributes: Attributes) -> Result<(), TargetError>;
    /// Makes (or replaces) a symlink at `path` that reads `points_to`.
    fn symlink(&self, points_to: &Utf8Path, path: &Utf8Path) -> Result<(), TargetError>;
    /// Removes a file, a symlink or a whole folder; nothing there is no error.
    fn remove(&self, path: &Utf8Path) -> Result<(), TargetError>;
    /// Sets mode or owner of what is at `path`.
    fn set_attributes(&self, path: &Utf8Path, attributes: Attributes) -> Result<(), TargetError>;
    /// Runs a command inside the tree as its root user; a non-zero status is not an error.
    fn run(&self, run: &Run) -> Result<RunOutput, TargetError>;
    /// The image's package manager.
    fn packages(&self) -> Arc<dyn Packages>;
    /// What can be brought into the image.
    fn outside(&self) -> Arc<dyn Outside>;
    /// Commands and packages only pretend to work here, so files that they bring may be missing.
    fn is_pretended(&self) -> bool {
        false
    }
    /// The place in the image that `path` means once every symlink on the way is followed, the last one too when
    /// `follow_last`; components that do not exist stay as they are.
    fn resolve(&self, path: &Utf8Path, follow_last: bool) -> Result<Utf8PathBuf, TargetError> {
        resolve::resolve(path, follow_last, |at| match self.stat(at)? {
            Some(stat) if stat.kind == FileKind::Symlink => self.read_link(at).map(Some),
            _ => Ok(None),
        })
    }
}

/// The image's package manager, as hooks see it.
pub trait Packages: Send + Sync {
    /// Installs packages by their real names.
    fn install(&self, names: &[String]) -> Result<(), TargetError>;
    /// Removes packages.
    fn remove(&self, names: &[String]) -> Result<(), TargetError>;
    /// Brings every installed package up to date.
    fn update(&self) -> Result<(), TargetError>;
    /// The installed version, `None` when not installed.
    fn version(&self, name: &str) -> Result<Option<String>, TargetError>;
    /// Says that the image names other repositories than before: the next installation reads their indices.
    fn repositories_changed(&self) {}
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// Permission bits, 0o7777.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes; 0 of a folder.
    pub size: u64,
}

/// Kinds of files that verbs tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, socket or pipe.
    Special,
}

/// Attributes to set; `None` keeps what is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits, 0o7777.
    pub mode: Option<u32>,
    /// `user`, by name in the image or by number.
    pub owner: Option<String>,
    /// `group`, by name in the image or by number.
    pub group: Option<String>,
}

/// A command to run inside the image.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Variables on top of the chroot's usual ones.
    pub env: Vec<(String, String)>,
    /// What it reads.
    pub stdin: Vec<u8>,
    /// Seconds after which it is killed.
    pub timeout: Option<u64>,
    /// It may reach the network.
    pub network: bool,
}

/// How a command ended.
#[derive(Clone, Debug, Default)]
pub struct RunOutput {
    /// Exit status; 128 + signal when killed.
    pub status: i32,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
}

/// Why a verb could not do its work. `code` is stable; scripts branch on it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct TargetError {
    /// Stable dotted code: `io.not-found`, `io.failed`, `packages.missing`, `command.failed`, `command.timeout`, …
    pub code: &'static str,
    /// What was attempted, on which path, and what went wrong.
    pub message: String,
}

impl TargetError {
    /// An error of this code.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// What a failed system call on `path` means.
    pub fn io(attempt: &str, path: &Utf8Path, error: &std::io::Error) -> Self {
        let code = if error.kind() == std::io::ErrorKind::NotFound { "io.not-found" } else { "io.failed" };
        // std adds the number of the error, which says nothing to a reader.
        let text = match error.kind() {
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            std::io::ErrorKind::NotADirectory => "a part of it is no folder".to_owned(),
            _ => error.to_string(),
        };
        let reason = text.split(" (os error").next().unwrap_or_default().to_lowercase();
        Self::new(code, format!("cannot {attempt} `{path}` in the image: {reason}"))
    }
}

/// Facts about the build that a hook may ask for.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// `debian`, `ubuntu`, `fedora`, …
    pub distribution: String,
    /// `debian`, `redhat`, `suse`, …
    pub family: String,
    /// The release as the user names it: `bookworm`, `stable`.
    pub release: String,
    /// Debian's spelling: `amd64`.
    pub arch: String,
    /// Name of the image without folder or suffix.
    pub image_name: String,
    /// Label of the root file system.
    pub root_label: String,
    /// Label of the file system mounted at /boot; empty without one.
    pub boot_label: String,
    /// Every element of the image, in order.
    pub elements: Vec<String>,
    /// Variables that elements may read, after every element's `environment`.
    pub variables: std::collections::BTreeMap<String, String>,
}

/// Where a target's commands report their output.
pub type Output = Events;
