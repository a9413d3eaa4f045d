//! `kiln convert`: a disk image in other formats.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::ExitCode;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueEnum};

use super::{meaning, variables};
use crate::event::{Artifact, Event, Events, Level};
use crate::format::reader::{self, Kind};
use crate::format::{self, FormatError, Inputs, Source};
use crate::plan::Output;
use crate::request::Qcow2Compression;
use crate::ui::text;

/// Words of `kiln convert`.
#[derive(Args, Debug)]
pub struct ConvertArgs {
    /// The image: raw, qcow2, vhd, vhdx, vmdk, vdi, or what qemu-img reads
    input: Utf8PathBuf,
    /// The images to write; their suffixes tell the formats
    #[arg(required = true, value_name = "OUTPUT")]
    outputs: Vec<Utf8PathBuf>,
    /// Format of the input [default: told by its bytes]
    #[arg(long, value_name = "FORMAT")]
    from: Option<String>,
    /// Format of the outputs, whatever their names
    #[arg(long, value_name = "FORMAT")]
    to: Option<String>,
    /// Do not compress qcow2
    #[arg(short = 'u', long)]
    uncompressed: bool,
    /// How to compress qcow2: zstd (read by QEMU 5.1 and later), or zlib (read by every QEMU)
    #[arg(long, value_name = "NAME", value_enum, default_value_t = Codec::Zstd, conflicts_with = "uncompressed")]
    qcow2_compression: Codec,
    /// More about the outputs, in qemu-img's words: cluster_size=1M,compat=0.10 …
    #[arg(long, value_name = "OPTIONS")]
    qemu_img_options: Option<String>,
    /// Write md5 and sha256 files beside each output
    #[arg(long)]
    checksum: bool,
    /// Text that the identifiers of image files are derived from [default: the beginning of the disk]
    #[arg(long, value_name = "TEXT")]
    seed: Option<String>,
}

/// Words for a qcow2's compression.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Codec {
    Zstd,
    Zlib,
}

/// Converts the image.
pub fn run(args: &ConvertArgs) -> ExitCode {
    match convert(args) {
        Ok(artifacts) => {
            for artifact in artifacts {
                super::print(&format!("{}  {}  {}\n", artifact.path, artifact.format, text::bytes(artifact.size)));
            }
            ExitCode::SUCCESS
        }
        Err(message) => super::refuse(&message),
    }
}

fn convert(args: &ConvertArgs) -> Result<Vec<Artifact>, String> {
    let said = |error: FormatError| error.to_string();
    let outputs = args.outputs.iter().map(|path| output(args, path)).collect::<Result<Vec<_>, _>>()?;
    format::check_outputs(&outputs).map_err(said)?;
    for output in &outputs {
        if fs::canonicalize(&output.path).ok().is_some_and(|path| fs::canonicalize(&args.input).ok() == Some(path)) {
            return Err(format!("{} would be replaced while it is read; name another output", args.input));
        }
    }
    let build = format!("convert-{}", std::process::id());
    // What kiln does not read itself, qemu-img makes a raw image of.
    let door = match &args.from {
        Some(name) if Kind::named(name).is_none() => {
            let scratch = format::temporary(&outputs[0].path.with_extension("raw-of-input"), &build);
            let made = format::through_qemu(&args.input, name, &scratch).map_err(said);
            Some(Scratch(scratch, made))
        }
        _ => None,
    };
    let (input, kind) = match &door {
        Some(Scratch(_, Err(message))) => return Err(message.clone()),
        Some(Scratch(path, Ok(()))) => (path.as_path(), Kind::Raw),
        None => {
            let kind = args.from.as_deref().and_then(Kind::named);
            (args.input.as_path(), kind.map_or_else(|| Kind::detect(&args.input), Ok).map_err(said)?)
        }
    };
    let seed = match &args.seed {
        Some(seed) => seed.clone(),
        None => format::seed_of(reader::open(input, Some(kind)).map_err(said)?.as_ref()).map_err(said)?,
    };
    let inputs = Inputs {
        disk: Some((input.to_owned(), kind)),
        tree: Utf8PathBuf::new(),
        parts: Vec::new(),
        arch: String::new(),
        build: build.clone(),
        seed,
    };
    let environment = variables::environment();
    let time = meaning::source_date_epoch(&meaning::variables(&environment, &meaning::host_arch()))?;
    let checksums = meaning::checksums(if args.checksum { "1" } else { "0" });
    let events = Events::new(|event| {
        if let Event::Message { level: Level::Warning, text } = event {
            super::warn(&text);
        }
    });
    let artifacts = format::write(&inputs, &outputs, &checksums, time, &events).map_err(said)?;
    for artifact in &artifacts {
        place(artifact, &build)?;
    }
    Ok(artifacts)
}

/// A file that goes when it is no longer needed, and how it came about.
struct Scratch(Utf8PathBuf, Result<(), String>);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn output(args: &ConvertArgs, path: &Utf8Path) -> Result<Output, String> {
    let format = match &args.to {
        Some(name) => format::find(name).map_err(|error| error.to_string())?,
        None => format::of_file(path.file_name().unwrap_or_default())
            .ok_or_else(|| format!("the name {path} does not tell its format; name it with --to"))?,
    };
    if format.source != Source::Raw {
        return Err(format!("{path}: a disk image holds disks; {} is made from a tree, by kiln build", format.name));
    }
    Ok(Output {
        format: format.name.to_owned(),
        path: meaning::current_folder()?.join(path),
        disk: String::new(),
        qcow2_compression: match args.qcow2_compression {
            _ if args.uncompressed => Qcow2Compression::None,
            Codec::Zlib => Qcow2Compression::Zlib,
            Codec::Zstd => Qcow2Compression::Zstd,
        },
        options: args.qemu_img_options.clone().unwrap_or_default(),
        variables: BTreeMap::new(),
    })
}

/// Makes an image and its digest files durable and gives them their names.
fn place(artifact: &Artifact, build: &str) -> Result<(), String> {
    let failed = |path: &Utf8Path| {
        let path = path.to_owned();
        move |error: std::io::Error| format!("cannot write {path}: {error}")
    };
    let mut renames = vec![(artifact.temporary.clone(), artifact.path.clone())];
    for (path, text) in format::checksum::checksum_files(artifact) {
        let temporary = format::temporary(&path, build);
        fs::write(&temporary, text).map_err(failed(&temporary))?;
        renames.push((temporary, path));
    }
    for (from, to) in renames {
        File::open(&from).and_then(|file| file.sync_all()).map_err(failed(&from))?;
        fs::rename(&from, &to).map_err(failed(&to))?;
    }
    Ok(())
}
