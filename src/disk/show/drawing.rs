//! A layout as an SVG drawing: a bar for each disk, container and group, divided into what is in it.
//!
//! The picture needs nothing from outside: styles and texts are in it. Parts are as wide as they are large, but never too narrow
//! to be seen; each tells its exact place and size when pointed at.

use std::fmt::Write;

use super::{Content, kind};
use crate::disk::layout::{Device, Disk, Layout, VolumeGroup, VolumeKind};
use crate::disk::size::{exact, human};

/// Pixels.
const WIDTH: f64 = 960.0;
const MARGIN: f64 = 20.0;
const BAR: f64 = 72.0;
const TITLE: f64 = 28.0;
const GAP: f64 = 22.0;
/// No part is narrower.
const NARROWEST: f64 = 70.0;

const STYLE: &str = "\
text { font: 13px system-ui, sans-serif; fill: #1c1c1c }
.title { font-weight: 600 }
.small { font-size: 11px; fill: #3d3d3d }
rect { stroke: #5b5b5b; stroke-width: 1 }
.back { fill: #ffffff; stroke: none }
.system { fill: #cfe3f7 }
.swap { fill: #f7dcc4 }
.firmware { fill: #e4d7f5 }
.luks { fill: #f5cfd2 }
.lvm { fill: #d6ecd2 }
.hashes { fill: #f4ecc2 }
.other { fill: #e3e3e3 }
.free { fill: #ffffff; stroke-dasharray: 4 3 }
";

/// A part of a bar.
struct Part {
    class: &'static str,
    bytes: u64,
    name: String,
    more: String,
    tip: String,
}

/// The drawing.
pub fn draw(layout: &Layout) -> String {
    let mut bars = Vec::new();
    for disk in &layout.disks {
        let title = format!("{} · {} · sectors of {} bytes", disk.name, human(disk.size), disk.sector_size);
        bars.push((title, disk_parts(layout, disk)));
    }
    for luks in &layout.luks {
        let device = Device::Luks { container: luks.name.clone() };
        let title = format!("{} · LUKS2 on {}", luks.name, layout.name_of(&luks.device));
        bars.push((
            title,
            vec![part(layout, &device, &luks.name, luks.size, format!("{} encrypted", exact(luks.size)))],
        ));
    }
    for group in &layout.volume_groups {
        let on: Vec<_> = group.physical_volumes.iter().map(|volume| layout.name_of(&volume.device)).collect();
        bars.push((format!("{} · volume group on {}", group.name, on.join(" and ")), group_parts(layout, group)));
    }
    let height = MARGIN + bars.len() as f64 * (TITLE + BAR + GAP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\">\n<title>Disk layout</title>\n<style>{STYLE}</style>\n\
         <rect class=\"back\" width=\"{WIDTH}\" height=\"{height}\"/>\n"
    );
    let mut top = MARGIN;
    for (title, parts) in &bars {
        let _ = writeln!(svg, "<text class=\"title\" x=\"{MARGIN}\" y=\"{}\">{}</text>", top + 14.0, escaped(title));
        bar(&mut svg, top + TITLE, parts);
        top += TITLE + BAR + GAP;
    }
    svg + "</svg>\n"
}

fn disk_parts(layout: &Layout, disk: &Disk) -> Vec<Part> {
    if disk.partitions.is_empty() {
        let device = Device::Disk { disk: disk.name.clone() };
        return vec![part(layout, &device, &disk.name, disk.size, "the whole disk".into())];
    }
    let (mut parts, mut end) = (Vec::new(), 0);
    for partition in disk.partitions.iter().filter(|partition| !partition.is_extended()) {
        // Tables and alignment take 1 MiB here and there; only more is worth a part of its own.
        gap(&mut parts, partition.start.saturating_sub(end), end);
        let device = Device::Partition { disk: disk.name.clone(), number: partition.number };
        let tip = format!(
            "partition {}, type {}: {} from {}",
            partition.number,
            kind(partition),
            exact(partition.size),
            exact(partition.start)
        );
        parts.push(part(layout, &device, &partition.name, partition.size, tip));
        end = partition.start + partition.size;
    }
    gap(&mut parts, disk.size.saturating_sub(end), end);
    parts
}

fn group_parts(layout: &Layout, group: &VolumeGroup) -> Vec<Part> {
    let (mut parts, mut used) = (Vec::new(), group.spare.as_ref().map_or(0, |spare| spare.size));
    for volume in &group.volumes {
        let device = Device::Volume { group: group.name.clone(), volume: volume.name.clone() };
        let mut part = part(layout, &device, &volume.name, volume.size, exact(volume.size));
        match &volume.kind {
            VolumeKind::Linear { .. } => used += volume.size,
            VolumeKind::ThinPool { metadata, .. } => {
                used += volume.size + metadata.size;
                part.class = "lvm";
                part.more = "thin pool".into();
            }
            // It is only as large as what is written to it.
            VolumeKind::Thin { pool, .. } => {
                part.bytes = 0;
                part.tip = format!("{} promised, taken from {pool}", exact(volume.size));
            }
        }
        parts.push(part);
    }
    let whole: u64 = group.physical_volumes.iter().map(|volume| volume.extents * group.extent_size).sum();
    gap(&mut parts, whole.saturating_sub(used), used);
    parts
}

fn part(layout: &Layout, device: &Device, name: &str, bytes: u64, tip: String) -> Part {
    let content = Content::of(layout, device);
    let class = match &content {
        Content::FileSystem(filesystem) => match filesystem.kind.as_str() {
            "swap" => "swap",
            "vfat" | "fat" => "firmware",
            _ => "system",
        },
        Content::Luks(_) => "luks",
        Content::PhysicalVolume(_) => "lvm",
        Content::Hashes(_) => "hashes",
        Content::Nothing => "other",
    };
    let mut points = content.point().to_owned();
    if let Content::FileSystem(filesystem) = content {
        let all: Vec<_> = filesystem.mounts().map(|mounted| mounted.point).collect();
        points = all.join(", ");
    }
    let more = format!("{} {points}", Content::of(layout, device).words()).trim().to_owned();
    Part { class, bytes, name: name.to_owned(), more, tip }
}

fn gap(parts: &mut Vec<Part>, bytes: u64, start: u64) {
    if bytes > 2 << 20 {
        let tip = format!("{} free from {}", exact(bytes), exact(start));
        parts.push(Part { class: "free", bytes, name: "free".into(), more: String::new(), tip });
    }
}

fn bar(svg: &mut String, top: f64, parts: &[Part]) {
    let mut left = MARGIN;
    for (part, width) in parts.iter().zip(widths(parts)) {
        let Part { class, bytes, name, more, tip } = part;
        let (name, more, tip) = (escaped(name), escaped(more), escaped(tip));
        let size = if *bytes > 0 { human(*bytes) } else { String::new() };
        // The inner svg cuts off what is too long.
        let _ = writeln!(
            svg,
            "<svg x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{BAR}\"><title>{name}: {tip}</title>\
             <rect class=\"{class}\" x=\"0.5\" y=\"0.5\" width=\"{:.1}\" height=\"{}\" rx=\"3\"/>\
             <text x=\"7\" y=\"22\">{name}</text><text class=\"small\" x=\"7\" y=\"41\">{size}</text>\
             <text class=\"small\" x=\"7\" y=\"59\">{more}</text></svg>",
            width - 1.0,
            BAR - 1.0
        );
        left += width;
    }
}

/// Pixels of each part: as its bytes, after every part has the least.
fn widths(parts: &[Part]) -> Vec<f64> {
    let whole = WIDTH - 2.0 * MARGIN;
    let least = NARROWEST.min(whole / parts.len().max(1) as f64);
    let bytes: f64 = parts.iter().map(|part| part.bytes as f64).sum();
    let rest = whole - least * parts.len() as f64;
    parts.iter().map(|part| least + if bytes > 0.0 { rest * part.bytes as f64 / bytes } else { 0.0 }).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
