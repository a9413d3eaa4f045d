//! `kiln inspect`: what is on a disk image.

use std::fs;
use std::io::{BufWriter, Write};
use std::process::ExitCode;
use std::time::Duration;

use camino::Utf8PathBuf;
use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::patience::{Excess, Limits, Patience};
use crate::format::reader::{self, Disk};
use crate::inspect::{self, Entry, Files, Filesystem, InspectError, Kind, Report, Window};
use crate::ui::text::{bytes, printable};

/// What an image may cost before more of it is shown. A folder of 200,000 files takes the development build 6 s.
const LIMITS: Limits = Limits { time: Duration::from_secs(40), memory: 1 << 30 };

/// Words of `kiln inspect`.
#[derive(Args, Debug)]
pub struct InspectArgs {
    /// The image: raw, qcow2, vhd, vhdx, vmdk or vdi
    image: Utf8PathBuf,
    /// A path in the image: a folder is listed, a file is printed
    path: Option<String>,
    /// Format of the image [default: told by its bytes]
    #[arg(long, value_name = "FORMAT", value_parser = reader::Kind::ALL.map(reader::Kind::as_str))]
    format: Option<String>,
    /// The partition that the path is on [default: as the image's fstab mounts it]
    #[arg(long, value_name = "NUMBER", requires = "path")]
    partition: Option<u32>,
    /// Print JSON; of a file, what it is instead of its content
    #[arg(long)]
    json: bool,
}

/// Shows what is on the image.
pub fn run(args: &InspectArgs) -> ExitCode {
    match show(args) {
        Ok(()) => ExitCode::SUCCESS,
        // A reader that has seen enough (`| head`) is no error.
        Err(InspectError::Write(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => super::refuse(&error),
    }
}

fn show(args: &InspectArgs) -> Result<(), InspectError> {
    let image = args.image.clone();
    let patience = Patience::begin(LIMITS, move |excess| {
        let spent = match excess {
            Excess::Time => format!("{} s of the processor's time", LIMITS.time.as_secs()),
            Excess::Memory => format!("{} of memory", bytes(LIMITS.memory)),
        };
        super::refuse(&format!(
            "what was asked for takes more than {spent}, so {image} is damaged, or made to keep its reader busy"
        ));
        // Nothing was written that would stay.
        std::process::exit(1);
    });
    let kind = match args.format.as_deref().and_then(reader::Kind::named) {
        Some(kind) => kind,
        None => reader::Kind::detect(&args.image)?,
    };
    let disk = inspect::cached(reader::open(&args.image, Some(kind))?);
    let report = inspect::report(&disk)?;
    let Some(path) = &args.path else {
        let file_size = fs::metadata(&args.image).map_or(0, |facts| facts.len());
        if args.json {
            let mut whole = serde_json::to_value(&report).unwrap_or_default();
            whole["format"] = json!(kind.as_str());
            whole["file_size"] = json!(file_size);
            super::print(&format!("{whole:#}\n"));
        } else {
            super::print(&table(kind, file_size, &report, disk.as_ref()));
        }
        return Ok(());
    };
    let (files, path) = inspect::place(&Window::whole(disk), &report, args.partition, path)?;
    show_path(&files, &path, args.json, &patience)
}

fn show_path(files: &Files, path: &str, as_json: bool, patience: &Patience) -> Result<(), InspectError> {
    let entry = files.stat(path)?;
    match entry.kind {
        Kind::Folder => {
            let entries = files.list(path)?;
            if as_json {
                super::print(&pretty(&entries));
            } else {
                super::print(&entries.iter().map(line).collect::<String>());
            }
        }
        _ if as_json => super::print(&pretty(&entry)),
        Kind::File => {
            let mut out = BufWriter::new(patience.watch(std::io::stdout().lock()));
            files.copy(path, &mut out)?;
            out.flush().map_err(InspectError::Write)?;
        }
        Kind::Link | Kind::Other => super::print(&line(&entry)),
    }
    Ok(())
}

/// JSON without the tree of values in between, which for a large folder is many times the text.
fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).map(|text| text + "\n").unwrap_or_default()
}

/// A file as `ls -l` shows it, without a time.
fn line(entry: &Entry) -> String {
    let kind = match entry.kind {
        Kind::File => '-',
        Kind::Folder => 'd',
        Kind::Link => 'l',
        Kind::Other => '?',
    };
    let mode = entry.mode.map_or_else(|| "rwxr-xr-x".to_owned(), permissions);
    let owner = |id: Option<u32>| id.map_or_else(|| "-".to_owned(), |id| id.to_string());
    let target = entry.target.as_ref().map(|target| format!(" -> {target}")).unwrap_or_default();
    let text = format!(
        "{kind}{mode} {:>5} {:>5} {:>12} {}{target}",
        owner(entry.uid),
        owner(entry.gid),
        entry.size,
        entry.name
    );
    format!("{}\n", printable(&text))
}

fn permissions(mode: u16) -> String {
    let mut text = String::with_capacity(9);
    // Set-uid, set-gid and sticky take the place of an x.
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (mode & special != 0, bits & 1 != 0) {
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

fn table(kind: reader::Kind, file_size: u64, report: &Report, disk: &dyn Disk) -> String {
    let mut text = format!(
        "{}: {} of disk, {} of it data, in a file of {}\n",
        kind.as_str(),
        bytes(disk.size()),
        bytes(report.data),
        bytes(file_size)
    );
    if let Some(table) = &report.table {
        text += &format!("{} {}, sectors of {} bytes\n\n", table.kind, table.id, table.sector_size);
        text += &format!("{:>3} {:>15} {:>12}  {:<24} holds\n", "", "start", "size", "name");
        for part in &table.partitions {
            let name = part.name.as_deref().unwrap_or(&part.kind);
            let holds = part.filesystem.as_ref().map_or_else(|| "-".to_owned(), filesystem);
            let boot = if part.boot { "*" } else { "" };
            text += &format!(
                "{:>3} {:>15} {:>12}  {:<24} {holds}\n",
                part.number,
                part.start,
                bytes(part.size),
                printable(&format!("{name}{boot}"))
            );
        }
    }
    if let Some(found) = &report.filesystem {
        text += &format!("no partitions; {}\n", filesystem(found));
    }
    if report.table.is_none() && report.filesystem.is_none() {
        text += "no partition table and nothing else that kiln knows\n";
    }
    text
}

fn filesystem(filesystem: &Filesystem) -> String {
    let mut text = filesystem.kind.to_owned();
    if let Some(label) = &filesystem.label {
        text += &format!(" {}", printable(label));
    }
    if let Some(uuid) = &filesystem.uuid {
        text += &format!(" {}", printable(uuid));
    }
    match (filesystem.used, filesystem.size) {
        (Some(used), Some(size)) => text += &format!(", {} of {} used", bytes(used), bytes(size)),
        (None, Some(size)) => text += &format!(", {}", bytes(size)),
        _ => {}
    }
    text
}
