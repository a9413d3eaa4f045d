//! Disks, partition tables and partitions.

use super::keys::{absolute, base, flag, hexadecimal, label, number, required, uuid, words};
use crate::disk::config::flatten::Node;
use crate::disk::config::{LocalLoop, Partition, PartitionSize, Partitioning, TableKind, gpt_type};
use crate::disk::layout::PartitionKind;
use crate::disk::size::Size;
use crate::disk::yaml::{Place, Problem};

/// The keys of a partition.
pub(super) const PARTITION_KEYS: &[&str] =
    &["size", "minimum", "weight", "grow", "type", "flags", "label", "uuid", "attributes", "hybrid"];

/// GPT's attributes by name and bit (UEFI specification, table 5.8; Discoverable Partitions Specification).
const ATTRIBUTES: [(&str, u32); 6] = [
    ("required", 0),
    ("no-block-io", 1),
    ("legacy-boot", 2),
    ("grow-file-system", 59),
    ("read-only", 60),
    ("no-auto", 63),
];

/// Names in a GPT have 36 places of 16 bits.
const LABEL: usize = 36;

pub(super) fn local_loop(node: &Node<'_>) -> Result<LocalLoop, Problem> {
    let block_size = match node.text("block_size")? {
        None | Some(("512", _)) => 512,
        Some(("4096", _)) => 4096,
        Some((text, place)) => return Err(node.problem(&format!("block_size `{text}` is neither 512 nor 4096"), place)),
    };
    if node.name.contains('/') {
        return Err(node.problem("the name of a disk is that of a file: it has no `/`", &node.place));
    }
    Ok(LocalLoop { name: node.name.clone(), size: absolute(node, "size")?, block_size })
}

pub(super) fn partitioning(node: &Node<'_>) -> Result<Partitioning, Problem> {
    let label = match required(node, "label", "`mbr` or `gpt`")? {
        ("mbr", _) => TableKind::Mbr,
        ("gpt", _) => TableKind::Gpt,
        (text, place) => return Err(node.problem(&format!("label `{text}` is neither `mbr` nor `gpt`"), place)),
    };
    let align = absolute(node, "align")?.unwrap_or(1 << 20);
    if align == 0 || !align.is_multiple_of(4096) || align > 1 << 30 {
        return Err(node.problem("`align` must be a multiple of 4 KiB and at most 1 GiB, as in `1MiB`", &node.place));
    }
    let mut table = Partitioning {
        name: node.name.clone(),
        base: base(node, "local_loop")?,
        label,
        align,
        disk_id: disk_id(node)?,
        guid: uuid(node, "uuid")?,
        partitions: Vec::new(),
    };
    match label {
        TableKind::Mbr if table.guid.is_some() => {
            return Err(
                node.problem("`uuid` is a GPT's; an MBR has `disk_id`, as in `disk_id: 0x12345678`", &node.place)
            );
        }
        TableKind::Gpt if table.disk_id.is_some() => {
            return Err(node.problem("`disk_id` is an MBR's; a GPT has `uuid`", &node.place));
        }
        _ => {}
    }
    for entry in &node.entries {
        table.partitions.push(partition(entry, label)?);
    }
    shares(node, &table)?;
    let hybrid = table.partitions.iter().filter(|partition| partition.hybrid.is_some()).count();
    if hybrid > 3 {
        let text =
            format!("a hybrid MBR has room for three partitions beside its entry for the GPT; here are {hybrid}");
        return Err(node.problem(&text, &node.place));
    }
    Ok(table)
}

/// What `%` means depends on the order of partitions, what a weight means on all of them: together they mean nothing.
fn shares(node: &Node<'_>, table: &Partitioning) -> Result<(), Problem> {
    let flexible = |partition: &&Partition| matches!(partition.size, PartitionSize::Flexible { .. });
    let share = |partition: &&Partition| matches!(partition.size, PartitionSize::Exactly(Size::Percent(_)));
    match (table.partitions.iter().find(flexible), table.partitions.iter().find(share)) {
        (Some(grows), Some(share)) => {
            let text = format!(
                "`{}` has a share in per cent, `{}` one by minimum, weight or grow; use one way for all partitions of a table",
                share.name, grows.name
            );
            Err(node.problem(&text, &node.place))
        }
        _ => Ok(()),
    }
}

fn disk_id(node: &Node<'_>) -> Result<Option<u32>, Problem> {
    let Some((text, place)) = node.text("disk_id")? else { return Ok(None) };
    match hexadecimal(text) {
        Some(number) if number != 0 => Ok(Some(number)),
        _ => {
            let text =
                format!("disk_id: `{text}` is not a hexadecimal number of 32 bits other than 0, as in `0x12345678`");
            Err(node.problem(&text, place))
        }
    }
}

fn partition(node: &Node<'_>, table: TableKind) -> Result<Partition, Problem> {
    let size = size(node)?;
    let (mut boot, mut primary) = (false, false);
    for (flag, place) in words(node, "flags", "[boot, primary]")? {
        match flag {
            "boot" => boot = true,
            "primary" if table == TableKind::Mbr => primary = true,
            "primary" => return Err(node.problem("a GPT has no primary partitions; remove the flag", place)),
            _ => return Err(node.problem(&format!("unknown flag `{flag}`; flags are boot and primary"), place)),
        }
    }
    let kind = kind(node, table)?;
    let hybrid = match node.text("hybrid")? {
        None => None,
        Some((text, place)) => Some(mbr_type(node, text, place)?),
    };
    let label = label(node)?.map(|(text, _)| text.to_owned());
    let guid = uuid(node, "uuid")?;
    let attributes = attributes(node)?;
    if table == TableKind::Mbr {
        let given = [("hybrid", hybrid.is_some()), ("label", label.is_some()), ("uuid", guid.is_some())];
        let given = given.into_iter().chain([("attributes", attributes != 0)]);
        if let Some((key, _)) = given.into_iter().find(|(_, given)| *given) {
            let text =
                format!("`{key}` is for partitions of a GPT; an MBR keeps nothing of the kind: use `label: gpt`");
            return Err(node.problem(&text, &node.place));
        }
    } else if label.as_deref().unwrap_or(&node.name).encode_utf16().count() > LABEL {
        let text = format!("the name of a GPT partition has at most {LABEL} characters; set a shorter `label`");
        return Err(node.problem(&text, &node.place));
    }
    let boot = boot && (table == TableKind::Mbr || hybrid.is_some());
    Ok(Partition { name: node.name.clone(), label, size, kind, boot, primary, guid, attributes, hybrid })
}

/// `size` alone is exact; with `minimum`, `weight` or `grow` the partition takes its part of what is left.
fn size(node: &Node<'_>) -> Result<PartitionSize, Problem> {
    let written = match node.text("size")? {
        None => None,
        Some((text, place)) => {
            let size = Size::parse(text).map_err(|error| node.problem(&format!("size: {error}"), place))?;
            Some((size, place))
        }
    };
    let (minimum, weight, grow) = (absolute(node, "minimum")?, number(node, "weight")?, flag(node, "grow")?);
    let weight = weight.or((grow || minimum.is_some()).then_some(1));
    let minimum = match (written, weight, minimum) {
        (Some((size, _)), None, _) => return Ok(PartitionSize::Exactly(size)),
        (Some((_, place)), _, Some(_)) => {
            return Err(node.problem("`size` and `minimum` say two things; keep one of them", place));
        }
        (Some((Size::Percent(_), place)), ..) => {
            let text = "a share in per cent cannot have a weight or grow; use `minimum` or a size as in `550MiB`";
            return Err(node.problem(text, place));
        }
        (Some((Size::Bytes(bytes), _)), ..) => bytes,
        (None, Some(_), minimum) => minimum.unwrap_or_default(),
        (None, None, _) => {
            let text = "`size` is missing: a size as in `550MiB`; `100%` is all that is left; or `minimum`, `weight` or `grow`";
            return Err(node.problem(text, &node.place));
        }
    };
    let weight = weight.unwrap_or_default();
    if minimum == 0 && weight == 0 {
        return Err(node.problem("without a minimum and with weight 0 it would have no room at all", &node.place));
    }
    Ok(PartitionSize::Flexible { minimum, weight })
}

fn kind(node: &Node<'_>, table: TableKind) -> Result<PartitionKind, Problem> {
    let written = node.text("type")?;
    match table {
        TableKind::Mbr => match written {
            None => Ok(PartitionKind::Mbr(0x83)),
            Some((text, place)) => mbr_type(node, text, place).map(PartitionKind::Mbr),
        },
        TableKind::Gpt => {
            let (text, place) = written.unwrap_or(("8300", &node.place));
            gpt_type::of(text).map(PartitionKind::Gpt).ok_or_else(|| {
                let hint = format!("write a GUID, or a code of sgdisk (`sgdisk -L`): {}", gpt_type::COMMON);
                node.problem(&format!("`{text}` is not a type of a GPT partition; {hint}"), place)
            })
        }
    }
}

fn mbr_type(node: &Node<'_>, text: &str, place: &Place) -> Result<u8, Problem> {
    match hexadecimal(text).and_then(|number| u8::try_from(number).ok()) {
        None | Some(0) => {
            let hint =
                "types of an MBR are 0x01 to 0xff, as in `0x83` (Linux), `0x82` (swap), `0xef` (EFI), `0x41` (PReP)";
            Err(node.problem(&format!("`{text}` is not a type of an MBR partition; {hint}"), place))
        }
        Some(0x05 | 0x0f | 0x85) => {
            let hint = "kiln makes it itself when a partition lacks the flag `primary`";
            Err(node.problem(&format!("`{text}` is the type of an extended partition; {hint}"), place))
        }
        Some(byte) => Ok(byte),
    }
}

fn attributes(node: &Node<'_>) -> Result<u64, Problem> {
    let mut bits = 0;
    for (text, place) in words(node, "attributes", "[legacy-boot, read-only]")? {
        let named = ATTRIBUTES.iter().find(|(name, _)| *name == text).map(|(_, bit)| *bit);
        // The others are reserved.
        let numbered = || text.parse().ok().filter(|bit| (0..=2).contains(bit) || (48..=63).contains(bit));
        let Some(bit) = named.or_else(numbered) else {
            let names: Vec<_> = ATTRIBUTES.iter().map(|(name, _)| *name).collect();
            let hint = format!("write one of {}, or a bit's number: 0 to 2 and 48 to 63", names.join(", "));
            return Err(node.problem(&format!("`{text}` is not an attribute of a GPT partition; {hint}"), place));
        };
        bits |= 1u64 << bit;
    }
    Ok(bits)
}
