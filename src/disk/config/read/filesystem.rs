//! File systems and their subvolumes, swap, mounts, lines of /etc/fstab.

use uuid::Uuid;

use super::keys::{base, number, required};
use crate::disk::config::flatten::Node;
use crate::disk::config::{Fstab, Mkfs, Mount, ROOT, label};
use crate::disk::layout::{FstabEntry, Subvolume};
use crate::disk::yaml::{Kind, Place, Problem, Value};

/// The types of file systems that something here is known about: how long a label may be, how small it can be.
pub(super) const TYPES: &[&str] =
    &["ext2", "ext3", "ext4", "xfs", "btrfs", "vfat", "fat", "swap", "squashfs", "erofs", "f2fs"];

/// What a file system can be on, for messages.
const DEVICES: &str = "partition, logical volume, luks container or local_loop";

pub(super) fn mkfs(node: &Node<'_>) -> Result<Mkfs, Problem> {
    let kind = match node.text("type")? {
        None if node.name == ROOT => None,
        None => return Err(node.problem("`type` is missing: ext4, vfat, swap, …", &node.place)),
        Some((text, place)) => {
            // It becomes the name of a program, and a field of /etc/fstab.
            if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
                return Err(node.problem(&format!("`{text}` is not a type of file system: ext4, vfat, swap, …"), place));
            }
            Some(text.to_owned())
        }
    };
    let label = label(node, kind.as_deref())?;
    let options = node.text("opts")?.map(|(text, _)| text.split_whitespace().map(str::to_owned).collect());
    let subvolumes = subvolumes(node)?;
    if !subvolumes.is_empty() && kind.as_deref().is_some_and(|kind| kind != "btrfs") {
        return Err(node.problem("only btrfs has subvolumes; use `type: btrfs`", &node.place));
    }
    let uuid = identifier(node, kind.as_deref())?;
    Ok(Mkfs { name: node.name.clone(), base: base(node, DEVICES)?, kind, label, options, uuid, subvolumes })
}

fn label(node: &Node<'_>, kind: Option<&str>) -> Result<Option<String>, Problem> {
    let label = node.text("label")?.map(|(text, _)| text.to_owned());
    let Some(kind) = kind else { return Ok(label) };
    // A label that is not given is the node's name, which has to fit as well.
    let given = label.as_deref().or((node.name != ROOT && kind != "squashfs").then_some(node.name.as_str()));
    let Some(given) = given else { return Ok(None) };
    let fitting = label::check(kind, given).map_err(|error| node.problem(&error.to_string(), &node.place))?;
    Ok(label.is_some().then_some(fitting))
}

/// A UUID; of FAT also a volume id as tools show it: `1234-ABCD`.
fn identifier(node: &Node<'_>, kind: Option<&str>) -> Result<Option<Uuid>, Problem> {
    let Some((text, place)) = node.text("uuid")? else { return Ok(None) };
    if matches!(kind, Some("vfat" | "fat"))
        && let Some((high, low)) = text.split_once('-').filter(|(high, low)| high.len() == 4 && low.len() == 4)
        && let Some(number) = super::keys::hexadecimal(&format!("{high}{low}"))
    {
        return Ok(Some(Uuid::from_fields(number, 0, 0, &[0; 8])));
    }
    if kind == Some("squashfs") {
        return Err(node.problem("uuid: squashfs has no identifier; remove it", place));
    }
    super::keys::uuid(node, "uuid")
}

/// The list of subvolumes: each with `name`, and where it is mounted.
fn subvolumes(node: &Node<'_>) -> Result<Vec<Subvolume>, Problem> {
    let hint = "a list of mappings with `name` and `mount_point`, as in `{name: \"@home\", mount_point: /home}`";
    let entries = match node.get("subvolumes") {
        None => return Ok(Vec::new()),
        Some(Value { kind: Kind::List(entries), .. }) => entries,
        Some(other) => return Err(node.problem(&format!("`subvolumes` must be {hint}"), &other.place)),
    };
    let mut found: Vec<Subvolume> = Vec::new();
    for entry in entries {
        let Kind::Map(keys) = &entry.kind else {
            return Err(node.problem(&format!("`subvolumes` must be {hint}"), &entry.place));
        };
        let subvolume = subvolume(node, keys.iter().map(|(key, value)| (key.text.as_str(), value)), &entry.place)?;
        if found.iter().any(|other| other.name == subvolume.name) {
            return Err(node.problem(&format!("the subvolume `{}` is there twice", subvolume.name), &entry.place));
        }
        found.push(subvolume);
    }
    Ok(found)
}

fn subvolume<'a>(
    node: &Node<'_>,
    keys: impl Iterator<Item = (&'a str, &'a Value)>,
    place: &Place,
) -> Result<Subvolume, Problem> {
    let (mut name, mut point, mut options) = (None, None, "defaults");
    for (key, value) in keys {
        let Kind::Scalar(text) = &value.kind else {
            return Err(node.problem(&format!("subvolumes: `{key}` must be a single value"), &value.place));
        };
        match key {
            "name" => name = Some((text.as_str(), &value.place)),
            "mount_point" => point = Some(mount_point(node, text, &value.place)?),
            "options" => options = one_word(node, text, &value.place)?,
            _ => {
                let text = format!("subvolumes: `{key}` means nothing here; keys are name, mount_point, options");
                return Err(node.problem(&text, &value.place));
            }
        }
    }
    let Some((name, place)) = name else {
        return Err(node.problem("a subvolume's `name` is missing, as in `name: \"@home\"`", place));
    };
    let plain = |part: &str| !["", ".", ".."].contains(&part) && !part.contains(|c: char| c == ',' || c.is_control());
    if !name.split('/').all(plain) {
        let text =
            format!("`{name}` is not a subvolume's path: names joined by `/`, without one in front, and no commas");
        return Err(node.problem(&text, place));
    }
    if point.as_deref() == Some("none") {
        return Err(node.problem("a subvolume cannot be mounted at `none`; leave `mount_point` out", place));
    }
    // Nothing checks btrfs at boot.
    let fstab = point.is_some().then(|| FstabEntry { options: options.to_owned(), dump_freq: 0, fsck_passno: 0 });
    Ok(Subvolume { name: name.to_owned(), mount_point: point, fstab })
}

/// Swap in one node: the area, its mount `none` and its line in /etc/fstab.
pub(super) fn swap(node: &Node<'_>) -> Result<(Mkfs, Mount, Fstab), Problem> {
    let area = Mkfs {
        name: node.name.clone(),
        base: base(node, DEVICES)?,
        kind: Some("swap".into()),
        label: label(node, Some("swap"))?,
        options: None,
        uuid: super::keys::uuid(node, "uuid")?,
        subvolumes: Vec::new(),
    };
    let mount = Mount { name: format!("mount_{}", node.name), base: node.name.clone(), mount_point: "none".into() };
    let entry = FstabEntry { options: "sw".into(), dump_freq: 0, fsck_passno: 0 };
    let fstab = Fstab { name: format!("fstab_{}", mount.name), base: mount.name.clone(), entry };
    Ok((area, mount, fstab))
}

pub(super) fn mount(node: &Node<'_>) -> Result<Mount, Problem> {
    let (text, place) = required(node, "mount_point", "an absolute path, or `none` for swap")?;
    let mount_point = mount_point(node, text, place)?;
    Ok(Mount { name: node.name.clone(), base: base(node, "mkfs")?, mount_point })
}

fn mount_point(node: &Node<'_>, text: &str, place: &Place) -> Result<String, Problem> {
    let trimmed = if text.len() > 1 { text.trim_end_matches('/') } else { text };
    let plain = trimmed == "/" || trimmed.split('/').skip(1).all(|part| !["", ".", ".."].contains(&part));
    if text != "none" && !(trimmed.starts_with('/') && plain) || text.contains(char::is_control) {
        return Err(
            node.problem(&format!("`{text}` is not a mount point: an absolute path, or `none` for swap"), place)
        );
    }
    Ok(trimmed.to_owned())
}

pub(super) fn fstab(node: &Node<'_>) -> Result<Fstab, Problem> {
    let options = match node.text("options")? {
        None => "defaults",
        Some((text, place)) => one_word(node, text, place)?,
    };
    let entry = FstabEntry {
        options: options.to_owned(),
        dump_freq: number(node, "dump-freq")?.unwrap_or(0),
        fsck_passno: number(node, "fsck-passno")?.unwrap_or(2),
    };
    Ok(Fstab { name: node.name.clone(), base: base(node, "mount")?, entry })
}

fn one_word<'a>(node: &Node<'_>, text: &'a str, place: &Place) -> Result<&'a str, Problem> {
    if text.is_empty() || text.contains(char::is_whitespace) || text.contains(char::is_control) {
        return Err(node.problem("`options` must be one word, its parts joined by commas", place));
    }
    Ok(text)
}
