//! A layout as a table in plain text: disks, containers and groups, each with what is in it, then /etc/fstab.

use std::fmt::Write;

use super::{Content, kind};
use crate::disk::fstab;
use crate::disk::layout::{Device, Disk, Layout, LogicalVolume, Luks, Table, VolumeGroup, VolumeKind};
use crate::disk::size::exact;

/// The columns.
const HEAD: [&str; 8] = ["no", "name", "start", "size", "type", "content", "label", "mounted at"];

type Row = [String; 8];

/// The table. Sizes are exact.
pub fn table(layout: &Layout) -> String {
    let mut sections = Vec::new();
    for disk in &layout.disks {
        sections.push((disk_title(disk), disk_rows(layout, disk)));
    }
    for luks in &layout.luks {
        let device = Device::Luks { container: luks.name.clone() };
        let mut rows = vec![row(layout, &device, ["", &luks.name, &exact(luks.header), &exact(luks.size), ""])];
        subvolumes(layout, &device, &mut rows);
        sections.push((container_title(layout, luks), rows));
    }
    for group in &layout.volume_groups {
        sections.push((group_title(layout, group), group_rows(layout, group)));
    }
    let mut text = render(&sections);
    for verity in &layout.verity {
        let (name, data, hash) = (&verity.name, layout.name_of(&verity.data), layout.name_of(&verity.hash));
        let (algorithm, blocks, size) = (&verity.algorithm, verity.data_blocks, exact(verity.hash_size));
        let _ =
            writeln!(text, "\n{name}: {data} is verified by {size} of hashes on {hash} ({algorithm}, {blocks} blocks)");
    }
    let fstab = fstab::text(layout);
    if !fstab.is_empty() {
        let _ = write!(text, "\n/etc/fstab:\n{fstab}");
    }
    text
}

fn disk_title(disk: &Disk) -> String {
    let table = match disk.table {
        Some(Table::Mbr { disk_id }) => format!("mbr 0x{disk_id:08x}"),
        Some(Table::Gpt { guid }) => format!("gpt {guid}"),
        None => "no partition table".into(),
    };
    format!("{}: {}, sectors of {} bytes, {table}", disk.name, exact(disk.size), disk.sector_size)
}

fn container_title(layout: &Layout, luks: &Luks) -> String {
    let on = layout.name_of(&luks.device);
    let (cipher, bits, sector) = (&luks.cipher, luks.key_bits, luks.sector_size);
    let (name, secret) = (&luks.name, &luks.secret);
    format!(
        "{name}: LUKS2 on {on}, {cipher} with {bits} bits, sectors of {sector} bytes, opened by the secret {secret}"
    )
}

fn group_title(layout: &Layout, group: &VolumeGroup) -> String {
    let on: Vec<_> = group.physical_volumes.iter().map(|volume| layout.name_of(&volume.device)).collect();
    let extents: u64 = group.physical_volumes.iter().map(|volume| volume.extents).sum();
    format!("{}: volume group on {}, {extents} extents of {}", group.name, on.join(" and "), exact(group.extent_size))
}

fn disk_rows(layout: &Layout, disk: &Disk) -> Vec<Row> {
    let mut rows = Vec::new();
    for partition in &disk.partitions {
        let device = Device::Partition { disk: disk.name.clone(), number: partition.number };
        let mut kind = kind(partition);
        if partition.boot {
            kind.push_str(" boot");
        }
        if let Some(byte) = partition.hybrid {
            let _ = write!(kind, " hybrid 0x{byte:02x}");
        }
        let number = partition.number.to_string();
        let start = [&number, &partition.name, &exact(partition.start), &exact(partition.size), &kind];
        let mut row = row(layout, &device, start.map(String::as_str));
        if partition.is_extended() {
            row[5] = "logical partitions".into();
        }
        rows.push(row);
        subvolumes(layout, &device, &mut rows);
    }
    if disk.partitions.is_empty() {
        let device = Device::Disk { disk: disk.name.clone() };
        rows.push(row(layout, &device, ["", &disk.name, &exact(0), &exact(disk.size), ""]));
        subvolumes(layout, &device, &mut rows);
    }
    rows
}

fn group_rows(layout: &Layout, group: &VolumeGroup) -> Vec<Row> {
    let mut rows = Vec::new();
    for volume in &group.volumes {
        let device = Device::Volume { group: group.name.clone(), volume: volume.name.clone() };
        // A volume in one piece has a place on its disk.
        let start = layout.region(&device).map(|region| exact(region.start)).unwrap_or_default();
        let row = row(layout, &device, ["", &volume.name, &start, &exact(volume.size), &volume_kind(volume)]);
        rows.push(row);
        subvolumes(layout, &device, &mut rows);
    }
    rows
}

fn volume_kind(volume: &LogicalVolume) -> String {
    match &volume.kind {
        VolumeKind::Linear { segments } if segments.len() > 1 => format!("linear in {} pieces", segments.len()),
        VolumeKind::Linear { .. } => "linear".into(),
        VolumeKind::ThinPool { metadata, .. } => format!("thin pool, {} of metadata", exact(metadata.size)),
        VolumeKind::Thin { pool, .. } => format!("thin in {pool}"),
    }
}

fn row(layout: &Layout, device: &Device, start: [&str; 5]) -> Row {
    let content = Content::of(layout, device);
    let [number, name, at, size, kind] = start.map(str::to_owned);
    [number, name, at, size, kind, content.words(), content.label().to_owned(), content.point().to_owned()]
}

fn subvolumes(layout: &Layout, device: &Device, rows: &mut Vec<Row>) {
    let Content::FileSystem(filesystem) = Content::of(layout, device) else { return };
    for subvolume in &filesystem.subvolumes {
        let mut row = Row::default();
        row[1] = format!("  {}", subvolume.name);
        row[5] = "subvolume".into();
        row[7] = subvolume.mount_point.clone().unwrap_or_default();
        rows.push(row);
    }
}

/// All sections with the same widths, so that columns stand below each other.
fn render(sections: &[(String, Vec<Row>)]) -> String {
    let all = sections.iter().flat_map(|(_, rows)| rows);
    let mut widths = HEAD.map(str::len);
    for row in all {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[&str]| {
        let padded: Vec<_> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("  {}\n", padded.join("  ").trim_end())
    };
    let mut text = String::new();
    for (title, rows) in sections {
        if !text.is_empty() {
            text.push('\n');
        }
        text += &format!("{title}\n{}", line(&HEAD));
        for row in rows {
            text += &line(&row.each_ref().map(String::as_str));
        }
    }
    text
}
