//! From a raw disk image or a finished tree to the files that were asked for.
//!
//! In: [`Inputs`] and the plan's outputs. Out: [`Artifact`]s, complete under temporary names beside their final paths; whoever
//! called syncs and renames them. Each format is declared once, in [`FORMATS`].
//! Not here: making the raw image (`disk/`, `boot/`), giving a file its final name, or making it durable.

pub mod checksum;
pub mod error;
pub mod output;
pub mod qcow2;
pub mod raw;
mod sparse;
pub mod tar;

use std::thread;

use camino::{Utf8Path, Utf8PathBuf};

use crate::event::{Artifact, Events};
use crate::plan;
#[cfg(test)]
use crate::request::Qcow2Compression;

pub use error::{FormatError, UnknownFormat};
pub use output::{check_outputs, free_space};

/// What a format is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The raw disk image.
    Raw,
    /// The finished tree.
    Tree,
}

/// A kind of file that kiln can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// What the user calls it.
    pub name: &'static str,
    /// What follows `NAME.` in its file name.
    pub suffix: &'static str,
    /// What it is made from.
    pub source: Source,
    /// One line for help texts.
    pub summary: &'static str,
}

/// Every format, in the order in which help texts show them.
pub const FORMATS: [Format; 3] = [
    Format { name: "qcow2", suffix: "qcow2", source: Source::Raw, summary: "QEMU's image format, compressed" },
    Format { name: "raw", suffix: "raw", source: Source::Raw, summary: "the disk byte for byte, sparse" },
    Format { name: "tar", suffix: "tar", source: Source::Tree, summary: "the tree as an archive, without a disk" },
];

/// Their names, in the same order.
pub const NAMES: [&str; FORMATS.len()] = {
    let mut names = [""; FORMATS.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = FORMATS[index].name;
        index += 1;
    }
    names
};

/// What the formats are made from.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The raw disk image; may lie at [`temporary`] of a `raw` output, which is then complete without a copy.
    pub raw: Option<Utf8PathBuf>,
    /// The root of the finished tree.
    pub tree: Utf8PathBuf,
    /// What tells this build's temporary files from another's.
    pub build: String,
}

/// The format that `name` names.
pub fn find(name: &str) -> Result<Format, UnknownFormat> {
    FORMATS.into_iter().find(|format| format.name == name).ok_or_else(|| UnknownFormat::new(name))
}

/// Where an output's bytes are until the caller renames them: a hidden file beside it, so that the rename stays in one folder.
/// `build` tells two builds of the same output apart.
pub fn temporary(path: &Utf8Path, build: &str) -> Utf8PathBuf {
    path.with_file_name(format!(".{}.{build}.kiln-partial", path.file_name().unwrap_or("image")))
}

/// Writes every output under its temporary name, all of them at once, and computes the digests asked for (`md5`, `sha256`).
/// `time` clamps the time stamps of archives, in seconds since the epoch. The result is in the order of `outputs`.
/// When one output fails, the temporary files of all but the raw image are removed.
pub fn write(
    inputs: &Inputs,
    outputs: &[plan::Output],
    checksums: &[String],
    time: Option<i64>,
    events: &Events,
) -> Result<Vec<Artifact>, FormatError> {
    let algorithms = checksum::parse(checksums)?;
    let results: Vec<Result<Artifact, FormatError>> = thread::scope(|scope| {
        let running: Vec<_> = outputs
            .iter()
            .map(|output| {
                let algorithms = &algorithms;
                scope.spawn(move || {
                    let temporary = write_one(inputs, output, time, events)?;
                    // A qcow2's header is known last, so digests are a second pass; it reads from the page cache, beside
                    // whatever else is still being written.
                    let (size, digests) = checksum::of_file(&temporary, algorithms)?;
                    Ok(Artifact { format: output.format.clone(), temporary, path: output.path.clone(), size, digests })
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let artifacts: Result<Vec<_>, _> = results.into_iter().collect();
    if artifacts.is_err() {
        for output in outputs {
            let path = temporary(&output.path, &inputs.build);
            if inputs.raw.as_ref() != Some(&path) {
                // Best effort: the error that is about to be reported matters more.
                let _ = std::fs::remove_file(path);
            }
        }
    }
    artifacts
}

fn write_one(
    inputs: &Inputs,
    output: &plan::Output,
    time: Option<i64>,
    events: &Events,
) -> Result<Utf8PathBuf, FormatError> {
    let format = find(&output.format)?;
    let to = temporary(&output.path, &inputs.build);
    let raw = || inputs.raw.as_deref().ok_or(FormatError::NoRawImage { format: format.name });
    match format.name {
        "qcow2" => {
            let compression = output.qcow2_compression.into();
            qcow2::write(raw()?, &to, &qcow2::Options { compression, workers: None }, events)?;
        }
        "raw" => raw::write(raw()?, &to, events)?,
        "tar" => tar::write(&inputs.tree, &to, time, events)?,
        name => return Err(UnknownFormat::new(name).into()),
    }
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_found_by_its_name() {
        for name in NAMES {
            assert_eq!(find(name).unwrap().name, name);
        }
    }

    #[test]
    fn an_unknown_format_is_answered_with_near_names_and_the_list() {
        let error = find("qcow").unwrap_err();
        assert_eq!(error.near, ["qcow2"]);
        assert_eq!(error.to_string(), "unknown format `qcow`; did you mean `qcow2`? kiln writes qcow2, raw, tar");
        assert_eq!(find("zzzzzzz").unwrap_err().to_string(), "unknown format `zzzzzzz`; kiln writes qcow2, raw, tar");
    }

    #[test]
    fn the_temporary_name_is_hidden_and_in_the_same_folder() {
        assert_eq!(temporary(Utf8Path::new("/out/i.qcow2"), "b1"), "/out/.i.qcow2.b1.kiln-partial");
        assert_eq!(temporary(Utf8Path::new("i.raw"), "b2"), ".i.raw.b2.kiln-partial");
    }

    #[test]
    fn all_outputs_come_in_their_order_with_digests_and_a_raw_image_in_place_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(directory.path()).unwrap();
        std::fs::create_dir(root.join("tree")).unwrap();
        std::fs::write(root.join("tree/file"), "text").unwrap();
        let output = |format: &str| plan::Output {
            format: format.into(),
            path: root.join(format!("i.{format}")),
            qcow2_compression: Qcow2Compression::Zlib,
        };
        let outputs = [output("tar"), output("raw"), output("qcow2")];
        let raw = temporary(&outputs[1].path, "b");
        std::fs::write(&raw, vec![7_u8; 100_000]).unwrap();
        let inputs = Inputs { raw: Some(raw.clone()), tree: root.join("tree"), build: "b".into() };
        let artifacts = write(&inputs, &outputs, &["md5".into(), "sha256".into()], Some(0), &Events::none()).unwrap();
        assert_eq!(
            artifacts.iter().map(|artifact| artifact.format.as_str()).collect::<Vec<_>>(),
            ["tar", "raw", "qcow2"]
        );
        assert_eq!(artifacts[1].temporary, raw);
        assert_eq!(artifacts[1].size, 100_000);
        assert_eq!(artifacts[0].digests.len(), 2);
        assert!(!outputs[2].path.exists(), "the final name belongs to the caller");
    }

    #[test]
    fn a_failure_leaves_no_temporary_files_but_the_raw_image() {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(directory.path()).unwrap();
        std::fs::create_dir(root.join("tree")).unwrap();
        let outputs = [
            plan::Output { format: "tar".into(), path: root.join("i.tar"), qcow2_compression: Qcow2Compression::None },
            plan::Output {
                format: "qcow2".into(),
                path: root.join("i.qcow2"),
                qcow2_compression: Qcow2Compression::None,
            },
        ];
        let inputs = Inputs { raw: None, tree: root.join("tree"), build: "b".into() };
        let error = write(&inputs, &outputs, &[], None, &Events::none()).unwrap_err();
        assert!(matches!(error, FormatError::NoRawImage { format: "qcow2" }));
        assert!(!temporary(&outputs[0].path, "b").exists());
    }
}
