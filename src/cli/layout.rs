//! `kiln layout`: solves a block-device description and shows it, without building anything.
//!
//! In: a description in a file. Out: a table or JSON on standard output; on request a drawing, and the partitioned image without
//! content. What a build takes from the environment for the layout (`FS_TYPE`, `ROOT_LABEL`, `DIB_BLOCK_SIZE`) counts here too.

use std::fs;
use std::process::ExitCode;

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;

use super::partial::Partial;
use super::{size, variables};
use crate::disk::config::{self, Config, TableKind};
use crate::disk::image_size::image_size;
use crate::disk::layout::Layout;
use crate::disk::{direct, show, solve};
use crate::format;
use crate::plan::DiskParameters;

/// Words of `kiln layout`.
#[derive(Args, Debug)]
pub struct LayoutArgs {
    /// The description: YAML in DIB's language
    #[arg(value_name = "CONFIG.yaml")]
    config: Utf8PathBuf,
    /// Size of disks that name none: GiB, or with a unit as in 512MiB; the smallest that fits when absent
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    image_size: Option<u64>,
    /// Print JSON: all sizes and offsets are bytes
    #[arg(long)]
    json: bool,
    /// Write the partitioned image without content; further disks are written beside it, their names before the suffix
    #[arg(long, value_name = "FILE")]
    write: Option<Utf8PathBuf>,
    /// Draw the layout as SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<Utf8PathBuf>,
    /// Identifiers follow from this text
    #[arg(long, value_name = "TEXT", default_value = "kiln layout")]
    seed: String,
    /// Signature of the first disk that has an MBR, as in 0x12345678
    #[arg(long, value_name = "NUMBER", value_parser = disk_id)]
    disk_id: Option<u32>,
}

fn disk_id(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let number = u32::from_str_radix(digits, 16).ok().filter(|number| *number != 0 && !digits.starts_with('+'));
    number.ok_or_else(|| "a signature is a hexadecimal number of 32 bits other than 0, as in 0x12345678".to_owned())
}

/// Carries out `args`.
pub fn run(args: &LayoutArgs) -> ExitCode {
    let shown = outputs(args).and_then(|()| solved(args)).and_then(|layout| {
        write(args, &layout)?;
        if args.json { show::json(&layout).map_err(|error| error.to_string()) } else { Ok(show::table(&layout)) }
    });
    match shown {
        Ok(text) => {
            super::print(&text);
            ExitCode::SUCCESS
        }
        Err(message) => super::refuse(&message),
    }
}

/// Refuses files that would be written over what is read, over each other, or with a name that promises another format.
fn outputs(args: &LayoutArgs) -> Result<(), String> {
    let real = |path: &Utf8Path| path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned());
    for path in [&args.write, &args.svg].into_iter().flatten() {
        if real(path) == real(&args.config) {
            return Err(format!("{path} is the description itself; name another file"));
        }
        format::check_place(path).map_err(|error| error.to_string())?;
    }
    let Some(path) = &args.write else { return Ok(()) };
    if args.svg.as_ref().is_some_and(|svg| real(svg) == real(path)) {
        return Err(format!("{path} cannot be both the image and the drawing; name another file"));
    }
    match format::of_file(path.file_name().unwrap_or_default()).filter(|format| format.name != "raw") {
        None => Ok(()),
        Some(format) => Err(format!(
            "--write writes a raw image, and {path} has the name of another format ({}); write a raw one, and `kiln convert` makes others of it",
            format.name
        )),
    }
}

fn solved(args: &LayoutArgs) -> Result<Layout, String> {
    let path = &args.config;
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read the description {path}: {error}"))?;
    let mut config = config::parse(&text, path.as_str()).map_err(|error| error.diagnostic.render(super::colour()))?;
    config.warnings.iter().for_each(|warning| super::warn(&format!("{path}: {warning}")));
    if let Some(size) = variables::var("DIB_BLOCK_SIZE") {
        config.set_sector_size(&size).map_err(|error| error.to_string())?;
    }
    if let Some(id) = args.disk_id {
        set_disk_id(&mut config, id)?;
    }
    let parameters = DiskParameters {
        image_size: args.image_size,
        image_extra_size: None,
        journal_size: 64 << 20,
        efi: false,
        root_fs_type: variables::var("FS_TYPE").unwrap_or_else(|| "ext4".into()),
        root_label: variables::var("ROOT_LABEL"),
        mkfs_options: Vec::new(),
        max_online_resize: None,
        dib_strict: false,
    };
    // A size that was asked for is what a build makes of it.
    let asked = args.image_size.map(|_| image_size(&parameters, 0));
    let size = asked.map_or_else(|| solve::minimum(&config, &parameters), Ok);
    let layout = size.and_then(|size| solve::solve(&config, &parameters, size, &args.seed));
    layout.map_err(|error| format!("{}: {error}", config.place(path.as_str(), error.node())))
}

fn set_disk_id(config: &mut Config, id: u32) -> Result<(), String> {
    // The primary disk's table first, whatever its place in the description.
    let mut tables: Vec<_> = config.tables.iter_mut().filter(|table| table.label == TableKind::Mbr).collect();
    tables.sort_by_key(|table| (table.base != "image0", table.base.clone()));
    let table = tables.into_iter().next();
    let table = table.ok_or("--disk-id is the signature of an MBR, and no disk of the description has one")?;
    table.disk_id = Some(id);
    Ok(())
}

/// Writes the files that are asked for; all of them, or none.
fn write(args: &LayoutArgs, layout: &Layout) -> Result<(), String> {
    let images = layout.disks.iter().enumerate().filter_map(|(index, disk)| {
        let path = args.write.as_ref()?;
        Some((disk, if index == 0 { path.clone() } else { beside(path, &disk.name) }))
    });
    let images: Vec<_> = images.collect();
    let build = format!("layout-{}", std::process::id());
    let paths = images.iter().map(|(_, path)| path).chain(&args.svg);
    let renames: Vec<_> = paths.map(|path| (format::temporary(path, &build), path)).collect();
    for (_, path) in &renames {
        format::check_place(path).map_err(|error| error.to_string())?;
    }
    let partial = Partial::new(renames.iter().map(|(partial, _)| partial.clone()).collect());
    let partial = partial.map_err(|error| format!("cannot listen to signals: {error}"))?;
    for (disk, path) in &images {
        direct::partition(disk, &format::temporary(path, &build))
            .map_err(|error| format!("cannot write {path}: {error}"))?;
    }
    if let Some(path) = &args.svg {
        fs::write(format::temporary(path, &build), show::draw(layout))
            .map_err(|error| format!("cannot write the drawing {path}: {error}"))?;
    }
    let _held = partial.hold();
    renames.iter().try_for_each(|(partial, path)| {
        fs::rename(partial, path).map_err(|error| format!("cannot write {path}: {error}"))
    })
}

/// `disk.raw` and `data`: `disk.data.raw`.
fn beside(path: &Utf8Path, name: &str) -> Utf8PathBuf {
    let stem = path.file_stem().unwrap_or_default();
    let suffix = path.extension().map(|suffix| format!(".{suffix}")).unwrap_or_default();
    path.with_file_name(format!("{stem}.{name}{suffix}"))
}
