//! Why a format could not be written.
//!
//! In: what was attempted and on which path. Out: one error type for the room.

use camino::{Utf8Path, Utf8PathBuf};

use super::names::NAMES;
use crate::sandbox::command::CommandError;

/// A format name that kiln does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown format `{name}`;{} kiln writes {}", suggestion(.near), NAMES.join(", "))]
pub struct UnknownFormat {
    /// The name.
    pub name: String,
    /// Known names that resemble it, the nearest first.
    pub near: Vec<&'static str>,
}

fn suggestion(near: &[&str]) -> String {
    match near {
        [] => String::new(),
        names => format!(" did you mean `{}`?", names.join("` or `")),
    }
}

impl UnknownFormat {
    /// Finds the known names that resemble `name`.
    pub fn new(name: &str) -> Self {
        let lower = name.to_lowercase();
        let mut near: Vec<(f64, &'static str)> = NAMES
            .into_iter()
            .map(|known| (strsim::jaro_winkler(&lower, known), known))
            .filter(|(likeness, _)| *likeness >= 0.75)
            .collect();
        near.sort_by(|left, right| right.0.total_cmp(&left.0));
        Self { name: name.to_owned(), near: near.into_iter().map(|(_, known)| known).collect() }
    }
}

/// Why an output could not be written.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// A disk image that only qemu-img reads.
    #[error(
        "{path} is an image of the format {format}, which kiln does not read itself: `kiln convert {path} OUT.raw` makes one that it reads"
    )]
    Foreign {
        /// The image.
        path: Utf8PathBuf,
        /// What qemu-img calls its format.
        format: &'static str,
    },
    /// A disk image in an archive.
    #[error(
        "{path} is compressed: unpack it first (`{program} -d`), or say that these are the bytes of the disk with the format raw"
    )]
    Compressed {
        /// The file.
        path: Utf8PathBuf,
        /// What unpacks it.
        program: &'static str,
    },
    /// A name in the plan that is no format.
    #[error(transparent)]
    Unknown(#[from] UnknownFormat),
    /// A digest that kiln does not know.
    #[error("unknown checksum `{name}`; kiln computes md5, sha256")]
    UnknownChecksum {
        /// The name.
        name: String,
    },
    /// The format is made from a raw image and there is none.
    #[error(
        "cannot write {format} without a disk image; ask for a disk layout, or for a format that needs none, such as tar"
    )]
    NoRawImage {
        /// The format.
        format: &'static str,
    },
    /// A program that writes the format is missing.
    #[error(
        "cannot write {format}: `{program}` is missing on this machine; install it with: apt-get install {package}"
    )]
    NoProgram {
        /// The format.
        format: &'static str,
        /// The program.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// The compressor that was named is missing.
    #[error(
        "cannot write tgz: there is no program `{program}`, which DIB_GZIP_BIN names; unset it, kiln compresses by itself"
    )]
    NoCompressor {
        /// The program.
        program: String,
    },
    /// The program that writes the format failed.
    #[error("cannot write {format}: {source}")]
    Tool {
        /// The format.
        format: &'static str,
        /// How.
        source: CommandError,
    },
    /// The host's qemu-img was built without the format.
    #[error("this machine's qemu-img has no format `{format}`; it has {known}")]
    NotInQemu {
        /// The format.
        format: &'static str,
        /// What it has.
        known: String,
    },
    /// qemu-img does not take the options.
    #[error("qemu-img makes no {format} with the options `{options}` (--qemu-img-options): {source}")]
    QemuOptions {
        /// The format.
        format: &'static str,
        /// The options.
        options: String,
        /// What it says.
        source: CommandError,
    },
    /// An option that images of containers do not take.
    #[error(
        "`{option}` is no option of a container's image; there are compression=zstd, gzip or none, and reference=NAME"
    )]
    ContainerOption {
        /// The option.
        option: String,
    },
    /// No image's name, or one that no client takes.
    #[error(
        "docker: `{target}` names no image; give repository and tag in small letters with --docker-target, as in example/image:1.0"
    )]
    NoTarget {
        /// The name.
        target: String,
    },
    /// The manifest for an ACI makes no sense.
    #[error("{path}, which ACI_MANIFEST names, is not JSON: {reason}")]
    Manifest {
        /// The file.
        path: Utf8PathBuf,
        /// Why not.
        reason: String,
    },
    /// The kernel refused something.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// What was attempted: `read`, `write`.
        doing: &'static str,
        /// On which file.
        path: Utf8PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// An output's folder does not exist.
    #[error("cannot write {path}: the folder {folder} does not exist; create it or choose another output")]
    NoFolder {
        /// The output.
        path: Utf8PathBuf,
        /// Its folder.
        folder: Utf8PathBuf,
    },
    /// An output's folder may not be written to.
    #[error("cannot write {path}: the folder {folder} is not writable; choose another output")]
    NotWritable {
        /// The output.
        path: Utf8PathBuf,
        /// Its folder.
        folder: Utf8PathBuf,
    },
    /// An output's path is a folder.
    #[error("cannot write {path}: it is a folder; choose another output")]
    IsFolder {
        /// The output.
        path: Utf8PathBuf,
    },
    /// A file would take the place of something else.
    #[error(
        "cannot write {path}: it is a device, or else no file, which a file would replace; write a file, and copy that with dd"
    )]
    NoFile {
        /// The output.
        path: Utf8PathBuf,
    },
    /// Two outputs have one path.
    #[error("two outputs would be written to {path}; name each format once")]
    Twice {
        /// The path.
        path: Utf8PathBuf,
    },
    /// An image that cannot be read.
    #[error("cannot read {path} as {format}: {fault}")]
    Image {
        /// The image.
        path: Utf8PathBuf,
        /// What it was taken for.
        format: &'static str,
        /// Why not.
        fault: ImageFault,
    },
    /// The image is larger than the format can hold.
    #[error("cannot write {path}: a disk of {size} bytes is more than {format} can hold")]
    TooLarge {
        /// The output.
        path: Utf8PathBuf,
        /// The disk's size in bytes.
        size: u64,
        /// The format.
        format: &'static str,
    },
    /// The compressor refused its input, or a part of the pipeline ended early; a defect in kiln.
    #[error("cannot compress a part of the disk: {reason}; this is a defect in kiln, please report it")]
    Compress {
        /// What the compressor said.
        reason: String,
    },
}

/// What keeps an image from being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageFault {
    /// It contradicts its format.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// It has what kiln does not read.
    #[error("it has {0}, which kiln does not read; make a plain image of it first: qemu-img convert -O raw")]
    Unsupported(&'static str),
}

impl FormatError {
    /// For `map_err`: what was attempted on which path.
    pub(super) fn io(doing: &'static str, path: &Utf8Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }
}
