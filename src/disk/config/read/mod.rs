//! One node's keys to one typed node: a file for each group of kinds.
//!
//! In: nodes as [`flatten`](super::flatten) leaves them. Out: the lists of a [`Config`]. Not here: what must hold between nodes
//! (`check`).

mod disk;
mod encryption;
mod filesystem;
mod keys;
mod lvm;
mod lvm_options;

use super::Config;
use super::flatten::Node;
use crate::disk::yaml::Problem;

/// Adds `node` to `config`.
pub(super) fn add(config: &mut Config, node: &Node<'_>) -> Result<(), Problem> {
    let known: &[&str] = match node.kind {
        "local_loop" => {
            config.loops.push(disk::local_loop(node)?);
            &["size", "directory", "block_size"]
        }
        "partitioning" => {
            let table = disk::partitioning(node)?;
            for entry in &node.entries {
                warn_of_unknown(entry, disk::PARTITION_KEYS, &mut config.warnings);
            }
            config.tables.push(table);
            &["label", "align", "partitions", "uuid", "disk_id"]
        }
        "lvm" => {
            config.lvm.push(lvm::lvm(node)?);
            for entry in &node.entries {
                let known: &[&str] = match entry.kind {
                    "pv" => &["options"],
                    "vg" => &["options", "extent_size"],
                    _ => &["options", "size", "extents", "type", "thin-pool"],
                };
                warn_of_unknown(entry, known, &mut config.warnings);
            }
            &["pvs", "vgs", "lvs"]
        }
        "luks" => {
            config.luks.push(encryption::luks(node)?);
            &["secret", "cipher", "key_size", "sector_size", "label", "uuid"]
        }
        "verity" => {
            config.verity.push(encryption::verity(node)?);
            &["hash", "algorithm", "salt", "uuid"]
        }
        "mkfs" => {
            let filesystem = filesystem::mkfs(node)?;
            warn_of_type(node, &filesystem, &mut config.warnings);
            config.filesystems.push(filesystem);
            &["type", "label", "opts", "uuid", "subvolumes"]
        }
        "swap" => {
            let (filesystem, mount, fstab) = filesystem::swap(node)?;
            config.filesystems.push(filesystem);
            config.mounts.push(mount);
            config.fstab.push(fstab);
            &["label", "uuid"]
        }
        "mount" => {
            config.mounts.push(filesystem::mount(node)?);
            &["mount_point"]
        }
        _ => {
            config.fstab.push(filesystem::fstab(node)?);
            &["options", "dump-freq", "fsck-passno"]
        }
    };
    warn_of_unknown(node, known, &mut config.warnings);
    Ok(())
}

/// DIB ignores unknown keys, so they are no errors; but most are misspelt.
fn warn_of_unknown(node: &Node<'_>, known: &[&str], warnings: &mut Vec<String>) {
    let always: &[&str] = if node.kind == "local_loop" { &["name"] } else { &["name", "base"] };
    for (key, _) in node.keys.iter().filter(|(key, _)| !always.contains(&key.text.as_str())) {
        if !known.contains(&key.text.as_str()) {
            let (kind, name, line) = (node.kind, &node.name, key.place.line);
            let keys = known.join(", ");
            warnings.push(format!("line {line}: {kind} `{name}`: `{}` means nothing here; keys are {keys}", key.text));
        }
    }
}

/// DIB takes any type for which the host has an mkfs, so an unknown one is no error here; but who only looks at the layout
/// should hear of it.
fn warn_of_type(node: &Node<'_>, filesystem: &super::Mkfs, warnings: &mut Vec<String>) {
    let known = filesystem::TYPES;
    if let Some(kind) = filesystem.kind.as_deref().filter(|kind| !known.contains(kind)) {
        let (name, line, types) = (&node.name, node.place.line, known.join(", "));
        warnings
            .push(format!("line {line}: mkfs `{name}`: nothing here is known of the type `{kind}`; known are {types}"));
    }
}
