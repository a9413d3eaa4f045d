//! From a disk or a finished tree to the files that were asked for.
//!
//! In: [`Inputs`] and the plan's outputs. Out: [`Artifact`]s, complete under temporary names beside their final paths; whoever
//! called syncs and renames them. Each format is declared once, in [`FORMATS`]. All images of a disk that are written in this process
//! come from one read of it (`pass`); disks are read whatever their format (`reader`).
//! Not here: making the raw image (`disk/`, `boot/`), giving a file its final name, or making it durable.

pub mod archive;
mod bundle;
pub mod checksum;
mod digests;
mod docker;
mod erofs;
pub mod error;
mod geometry;
mod gzip;
mod hashed;
mod host;
mod identity;
mod names;
pub mod oci;
pub mod output;
mod own;
mod pass;
mod qcow2;
mod qemu_img;
mod raw;
pub mod reader;
mod shape;
mod sparse;
mod squashfs;
mod tar;
mod vdi;
mod vhd;
mod vhdx;
mod vmdk;
mod zst;

use std::thread;

use camino::{Utf8Path, Utf8PathBuf};

use crate::event::{Artifact, Events};
use crate::plan;
use checksum::Algorithm;
pub use error::{FormatError, UnknownFormat};
use identity::Target;
pub use identity::seed_of;
pub use names::{FORMATS, Format, NAMES, Source, find, of_file};
pub use output::{check_outputs, check_place, free_space};
use own::Own;
use pass::Written;
use reader::Kind;
use shape::Shape;

/// What the formats are made from.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The disk image; a raw one may lie at [`temporary`] of a `raw` output, which is then complete without a copy.
    pub disk: Option<(Utf8PathBuf, Kind)>,
    /// The root of the finished tree.
    pub tree: Utf8PathBuf,
    /// Folders in it on which file systems of the image are mounted; what else is mounted there is in no output.
    pub parts: Vec<Utf8PathBuf>,
    /// Architecture of the tree, in Debian's spelling.
    pub arch: String,
    /// What tells this build's temporary files from another's.
    pub build: String,
    /// What identifiers of image files are derived from.
    pub seed: String,
}

/// Where an output's bytes are until the caller renames them: a hidden file beside it, so that the rename stays in one folder.
/// `build` tells two builds of the same output apart.
pub fn temporary(path: &Utf8Path, build: &str) -> Utf8PathBuf {
    path.with_file_name(format!(".{}.{build}.kiln-partial", path.file_name().unwrap_or("image")))
}

/// Writes every output under its temporary name, all of them at once, and computes the digests asked for (`md5`, `sha256`).
/// `time` clamps the time stamps of archives and is that of images, in seconds since the epoch. The result is in the order of
/// `outputs`. When one output fails, the temporary files of all but the disk are removed.
///
/// # Errors
/// The first output that could not be written.
pub fn write(
    inputs: &Inputs,
    outputs: &[plan::Output],
    checksums: &[String],
    time: Option<i64>,
    events: &Events,
) -> Result<Vec<Artifact>, FormatError> {
    let work = Work { inputs, algorithms: checksum::parse(checksums)?, time, events };
    let written = work.write(outputs);
    if written.is_err() {
        for output in outputs {
            let path = temporary(&output.path, &inputs.build);
            if inputs.disk.as_ref().is_none_or(|(disk, _)| *disk != path) {
                // Best effort: the error that is about to be reported matters more.
                let _ = std::fs::remove_file(path);
            }
        }
    }
    let artifact = |(output, written): (&plan::Output, Written)| Artifact {
        format: output.format.clone(),
        temporary: temporary(&output.path, &inputs.build),
        path: output.path.clone(),
        size: written.size,
        digests: written.digests.unwrap_or_default(),
    };
    Ok(outputs.iter().zip(written?).map(artifact).collect())
}

/// Makes the raw image `to` of an image that only qemu-img reads.
///
/// # Errors
/// qemu-img is missing, does not know the format, or fails.
pub fn through_qemu(from: &Utf8Path, format: &str, to: &Utf8Path) -> Result<(), FormatError> {
    if host::find_program("qemu-img").is_none() {
        return Err(FormatError::NoProgram { format: "raw", program: "qemu-img", package: "qemu-utils" });
    }
    qemu_img::convert((from, format), to, "raw", None, "", &Events::none())
}

/// What all outputs of a build have in common.
struct Work<'a> {
    inputs: &'a Inputs,
    algorithms: Vec<Algorithm>,
    time: Option<i64>,
    events: &'a Events,
}

impl Work<'_> {
    /// Writes all of `outputs`, and returns what they became in their order.
    fn write(&self, outputs: &[plan::Output]) -> Result<Vec<Written>, FormatError> {
        let (own, others): (Vec<_>, Vec<_>) = outputs
            .iter()
            .enumerate()
            .map(|(at, output)| (at, output, Own::of(output)))
            .partition(|(_, _, own)| own.is_some());
        let own: Vec<_> = own.into_iter().filter_map(|(at, output, own)| Some((at, output, own?))).collect();
        let mut written = thread::scope(|scope| {
            let others: Vec<_> = others
                .into_iter()
                .map(|(at, output, _)| scope.spawn(move || self.write_one(output).map(|written| (at, written))))
                .collect();
            let mut done = self.write_disks(&own);
            for thread in others {
                let other = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                done = done.and_then(|mut done| {
                    done.push(other?);
                    Ok(done)
                });
            }
            done
        })?;
        written.sort_by_key(|(at, _)| *at);
        thread::scope(|scope| {
            let digests: Vec<_> = written
                .into_iter()
                .map(|(at, written)| scope.spawn(move || self.with_digests(&outputs[at], written)))
                .collect();
            let join = |thread: thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            digests.into_iter().map(join).collect()
        })
    }

    /// Digests that could not be computed on the way are a second pass; it reads from the page cache.
    fn with_digests(&self, output: &plan::Output, written: Written) -> Result<Written, FormatError> {
        if written.digests.is_some() {
            return Ok(written);
        }
        let (size, digests) = checksum::of_file(&temporary(&output.path, &self.inputs.build), &self.algorithms)?;
        Ok(Written { size, digests: Some(digests) })
    }

    /// Writes images of the disk from one read of it.
    fn write_disks(&self, outputs: &[(usize, &plan::Output, Own)]) -> Result<Vec<(usize, Written)>, FormatError> {
        let Some((_, first, _)) = outputs.first() else { return Ok(Vec::new()) };
        let (path, kind) = self.disk(find(&first.format)?.name)?;
        let disk = reader::open(path, Some(kind))?;
        let raw = (kind == Kind::Raw).then_some(path);
        let mut done = Vec::new();
        let (mut places, mut sinks) = (Vec::new(), Vec::new());
        for (at, output, own) in outputs {
            let target = self.target(output, disk.size());
            if let (Own::Raw, Some(from), true) = (own, raw, self.algorithms.is_empty())
                && raw::is_there(from, &target.file)?
            {
                // Not worth a read.
                done.push((*at, Written { size: disk.size(), digests: Some(Vec::new()) }));
                continue;
            }
            places.push(*at);
            sinks.push(own.sink(&target, raw)?);
        }
        if !sinks.is_empty() {
            done.extend(places.into_iter().zip(pass::run(disk.as_ref(), sinks, None, self.events)?));
        }
        Ok(done)
    }

    fn target(&self, output: &plan::Output, size: u64) -> Target {
        Target {
            file: temporary(&output.path, &self.inputs.build),
            name: output.path.file_name().unwrap_or("image").to_owned(),
            size,
            seed: self.inputs.seed.clone(),
            time: self.time.unwrap_or(0),
            algorithms: self.algorithms.clone(),
        }
    }

    fn disk(&self, format: &'static str) -> Result<(&Utf8Path, Kind), FormatError> {
        let disk = self.inputs.disk.as_ref().map(|(path, kind)| (path.as_path(), *kind));
        disk.ok_or(FormatError::NoRawImage { format })
    }

    /// Writes what is no image of a disk, or is qemu-img's.
    fn write_one(&self, output: &plan::Output) -> Result<Written, FormatError> {
        let (format, events) = (find(&output.format)?, self.events);
        let Inputs { tree, parts, arch, .. } = self.inputs;
        let to = temporary(&output.path, &self.inputs.build);
        let shape = Shape { tree, parts, top: ".", time: self.time, last: None };
        let options = output.options.as_str();
        let archive = archive::Archive { shape, to: &to, algorithms: &self.algorithms, events };
        let name = || output.path.file_name().unwrap_or_default();
        match format.name {
            "tar" => return archive.tar(),
            "tgz" => return archive.tgz(options),
            "tar.zst" => return archive.zst(),
            "aci" => return archive.aci(options),
            "squashfs" => squashfs::write(&shape, &to, events)?,
            "erofs" => erofs::write(&shape, &to, &self.inputs.seed, events)?,
            "docker" => docker::write(&archive, arch, name(), options, &output.variables)?,
            "oci" => oci::write(&archive, arch, name(), options)?,
            _ => {
                let (disk, kind) = self.disk(format.name)?;
                let compression = (format.name == "qcow2").then_some(output.qcow2_compression);
                qemu_img::convert((disk, kind.of_qemu()), &to, format.name, compression, options, events)?;
            }
        }
        Ok(Written { size: 0, digests: None })
    }
}

#[cfg(test)]
mod tests;
