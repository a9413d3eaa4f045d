//! What is refused before the slow part: a machine that cannot carry out the plan.
//!
//! In: a plan. Out: nothing, or a text that says what to do. Not here: words that make no sense (`words`), elements that do not
//! fit together (`element/`), layouts that cannot be (`disk/`).

use std::fs;
use std::os::unix::fs::PermissionsExt;

use camino::Utf8Path;

use super::meaning::host_arch;
use crate::disk;
use crate::format;
use crate::plan::{Action, Plan, Writer};
use crate::request::Request;
use crate::sandbox::command::PATH;
use crate::sandbox::host;

/// Bytes that a build needs in the store: packages, the tree, the raw image (sparse).
const STORE_ROOM: u64 = 3 << 30;

/// Bytes that one output of a small image takes.
const OUTPUT_ROOM: u64 = 512 << 20;

/// Refuses a plan that this machine cannot carry out.
pub fn check(plan: &Plan, store: &Utf8Path) -> Result<(), String> {
    let host = host_arch();
    if plan.arch != host && plan.steps.iter().any(|step| matches!(step.action, Action::Bootstrap { .. })) {
        let arch = &plan.arch;
        return Err(format!(
            "this machine is {host}; images for {arch} cannot be built on it yet: build on a machine of {arch}, or leave out -a"
        ));
    }
    format::check_outputs(&plan.outputs).map_err(|error| error.to_string())?;
    tools(plan)?;
    block_devices(plan)?;
    holds_layers(store)?;
    room(store, STORE_ROOM, "the build", "name another store with --store, or free some")?;
    for output in &plan.outputs {
        let folder = output.path.parent().unwrap_or(Utf8Path::new("/"));
        room(folder, OUTPUT_ROOM, &format!("{}", output.path), "name another folder with -o, or free some")?;
    }
    if !host::is_root() {
        return Err("kiln builds as root for now: run it as root (nothing is mounted on the host)".to_owned());
    }
    Ok(())
}

/// Refuses a disk that has to be attached and mounted and that this kernel cannot mount.
fn block_devices(plan: &Plan) -> Result<(), String> {
    let Writer::Loop { because } = &plan.writer else { return Ok(()) };
    let layout = plan.provisional_layout().map_err(|error| error.to_string())?;
    disk::loopback::check(&layout).map_err(|error| format!("{because} wants the image as a block device: {error}"))
}

/// Refuses a store on a file system upon which no overlay can lie: every build needs one, also without the cache.
fn holds_layers(store: &Utf8Path) -> Result<(), String> {
    let there = store.ancestors().find(|folder| folder.exists()).unwrap_or(Utf8Path::new("/"));
    let kind =
        host::filesystem_kind(there).map_err(|error| format!("cannot tell the file system of {there}: {error}"))?;
    if !NO_LAYERS.contains(&kind) {
        return Ok(());
    }
    Err(format!(
        "the store {store} is on {kind}, which cannot hold the layers of a build; name a folder on ext4, XFS, btrfs or tmpfs \
         with --store"
    ))
}

/// File systems that cannot be the upper layer of an overlay.
const NO_LAYERS: [&str; 8] = ["overlay", "nfs", "fuse", "vfat", "exfat", "9p", "cifs", "smb3"];

fn room(folder: &Utf8Path, needed: u64, what: &str, advice: &str) -> Result<(), String> {
    let free = format::free_space(folder).map_err(|error| error.to_string())?;
    if free >= needed {
        return Ok(());
    }
    let (free, needed) = (free >> 20, needed >> 20);
    Err(format!("not enough space in {folder}: {what} needs about {needed} MiB, {free} MiB are free; {advice}"))
}

fn tools(plan: &Plan) -> Result<(), String> {
    if !plan
        .outputs
        .iter()
        .any(|output| format::find(&output.format).is_ok_and(|format| format.source == format::Source::Raw))
    {
        return Ok(());
    }
    let layout = plan.provisional_layout().map_err(|error| error.to_string())?;
    let missing: Vec<_> =
        disk::direct::host_tools(&layout).into_iter().filter(|(tool, _)| !on_path(PATH, tool)).collect();
    if missing.is_empty() {
        // Old versions and kernels without a driver.
        return disk::direct::ways(&layout).map(drop).map_err(|error| error.to_string());
    }
    let mut packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    let tools = missing.iter().map(|(tool, _)| format!("`{tool}`")).collect::<Vec<_>>().join(", ");
    Err(format!("missing on this machine: {tools}; install it with: apt-get install {}", packages.join(" ")))
}

fn on_path(path: &str, tool: &str) -> bool {
    path.split(':').filter(|folder| !folder.is_empty()).any(|folder| {
        let file = fs::metadata(Utf8Path::new(folder).join(tool));
        file.is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    })
}

/// The block-device description that the user gives with `DIB_BLOCK_DEVICE_CONFIG`: inline YAML, or `file://` and a path.
/// Origin and text.
pub fn block_device_override(request: &mut Request) -> Result<Option<(String, String)>, String> {
    let Some(given) = request.variables.get("DIB_BLOCK_DEVICE_CONFIG").filter(|text| !text.trim().is_empty()) else {
        return Ok(None);
    };
    match given.strip_prefix("file://") {
        Some(path) => {
            let text = fs::read_to_string(path)
                .map_err(|error| format!("cannot read {path}, which DIB_BLOCK_DEVICE_CONFIG names: {error}"))?;
            Ok(Some((path.to_owned(), text)))
        }
        None => Ok(Some(("DIB_BLOCK_DEVICE_CONFIG".to_owned(), given.clone()))),
    }
}
