//! Joins a request and its elements into an ordered list of steps.
//!
//! In: [`crate::request::Request`] and resolved elements. Out: [`Plan`], a value that serialises and is all a builder gets.
//! Pure: touches no target, needs no privilege, takes milliseconds. Not here: running anything.

mod assemble;
pub mod collection;
mod error;
pub mod explain;
mod inputs;
pub mod interpreter;
pub mod phase;
mod seen;
pub mod shell;
pub mod step;
mod steps;
pub mod writer;

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use crate::disk;
use crate::element::secret;
use crate::request::{Kind, Qcow2Compression};

pub use assemble::{assemble, disk_variables};
pub use error::PlanError;
pub use inputs::of_found_step;
pub use phase::Phase;
pub use seen::seen;
pub use shell::ShellPlan;
pub use step::{Action, Place, Step};
pub use writer::Writer;

/// The version of a plan's form that this program writes and reads.
pub const VERSION: u32 = 2;

/// Everything a builder needs to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this format.
    pub version: u32,
    /// The image's name, without folder or suffix.
    pub name: String,
    /// What comes out.
    pub kind: Kind,
    /// Architecture in Debian's spelling.
    pub arch: String,
    /// Every identifier in the image is derived from this.
    pub seed: String,
    /// Clamp for time stamps, seconds since the epoch.
    pub source_date_epoch: Option<i64>,
    /// What is installed.
    pub system: System,
    /// Variables that elements may read.
    pub variables: BTreeMap<String, String>,
    /// The elements, in order.
    pub elements: Vec<PlannedElement>,
    /// For each element the hash of what its scripts can see outside the image ([`seen()`]).
    pub seen: BTreeMap<String, String>,
    /// What happens, in order.
    pub steps: Vec<Step>,
    /// What shell hooks see; absent when there are none, and no stages that work on what elements bring together.
    pub shell: Option<ShellPlan>,
    /// The disk image.
    pub disk: DiskPlan,
    /// Who writes it.
    pub writer: Writer,
    /// The files to make, in order.
    pub outputs: Vec<Output>,
    /// Digests of each: `md5`, `sha256`.
    pub checksums: Vec<String>,
}

/// The operating system of the image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    /// The element that provides it.
    pub element: String,
    /// `debian`.
    pub distribution: String,
    /// `debian`.
    pub family: String,
    /// As the user names it: `bookworm`, `stable`.
    pub release: String,
    /// `apt`.
    pub package_manager: String,
}

/// An element in a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedElement {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub directory: Utf8PathBuf,
    /// What it was granted.
    pub permissions: Vec<String>,
    /// Its options, resolved.
    pub options: BTreeMap<String, serde_json::Value>,
}

/// What the disk image shall look like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiskPlan {
    /// The element or variable that the description comes from.
    pub origin: String,
    /// The description as it was found, YAML.
    pub text: String,
    /// DIB's block-device description, read.
    pub config: disk::config::Config,
    /// What the description does not say.
    pub parameters: DiskParameters,
}

/// What a block-device description leaves to the request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiskParameters {
    /// Size of the image in bytes; computed from the tree when absent.
    pub image_size: Option<u64>,
    /// Bytes to add to the tree's own size instead of growing it by 1/0.6.
    pub image_extra_size: Option<u64>,
    /// Journal of an ext4 root, bytes.
    pub journal_size: u64,
    /// Room for an EFI system partition is added to a computed size.
    pub efi: bool,
    /// Type of the root file system when the description names none.
    pub root_fs_type: String,
    /// Label of the root file system when the description names none.
    pub root_label: Option<String>,
    /// Options for mkfs of the root file system.
    pub mkfs_options: Vec<String>,
    /// Blocks of the file system to let ext4 grow to online (`-E resize=`).
    pub max_online_resize: Option<u64>,
    /// Sizes and addresses are those of DIB also where DIB is wrong.
    #[serde(default)]
    pub dib_strict: bool,
}

/// A file to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Format name.
    pub format: String,
    /// Its path.
    pub path: Utf8PathBuf,
    /// The disk that it is an image of, when that is not the first one; else empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub disk: String,
    /// How clusters are compressed, when the format is qcow2.
    pub qcow2_compression: Qcow2Compression,
    /// What the format takes beside that: qemu-img's `-o` (images of disks), a compressor (tgz), the path of a manifest (aci),
    /// `compression=…,reference=…` (docker, oci); empty when nothing was said.
    #[serde(default)]
    pub options: String,
    /// Variables of the user's by which a client finds its daemon (docker).
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
}

/// Room for any description that names absolute sizes: before the tree is finished only identifiers matter.
const PROVISIONAL_SIZE: u64 = 1 << 40;

impl Plan {
    /// Name and folder of every element, in order.
    pub fn element_folders(&self) -> Vec<(String, Utf8PathBuf)> {
        self.elements.iter().map(|element| (element.name.clone(), element.directory.clone())).collect()
    }

    /// The plan as it may be shown: without values whose names promise a secret, and without credentials in addresses.
    pub fn without_secrets(mut self) -> Self {
        let environment = self.shell.iter_mut().map(|shell| &mut shell.environment);
        let clients = self.outputs.iter_mut().map(|output| &mut output.variables);
        for (name, value) in environment.chain([&mut self.variables]).chain(clients).flatten() {
            *value = secret::shown(name, value);
        }
        for (name, value) in self.elements.iter_mut().flat_map(|element| &mut element.options) {
            if let serde_json::Value::String(text) = value {
                *text = secret::shown(name, text);
            }
        }
        for step in &mut self.steps {
            if let Action::Bootstrap { options, .. } = &mut step.action {
                options.iter_mut().for_each(|(name, value)| *value = secret::shown(name, value));
            }
        }
        self
    }

    /// The layout as far as it is known before the tree is finished: names, labels and identifiers are final, sizes are not
    /// unless the request names one.
    ///
    /// # Errors
    /// The description cannot be laid out.
    pub fn provisional_layout(&self) -> Result<disk::layout::Layout, disk::solve::LayoutError> {
        self.disk.provisional_layout(&self.seed)
    }
}

impl DiskPlan {
    /// As [`Plan::provisional_layout`].
    fn provisional_layout(&self, seed: &str) -> Result<disk::layout::Layout, disk::solve::LayoutError> {
        let parameters = &self.parameters;
        let size = parameters.image_size.map_or(PROVISIONAL_SIZE, |_| disk::image_size::image_size(parameters, 0));
        disk::solve::solve(&self.config, parameters, size, seed)
    }

    /// An error of its layout, with the place of the description that it is about.
    fn wrong(&self, source: disk::solve::LayoutError) -> PlanError {
        let place = self.config.place(&self.origin, source.node());
        PlanError::Layout { place, source: Box::new(source) }
    }
}
