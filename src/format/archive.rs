//! The tree as one file: an archive, perhaps compressed.
//!
//! In: the finished tree. Out: `tar`, `tgz`, `tar.zst` or an ACI, with digests computed on the way. Not here: members (`tar`),
//! images of containers (`docker`, `oci`).

use std::fs::File;
use std::io::{BufWriter, Write};

use camino::Utf8Path;

use super::checksum::Algorithm;
use super::gzip::Gzip;
use super::hashed::Hashed;
use super::pass::Written;
use super::shape::Shape;
use super::zst::Zst;
use super::{FormatError, tar};
use crate::event::Events;
use crate::sandbox::command::Command;

/// An archive to be written.
#[derive(Clone, Copy)]
pub(super) struct Archive<'a> {
    /// The tree.
    pub shape: Shape<'a>,
    /// The new file.
    pub to: &'a Utf8Path,
    /// Digests to compute.
    pub algorithms: &'a [Algorithm],
    /// Who is told.
    pub events: &'a Events,
}

impl Archive<'_> {
    /// As it is.
    pub fn tar(&self) -> Result<Written, FormatError> {
        let out = tar::stream(&self.shape, self.file()?, self.to, self.events)?;
        self.end(out)
    }

    /// Compressed with gzip: by the program of the command line `compressor` (`DIB_GZIP_BIN`), or on all cores by kiln.
    pub fn tgz(&self, compressor: &str) -> Result<Written, FormatError> {
        if compressor.trim().is_empty() {
            let gzip = Gzip::new(self.file()?).map_err(self.writing())?;
            let gzip = tar::stream(&self.shape, gzip, self.to, self.events)?;
            return self.end(gzip.finish().map_err(self.writing())?);
        }
        // A shell opens the output, so that it does not pass through kiln.
        let script = "to=$1; shift; exec \"$@\" -9 > \"$to\"";
        let words = ["/bin/sh", "-c", script, "sh", self.to.as_str()].into_iter();
        let command = Command::new(words.chain(compressor.split_whitespace()));
        tar::pipe(&self.shape, command, "tgz", self.events)?;
        Ok(Written { size: 0, digests: None })
    }

    /// Compressed with zstd.
    pub fn zst(&self) -> Result<Written, FormatError> {
        let zst = tar::stream(&self.shape, Zst::new(self.file()?), self.to, self.events)?;
        self.end(zst.finish().map_err(self.writing())?)
    }

    /// An App Container image; `manifest` is the path of its manifest, or empty.
    pub fn aci(&self, manifest: &str) -> Result<Written, FormatError> {
        let last = Some(manifest).filter(|path| !path.is_empty()).map(|path| (Utf8Path::new(path), "manifest"));
        if last.is_none() {
            self.events.warn("the ACI has no manifest, and no runtime will take it: name one with ACI_MANIFEST");
        }
        let shape = Shape { top: "rootfs", last, ..self.shape };
        Archive { shape, ..*self }.tar()
    }

    fn file(&self) -> Result<Hashed<BufWriter<File>>, FormatError> {
        let file = File::create(self.to).map_err(FormatError::io("create", self.to))?;
        Ok(Hashed::new(BufWriter::new(file), self.algorithms))
    }

    fn end<W: Write>(&self, out: Hashed<W>) -> Result<Written, FormatError> {
        out.finish().map(|(_, written)| written).map_err(self.writing())
    }

    fn writing(&self) -> impl FnOnce(std::io::Error) -> FormatError {
        FormatError::io("write", self.to)
    }
}
