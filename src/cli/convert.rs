//! `kiln convert`: a disk image in other formats.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::ExitCode;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueEnum};

use super::partial::Partial;
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
    let checksums = meaning::checksums(if args.checksum { "1" } else { "0" });
    let scratch = format::temporary(&outputs[0].path.with_extension("raw-of-input"), &build);
    let partial = Partial::new(files(&outputs, &checksums, &build).chain([scratch.clone()]).collect());
    let partial = partial.map_err(|error| format!("cannot listen to signals: {error}"))?;
    let made = make(args, &outputs, &checksums, &build, &scratch);
    // From here on a signal waits: what is complete gets its name.
    let _held = partial.hold();
    let (artifacts, renames) = made?;
    for (from, to) in renames {
        fs::rename(&from, &to).map_err(|error| format!("cannot write {to}: {error}"))?;
    }
    Ok(artifacts)
}

/// Every file that is written beside the outputs before they are complete.
fn files<'a>(outputs: &'a [Output], checksums: &'a [String], build: &'a str) -> impl Iterator<Item = Utf8PathBuf> + 'a {
    outputs.iter().flat_map(move |output| {
        let digests = checksums.iter().map(|name| format!("{}.{name}", output.path).into());
        std::iter::once(output.path.clone()).chain(digests).map(|path| format::temporary(&path, build))
    })
}

/// A file and the name that it gets.
type Rename = (Utf8PathBuf, Utf8PathBuf);

/// Writes the outputs, complete and durable, under names of their own.
fn make(
    args: &ConvertArgs,
    outputs: &[Output],
    checksums: &[String],
    build: &str,
    scratch: &Utf8Path,
) -> Result<(Vec<Artifact>, Vec<Rename>), String> {
    let said = |error: FormatError| error.to_string();
    let (input, kind) = match told(args)? {
        Told::Own(kind) => (args.input.as_path(), kind),
        // What kiln does not read itself, qemu-img makes a raw image of.
        Told::QemuImg(name) => {
            format::through_qemu(&args.input, &name, scratch).map_err(said)?;
            (scratch, Kind::Raw)
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
        build: build.to_owned(),
        seed,
    };
    let environment = variables::environment();
    let time = meaning::source_date_epoch(&meaning::variables(&environment, &meaning::host_arch()))?;
    let events = Events::new(|event| {
        if let Event::Message { level: Level::Warning, text } = event {
            super::warn(&text);
        }
    });
    let artifacts = format::write(&inputs, outputs, checksums, time, &events).map_err(said)?;
    let mut renames = Vec::new();
    for artifact in &artifacts {
        settle(artifact, build, &mut renames)?;
    }
    Ok((artifacts, renames))
}

/// Who reads the input.
enum Told {
    /// kiln, in this format.
    Own(Kind),
    /// qemu-img, which calls the format so.
    QemuImg(String),
}

/// The format of the input, by its name or its bytes.
fn told(args: &ConvertArgs) -> Result<Told, String> {
    let named = args.from.as_deref();
    if fs::metadata(&args.input).is_ok_and(|facts| facts.is_file() && facts.len() == 0) {
        return Err(format!("{} is empty, and so no disk image", args.input));
    }
    if let Some(name) = named.filter(|name| Kind::named(name).is_none()) {
        return Ok(Told::QemuImg(name.to_owned()));
    }
    match (named.and_then(Kind::named), Kind::detect(&args.input)) {
        // Formats have variants that kiln does not read.
        (named, Err(FormatError::Foreign { format, .. })) if named.is_none_or(|kind| kind.as_str() == format) => {
            Ok(Told::QemuImg(format.to_owned()))
        }
        (Some(kind), _) | (None, Ok(kind)) => Ok(Told::Own(kind)),
        (None, Err(error)) => Err(error.to_string()),
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

/// Makes an image and its digest files durable.
fn settle(artifact: &Artifact, build: &str, renames: &mut Vec<Rename>) -> Result<(), String> {
    let failed = |path: &Utf8Path, error: std::io::Error| format!("cannot write {path}: {error}");
    let first = renames.len();
    renames.push((artifact.temporary.clone(), artifact.path.clone()));
    for (path, text) in format::checksum::checksum_files(artifact) {
        let temporary = format::temporary(&path, build);
        fs::write(&temporary, text).map_err(|error| failed(&temporary, error))?;
        renames.push((temporary, path));
    }
    for (temporary, path) in &renames[first..] {
        File::open(temporary).and_then(|file| file.sync_all()).map_err(|error| failed(path, error))?;
    }
    Ok(())
}
