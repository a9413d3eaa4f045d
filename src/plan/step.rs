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
    /// Brings the files of all elements together in the hooks folder.
    CollectHooks,
    /// Runs an executable hook of the hooks folder.
    ShellHook {
        /// Its name: `50-bootloader`.
        name: String,
        /// Where it runs.
        place: Place,
        /// Who reads it: `/bin/bash`.
        #[serde(default)]
        interpreter: String,
    },
    /// A stage that the program carries out for an element.
    BuiltIn {
        /// Which: `install-static`.
        name: String,
    },
    /// Refuses a root phase that made no tree; then gives the tree the host's name servers for the time of the build, and the
    /// hooks the default install type.
    SettleRoot,
    /// Installs or removes packages with the image's own `install-packages`.
    InstallPackages {
        /// The element whose map gives the real names; without one they are real already.
        map: Option<String>,
        /// Names.
        packages: Vec<String>,
        /// They go instead of coming.
        remove: bool,
    },
    /// Opens a shell for the user.
    Break {
        /// `before-install`.
        point: String,
        /// What runs there.
        command: String,
        /// Where.
        place: Place,
    },
    /// Writes the disk image, attaches it as a block device and mounts it: what follows works on it.
    AttachDisk,
    /// Takes the host's name servers out of the tree again.
    RestoreNameServers,
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

/// Where a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// On the host's side: with the tree below a folder.
    Host,
    /// Inside the image.
    Image,
}

impl Place {
    /// Where shell hooks of `phase` run.
    pub const fn of(phase: Phase) -> Self {
        match phase {
            Phase::PreInstall | Phase::Install | Phase::PostInstall | Phase::Finalise => Self::Image,
            _ => Self::Host,
        }
    }
}

impl Step {
    /// What orders it within its phase: `50-openssh` of `install/50-openssh/ssh`.
    pub fn key(&self) -> &str {
        self.id.split('/').nth(1).unwrap_or_default()
    }

    /// What a person reads: `debian-minimal: bootstrap with apt`.
    pub fn title(&self) -> String {
        let what = match &self.action {
            Action::Bootstrap { manager, packages, .. } => {
                format!("bootstrap with {manager}, {} packages asked for", packages.len())
            }
            Action::Script { file, function } => {
                format!("{}:{function}", file.file_name().unwrap_or(file.as_str()))
            }
            Action::CollectHooks => "collect hooks".to_owned(),
            Action::ShellHook { name, place, .. } => {
                let place = match place {
                    Place::Host => "on the host's side",
                    Place::Image => "in the image",
                };
                format!("{}/{name} {place}", self.phase.directory())
            }
            Action::BuiltIn { name } => format!("{name} (built in)"),
            Action::SettleRoot => "name servers for the build".to_owned(),
            Action::InstallPackages { packages, remove: false, .. } => format!("install {}", packages.join(" ")),
            Action::InstallPackages { packages, .. } => format!("remove {}", packages.join(" ")),
            Action::Break { point, .. } => format!("shell ({point})"),
            Action::AttachDisk => "write the disk and attach it".to_owned(),
            Action::RestoreNameServers => "name servers of the image".to_owned(),
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
