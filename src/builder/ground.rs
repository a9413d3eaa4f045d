//! The attached disk: where the last hooks run when one of them wants a block device.
//!
//! In: the finished stack of layers. Out: the disk image, written, attached and mounted where the tree was; what runs from then on
//! changes the image itself and makes no layers. Not here: attaching and mounting (`disk/loopback`), what runs (`work`).

use std::collections::BTreeMap;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use super::error::BuildError;
use super::hooks::Hooks;
use super::image::{Image, Raw};
use super::stack::Stack;
use crate::disk::loopback::{self, Attached};
use crate::event::Events;
use crate::sandbox::overlay::Overlay;

/// A disk that is attached and mounted. Fields are taken down in their order.
pub struct Ground {
    attached: Attached,
    /// The build folder, with everything that hooks write there from now on.
    _build: Overlay,
    tree: Utf8PathBuf,
    files: Utf8PathBuf,
    raw: Raw,
}

impl Ground {
    /// Writes the disk of the tree that `stack` makes, attaches it, and tells `hooks` of it.
    pub fn new(stack: &Stack, image: &Image<'_>, hooks: &Hooks<'_>) -> Result<Self, BuildError> {
        let work = image.site.work.join("ground");
        let [upper, scratch, files] = ["build", "scratch", "files"].map(|name| work.join(name));
        for folder in [&upper, &files] {
            fs::create_dir_all(folder).map_err(BuildError::system(format!("make the folder {folder}")))?;
        }
        let finished = stack.mount(&work.join("tree"))?;
        let raw = image.write_raw(finished.path())?;
        let mut attached = loopback::attach(&raw.layout, &raw.images)?;
        let build = stack.mount_build(hooks.build(), Some((&upper, &scratch)))?;
        let tree = build.path().join("mnt");
        attached.mount(finished.path(), &tree)?;
        finished.unmount().map_err(BuildError::system("unmount the finished tree"))?;
        hooks.attach(variables(&attached, &raw), nodes(&attached));
        write_state(&attached, &raw, hooks.build())?;
        hooks.stay();
        Ok(Self { attached, _build: build, tree, files, raw })
    }

    /// The tree: the mounted disk.
    pub fn tree(&self) -> &Utf8Path {
        &self.tree
    }

    /// Folders of the tree that are file systems of the image.
    pub fn parts(&self) -> Vec<Utf8PathBuf> {
        self.attached.parts()
    }

    /// For what steps make beside the tree.
    pub fn files(&self) -> &Utf8Path {
        &self.files
    }

    /// Unmounts and detaches the disk. The image is finished then.
    pub fn finish(self, time: Option<i64>, events: &Events) -> Result<Raw, BuildError> {
        self.attached.finish(time, events)?;
        Ok(self.raw)
    }
}

/// What hooks learn of the disk.
fn variables(attached: &Attached, raw: &Raw) -> BTreeMap<String, String> {
    let device = attached.image_block_device().map(Utf8Path::to_string).unwrap_or_default();
    [
        ("IMAGE_BLOCK_DEVICE", device),
        ("IMAGE_BLOCK_DEVICES", attached.image_block_devices()),
        // DIB changes the unit here, from GiB to KiB.
        ("DIB_IMAGE_SIZE", (raw.size >> 10).to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn nodes(attached: &Attached) -> Vec<Utf8PathBuf> {
    attached.devices().map(|(_, node)| node.to_owned()).collect()
}

/// What `dib-block-device getval` answers from.
fn write_state(attached: &Attached, raw: &Raw, build: &Utf8Path) -> Result<(), BuildError> {
    let devices = attached.devices().map(|(name, node)| {
        let mut value = serde_json::json!({ "device": node });
        if let Some((_, file)) = raw.images.iter().find(|(disk, _)| disk == name) {
            value["image"] = serde_json::json!(file);
        }
        (name.to_owned(), value)
    });
    let state = serde_json::json!({ "blockdev": devices.collect::<serde_json::Map<_, _>>() });
    let path = build.join("states/block-device/state.json");
    fs::write(&path, format!("{state:#}\n")).map_err(BuildError::system(format!("write {path}")))
}
