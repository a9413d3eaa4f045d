//! One node's keys to one typed node.

use uuid::Uuid;

use super::flatten::Node;
use super::{
    Config, Fstab, LocalLoop, Mkfs, Mount, Partition, PartitionSize, Partitioning, ROOT, TableKind, gpt_type, label,
};
use crate::disk::layout::{FstabEntry, PartitionKind};
use crate::disk::size::{self, Size, SizeError};
use crate::disk::yaml::{Kind, Place, Problem, Value};

/// Adds `node` to `config`.
pub(super) fn add(config: &mut Config, node: &Node<'_>) -> Result<(), Problem> {
    match node.kind {
        "local_loop" => config.loops.push(local_loop(node)?),
        "partitioning" => config.tables.push(partitioning(node, &mut config.warnings)?),
        "mkfs" => config.filesystems.push(mkfs(node)?),
        "mount" => config.mounts.push(mount(node)?),
        "fstab" => config.fstab.push(fstab(node)?),
        _ => return Err(node.problem("LVM is not in this version; put the file systems on partitions", &node.place)),
    }
    let known: &[&str] = match node.kind {
        "local_loop" => &["size", "directory", "block_size"],
        "partitioning" => &["label", "align", "partitions"],
        "mkfs" => &["type", "label", "opts", "uuid"],
        "mount" => &["mount_point"],
        _ => &["options", "dump-freq", "fsck-passno"],
    };
    warn_of_unknown(node, known, &mut config.warnings);
    Ok(())
}

/// DIB ignores unknown keys, so they are no errors; but most are misspelt.
fn warn_of_unknown(node: &Node<'_>, known: &[&str], warnings: &mut Vec<String>) {
    for (key, _) in node.keys.iter().filter(|(key, _)| !["name", "base"].contains(&key.text.as_str())) {
        if !known.contains(&key.text.as_str()) {
            let (kind, name, line) = (node.kind, &node.name, key.place.line);
            let keys = known.join(", ");
            warnings.push(format!("line {line}: {kind} `{name}`: `{}` means nothing here; keys are {keys}", key.text));
        }
    }
}

fn local_loop(node: &Node<'_>) -> Result<LocalLoop, Problem> {
    let block_size = match node.text("block_size")? {
        None | Some(("512", _)) => 512,
        Some(("4096", _)) => 4096,
        Some((text, place)) => return Err(node.problem(&format!("block_size `{text}` is neither 512 nor 4096"), place)),
    };
    Ok(LocalLoop { name: node.name.clone(), size: absolute(node, "size")?, block_size })
}

fn partitioning(node: &Node<'_>, warnings: &mut Vec<String>) -> Result<Partitioning, Problem> {
    let label = match required(node, "label", "`mbr` or `gpt`")? {
        ("mbr", _) => TableKind::Mbr,
        ("gpt", _) => TableKind::Gpt,
        (text, place) => return Err(node.problem(&format!("label `{text}` is neither `mbr` nor `gpt`"), place)),
    };
    let align = absolute(node, "align")?.unwrap_or(1 << 20);
    if align == 0 || !align.is_multiple_of(4096) {
        return Err(node.problem("`align` must be a multiple of 4 KiB, as in `1MiB`", &node.place));
    }
    let mut partitions = Vec::new();
    for entry in &node.partitions {
        partitions.push(partition(entry, label)?);
        warn_of_unknown(entry, &["size", "type", "flags"], warnings);
    }
    Ok(Partitioning {
        name: node.name.clone(),
        base: base(node, "local_loop")?,
        label,
        align,
        disk_id: None,
        guid: None,
        partitions,
    })
}

fn partition(node: &Node<'_>, table: TableKind) -> Result<Partition, Problem> {
    let (text, place) = required(node, "size", "a size as in `550MiB`; `100%` is all that is left")?;
    let size = Size::parse(text).map_err(|error| size_problem(node, "size", &error, place))?;
    let (mut boot, mut primary) = (false, false);
    for (flag, place) in words(node, "flags")? {
        match flag {
            "boot" => boot = true,
            "primary" if table == TableKind::Mbr => primary = true,
            "primary" => return Err(node.problem("a GPT has no primary partitions; remove the flag", place)),
            _ => return Err(node.problem(&format!("unknown flag `{flag}`; flags are boot and primary"), place)),
        }
    }
    let kind = kind(node, table)?;
    if table == TableKind::Gpt && node.name.encode_utf16().count() > 36 {
        return Err(node.problem("the name of a GPT partition has at most 36 characters", &node.place));
    }
    Ok(Partition {
        name: node.name.clone(),
        label: None,
        size: PartitionSize::Exactly(size),
        kind,
        boot: boot && table == TableKind::Mbr,
        primary,
        guid: None,
        attributes: 0,
        hybrid: None,
    })
}

fn kind(node: &Node<'_>, table: TableKind) -> Result<PartitionKind, Problem> {
    let written = node.text("type")?;
    match table {
        TableKind::Mbr => {
            let Some((text, place)) = written else { return Ok(PartitionKind::Mbr(0x83)) };
            let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
            match u8::from_str_radix(digits, 16) {
                Ok(0) | Err(_) => {
                    let hint = "types of an MBR are 0x01 to 0xff, as in `0x83` (Linux), `0x82` (swap), `0xef` (EFI), `0x41` (PReP)";
                    Err(node.problem(&format!("`{text}` is not a type of an MBR partition; {hint}"), place))
                }
                Ok(byte) => Ok(PartitionKind::Mbr(byte)),
            }
        }
        TableKind::Gpt => {
            let (text, place) = written.unwrap_or(("8300", &node.place));
            gpt_type::of(text).map(PartitionKind::Gpt).ok_or_else(|| {
                let known: Vec<_> = gpt_type::TYPES.iter().map(|(code, _)| *code).collect();
                let hint = format!("write a GUID or one of {}", known.join(", "));
                node.problem(&format!("`{text}` is not a type of a GPT partition; {hint}"), place)
            })
        }
    }
}

fn mkfs(node: &Node<'_>) -> Result<Mkfs, Problem> {
    let kind = match node.text("type")? {
        None if node.name == ROOT => None,
        None => return Err(node.problem("`type` is missing: ext4, vfat, swap, …", &node.place)),
        Some((text, _)) => Some(text.to_owned()),
    };
    let mut label = node.text("label")?.map(|(text, _)| text.to_owned());
    if let Some(kind) = &kind {
        // A label that is not given is the node's name, which has to fit as well.
        let given = label.as_deref().or((node.name != ROOT).then_some(node.name.as_str()));
        if let Some(given) = given {
            let fitting = label::check(kind, given).map_err(|error| node.problem(&error.to_string(), &node.place))?;
            label = label.is_some().then_some(fitting);
        }
    }
    let options = node.text("opts")?.map(|(text, _)| text.split_whitespace().map(str::to_owned).collect());
    let uuid = match node.text("uuid")? {
        None => None,
        Some((text, place)) => {
            Some(Uuid::try_parse(text).map_err(|_| node.problem(&format!("`{text}` is not a UUID"), place))?)
        }
    };
    Ok(Mkfs {
        name: node.name.clone(),
        base: base(node, "partition or local_loop")?,
        kind,
        label,
        options,
        uuid,
        subvolumes: Vec::new(),
    })
}

fn mount(node: &Node<'_>) -> Result<Mount, Problem> {
    let (text, place) = required(node, "mount_point", "an absolute path, or `none` for swap")?;
    let trimmed = if text.len() > 1 { text.trim_end_matches('/') } else { text };
    let plain = trimmed == "/" || trimmed.split('/').skip(1).all(|part| !["", ".", ".."].contains(&part));
    if text != "none" && !(trimmed.starts_with('/') && plain) || text.contains(char::is_control) {
        return Err(
            node.problem(&format!("`{text}` is not a mount point: an absolute path, or `none` for swap"), place)
        );
    }
    Ok(Mount { name: node.name.clone(), base: base(node, "mkfs")?, mount_point: trimmed.to_owned() })
}

fn fstab(node: &Node<'_>) -> Result<Fstab, Problem> {
    let options = node.text("options")?.map_or("defaults", |(text, _)| text);
    if options.is_empty() || options.contains(char::is_whitespace) {
        return Err(node.problem("`options` must be one word, its parts joined by commas", &node.place));
    }
    let entry = FstabEntry {
        options: options.to_owned(),
        dump_freq: number(node, "dump-freq", 0)?,
        fsck_passno: number(node, "fsck-passno", 2)?,
    };
    Ok(Fstab { name: node.name.clone(), base: base(node, "mount")?, entry })
}

fn base(node: &Node<'_>, what: &str) -> Result<String, Problem> {
    node.base.clone().ok_or_else(|| {
        node.problem(&format!("`base` is missing: the name of a {what}; or nest the node inside it"), &node.place)
    })
}

fn required<'a>(node: &Node<'a>, key: &str, what: &str) -> Result<(&'a str, &'a Place), Problem> {
    node.text(key)?.ok_or_else(|| node.problem(&format!("`{key}` is missing: {what}"), &node.place))
}

fn absolute(node: &Node<'_>, key: &str) -> Result<Option<u64>, Problem> {
    let Some((text, place)) = node.text(key)? else { return Ok(None) };
    size::absolute(text).map(Some).map_err(|error| size_problem(node, key, &error, place))
}

fn size_problem(node: &Node<'_>, key: &str, error: &SizeError, place: &Place) -> Problem {
    node.problem(&format!("{key}: {error}"), place)
}

fn number(node: &Node<'_>, key: &str, default: u32) -> Result<u32, Problem> {
    let Some((text, place)) = node.text(key)? else { return Ok(default) };
    text.parse().map_err(|_| node.problem(&format!("{key}: `{text}` is not a whole number"), place))
}

/// The words of a list of single values.
fn words<'a>(node: &Node<'a>, key: &str) -> Result<Vec<(&'a str, &'a Place)>, Problem> {
    let items = match node.get(key) {
        None => return Ok(Vec::new()),
        Some(Value { kind: Kind::List(items), .. }) => items,
        Some(other) => {
            return Err(node.problem(&format!("`{key}` must be a list, as in `[boot, primary]`"), &other.place));
        }
    };
    let word = |item: &'a Value| match &item.kind {
        Kind::Scalar(text) => Ok((text.as_str(), &item.place)),
        _ => Err(node.problem(&format!("`{key}` must be a list of words"), &item.place)),
    };
    items.iter().map(word).collect()
}
