//! From a raw disk image or a finished tree to the files that were asked for.
//!
//! In: [`Inputs`] and the plan's outputs. Out: [`Artifact`]s, complete under temporary names beside their final paths; whoever
//! called syncs and renames them. Each format is declared once, in [`FORMATS`].
//! Not here: making the raw image (`disk/`, `boot/`), giving a file its final name, or making it durable.

pub mod checksum;
mod docker;
pub mod error;
mod gzip;
mod host;
pub mod output;
pub mod qcow2;
mod qemu_img;
pub mod raw;
mod shape;
mod sparse;
mod squashfs;
pub mod tar;
mod tgz;

use std::thread;

use camino::{Utf8Path, Utf8PathBuf};

use crate::event::{Artifact, Events};
use crate::plan;
#[cfg(test)]
use crate::request::Qcow2Compression;

pub use error::{FormatError, UnknownFormat};
pub use output::{check_outputs, free_space};
use shape::Shape;

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
    /// Programs of which the host must have one; none is needed when there are none.
    pub programs: &'static [&'static str],
    /// The Debian package that has the first of them.
    pub package: &'static str,
    /// One line for help texts.
    pub summary: &'static str,
}

impl Format {
    const fn own(name: &'static str, source: Source, summary: &'static str) -> Self {
        Self { name, suffix: name, source, programs: &[], package: "", summary }
    }

    /// One that qemu-img writes.
    const fn qemu(name: &'static str, summary: &'static str) -> Self {
        Self { programs: &["qemu-img"], package: "qemu-utils", ..Self::own(name, Source::Raw, summary) }
    }

    /// Whether it is left to qemu-img.
    pub fn is_qemus(&self) -> bool {
        self.programs.contains(&"qemu-img")
    }
}

/// Every format, in the order in which help texts show them.
pub const FORMATS: [Format; 15] = [
    Format::own("qcow2", Source::Raw, "QEMU's image format, compressed"),
    Format::own("raw", Source::Raw, "the disk byte for byte, sparse"),
    Format::own("tar", Source::Tree, "the tree as an archive, without a disk"),
    Format::own("tgz", Source::Tree, "the same, compressed with gzip"),
    Format {
        suffix: "squash",
        programs: &["mksquashfs"],
        package: "squashfs-tools",
        ..Format::own("squashfs", Source::Tree, "the tree as a read-only file system (NAME.squash)")
    },
    Format::own("aci", Source::Tree, "an App Container image; ACI_MANIFEST names its manifest"),
    Format {
        programs: docker::CLIENTS,
        package: "docker.io",
        ..Format::own("docker", Source::Tree, "no file: imported into Docker or Podman as --docker-target")
    },
    Format {
        programs: &["qemu-img", qemu_img::VHD_UTIL],
        ..Format::qemu("vhd", "Virtual PC, Hyper-V, XenServer: dynamic VHD of exactly the disk's size")
    },
    Format::qemu("vhdx", "Hyper-V"),
    Format::qemu("vmdk", "VMware"),
    Format::qemu("vdi", "VirtualBox"),
    Format::qemu("vpc", "VHD with qemu-img's own defaults"),
    Format::qemu("qcow", "QEMU's first format"),
    Format::qemu("qed", "another former format of QEMU's"),
    Format::qemu("parallels", "Parallels"),
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
    /// Folders in it on which file systems of the image are mounted; what else is mounted there is in no output.
    pub parts: Vec<Utf8PathBuf>,
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
/// `time` clamps the time stamps of archives, in seconds since the epoch. The result is in the order of `outputs`; one that makes
/// no file (`docker`) is not in it.
/// When one output fails, the temporary files of all but the raw image are removed.
pub fn write(
    inputs: &Inputs,
    outputs: &[plan::Output],
    checksums: &[String],
    time: Option<i64>,
    events: &Events,
) -> Result<Vec<Artifact>, FormatError> {
    let algorithms = checksum::parse(checksums)?;
    let results: Vec<Result<Option<Artifact>, FormatError>> = thread::scope(|scope| {
        let running: Vec<_> = outputs
            .iter()
            .map(|output| {
                let algorithms = &algorithms;
                scope.spawn(move || {
                    let Some(temporary) = write_one(inputs, output, time, events)? else { return Ok(None) };
                    // A qcow2's header is known last, so digests are a second pass; it reads from the page cache, beside
                    // whatever else is still being written.
                    let (size, digests) = checksum::of_file(&temporary, algorithms)?;
                    let (format, path) = (output.format.clone(), output.path.clone());
                    Ok(Some(Artifact { format, temporary, path, size, digests }))
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let artifacts: Result<Vec<_>, _> = results.into_iter().filter_map(Result::transpose).collect();
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
) -> Result<Option<Utf8PathBuf>, FormatError> {
    let format = find(&output.format)?;
    let to = temporary(&output.path, &inputs.build);
    let raw = || inputs.raw.as_deref().ok_or(FormatError::NoRawImage { format: format.name });
    let shape = Shape { tree: &inputs.tree, parts: &inputs.parts, top: ".", time, last: None };
    let options = output.options.as_str();
    match format.name {
        "qcow2" if options.is_empty() => {
            let compression = output.qcow2_compression.into();
            qcow2::write(raw()?, &to, &qcow2::Options { compression, workers: None }, events)?;
        }
        "qcow2" => qemu_img::convert(raw()?, &to, format.name, Some(output.qcow2_compression), options, events)?,
        "raw" => raw::write(raw()?, &to, events)?,
        "tar" => tar::write(&shape, &to, events)?,
        "tgz" => tgz::write(&shape, &to, options, events)?,
        "squashfs" => squashfs::write(&shape, &to, events)?,
        "aci" => {
            let manifest = Some(options).filter(|path| !path.is_empty()).map(|path| (Utf8Path::new(path), "manifest"));
            if manifest.is_none() {
                events.warn("the ACI has no manifest, and no runtime will take it: name one with ACI_MANIFEST");
            }
            tar::write(&Shape { top: "rootfs", last: manifest, ..shape }, &to, events)?;
        }
        "docker" => {
            docker::import(&shape, options, &output.variables, events)?;
            return Ok(None);
        }
        "vhd" => qemu_img::vhd(raw()?, &to, &to.with_extension("fixed.kiln-partial"), events)?,
        name => qemu_img::convert(raw()?, &to, name, None, options, events)?,
    }
    Ok(Some(to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::command::Command;

    fn output(root: &Utf8Path, format: &str, options: &str) -> plan::Output {
        plan::Output {
            format: format.into(),
            path: root.join(format!("i.{}", find(format).unwrap().suffix)),
            qcow2_compression: Qcow2Compression::Zlib,
            options: options.into(),
            variables: Default::default(),
        }
    }

    fn run(words: &[&str]) -> String {
        let output = Command::new(words.iter().copied()).quiet().check(&Events::none()).unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn every_format_is_found_by_its_name() {
        for name in NAMES {
            assert_eq!(find(name).unwrap().name, name);
        }
    }

    #[test]
    fn an_unknown_format_is_answered_with_near_names_and_the_list() {
        let error = find("qcow3").unwrap_err();
        assert_eq!(error.near[..2], ["qcow", "qcow2"]);
        assert_eq!(
            error.to_string(),
            format!("unknown format `qcow3`; did you mean `qcow` or `qcow2`? kiln writes {}", NAMES.join(", "))
        );
        assert_eq!(
            find("zzzzzzz").unwrap_err().to_string(),
            format!("unknown format `zzzzzzz`; kiln writes {}", NAMES.join(", "))
        );
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
        let outputs = [output(root, "tar", ""), output(root, "raw", ""), output(root, "qcow2", "")];
        let raw = temporary(&outputs[1].path, "b");
        std::fs::write(&raw, vec![7_u8; 100_000]).unwrap();
        let inputs = Inputs { raw: Some(raw.clone()), tree: root.join("tree"), parts: Vec::new(), build: "b".into() };
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
        let outputs = [output(root, "tar", ""), output(root, "qcow2", "")];
        let inputs = Inputs { raw: None, tree: root.join("tree"), parts: Vec::new(), build: "b".into() };
        let error = write(&inputs, &outputs, &[], None, &Events::none()).unwrap_err();
        assert!(matches!(error, FormatError::NoRawImage { format: "qcow2" }));
        assert!(!temporary(&outputs[0].path, "b").exists());
    }

    #[test]
    fn what_qemu_img_writes_holds_the_disk_at_its_size() {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(directory.path()).unwrap();
        let (raw, size) = (root.join("disk"), (7 << 20) + 64 * 1024);
        let disk: Vec<u8> = (0..size as u32 / 4).flat_map(|number| (number / 5000).to_le_bytes()).collect();
        std::fs::write(&raw, disk).unwrap();
        let outputs = [
            output(root, "vhd", ""),
            output(root, "vhdx", "subformat=fixed"),
            output(root, "vmdk", "subformat=streamOptimized"),
            output(root, "vdi", ""),
            output(root, "qed", ""),
            output(root, "qcow", ""),
            output(root, "parallels", ""),
            output(root, "qcow2", "cluster_size=128k"),
        ];
        check_outputs(&outputs).unwrap();
        let inputs = Inputs { raw: Some(raw.clone()), tree: root.into(), parts: Vec::new(), build: "b".into() };
        let artifacts = write(&inputs, &outputs, &["sha256".into()], None, &Events::none()).unwrap();
        assert_eq!(artifacts.len(), outputs.len());
        for artifact in &artifacts {
            let (file, name) = (artifact.temporary.as_str(), artifact.format.as_str());
            let name = if name == "vhd" { "vpc" } else { name };
            run(&["qemu-img", "compare", "-f", "raw", "-F", name, raw.as_str(), file]);
            let facts: serde_json::Value =
                serde_json::from_str(&run(&["qemu-img", "info", "--output=json", "-f", name, file])).unwrap();
            // Vmdk and the like have larger units.
            let virtual_size = facts["virtual-size"].as_u64().unwrap();
            assert!(virtual_size == size || !["vpc", "qcow2"].contains(&name), "{name}: {virtual_size}");
            assert_eq!(artifact.digests.len(), 1);
        }
        let facts = run(&["qemu-img", "info", artifacts[7].temporary.as_str()]);
        assert!(facts.contains("cluster_size: 131072") && facts.contains("compression type: zlib"), "{facts}");
        // A dynamic VHD has a copy of its footer in front (kind 3).
        let vhd = std::fs::read(&artifacts[0].temporary).unwrap();
        assert_eq!((&vhd[..8], vhd[63]), (&b"conectix"[..], 3));
    }

    #[test]
    fn an_archive_is_compressed_by_kiln_or_by_the_program_that_was_named() {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(directory.path()).unwrap();
        std::fs::create_dir(root.join("tree")).unwrap();
        std::fs::write(root.join("tree/file"), vec![3; 3 << 20]).unwrap();
        let inputs = Inputs { raw: None, tree: root.join("tree"), parts: Vec::new(), build: "b".into() };
        for program in ["", "gzip -n"] {
            let outputs = [output(root, "tgz", program), output(root, "tar", "")];
            let artifacts = write(&inputs, &outputs, &["md5".into()], Some(0), &Events::none()).unwrap();
            let (tgz, tar) = (&artifacts[0].temporary, &artifacts[1].temporary);
            assert_eq!(artifacts[0].path, root.join("i.tgz"));
            run(&["sh", "-c", "gunzip -c < $0 | cmp - $1", tgz.as_str(), tar.as_str()]);
            assert!(run(&["tar", "-tzf", tgz.as_str()]).contains("./file"));
            assert_eq!(artifacts[0].digests.len(), 1);
        }
        let failing = [output(root, "tgz", "false")];
        let error = write(&inputs, &failing, &[], None, &Events::none()).unwrap_err().to_string();
        assert!(error.contains("cannot write tgz") && error.contains("status 1"), "{error}");
    }
}
