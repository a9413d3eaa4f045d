//! One unit of a plan.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use super::phase::Phase;

/// A unit of work in its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Unique in the plan, stable between equal requests: `install/50-openssh`.
    pub id: String,
    /// The phase it runs in.
    pub phase: Phase,
    /// The element it comes from; `None` for the program's own stages.
    pub element: Option<String>,
    /// Hash over what can change its result and is known when planning, lower-case hex.
    pub inputs: String,
    /// What it does.
    pub action: Action,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Action {
    /// Makes the root tree from the distribution's packages.
    Bootstrap {
        /// Who knows how: `apt`.
        manager: String,
        /// Options of the operating-system element, as text.
        options: BTreeMap<String, String>,
        /// Packages beyond the distribution's own base, sorted.
        packages: Vec<String>,
    },
    /// Calls a phase function of a Rhai file.
    Script {
        /// The file.
        file: Utf8PathBuf,
        /// The function.
        function: String,
    },
    /// Removes packages.
    RemovePackages {
        /// Real names.
        packages: Vec<String>,
    },
    /// Writes /etc/fstab and makes mount points.
    FileSystemTable,
    /// Generates the initial RAM file system, once, after the last package.
    Initramfs,
    /// Writes the boot loader's configuration and makes its core images.
    BootLoader {
        /// `grub`.
        kind: String,
    },
    /// Takes away what a build leaves in a tree.
    Tidy,
}

impl Step {
    /// What a person reads: `debian-minimal: bootstrap with apt`.
    pub fn title(&self) -> String {
        let what = match &self.action {
            Action::Bootstrap { manager, packages, .. } => {
                format!("bootstrap with {manager}, {} packages asked for", packages.len())
            }
            Action::Script { file, function } => {
                format!("{}:{function}", file.file_name().unwrap_or(file.as_str()))
            }
            Action::RemovePackages { packages } => format!("remove {}", packages.join(" ")),
            Action::FileSystemTable => "write /etc/fstab".to_owned(),
            Action::Initramfs => "generate the initramfs".to_owned(),
            Action::BootLoader { kind } => format!("boot loader {kind}"),
            Action::Tidy => "tidy".to_owned(),
        };
        match &self.element {
            Some(element) => format!("{element}: {what}"),
            None => what,
        }
    }
}
