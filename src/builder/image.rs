//! From the finished tree to files under temporary names.
//!
//! In: the mounted tree and what the boot loader made. Out: artifacts. The raw image is made only when an output needs one, and
//! straight in its output's place when `raw` is asked for.

use camino::{Utf8Path, Utf8PathBuf};

use super::child::Site;
use super::error::BuildError;
use crate::boot::{self, BootFiles};
use crate::disk;
use crate::event::{Artifact, Events};
use crate::format;
use crate::plan::Plan;

/// What is needed to write an image.
pub struct Image<'a> {
    /// What was planned.
    pub plan: &'a Plan,
    /// Where the build works.
    pub site: &'a Site,
    /// The finished tree.
    pub tree: &'a Utf8Path,
    /// What the boot loader's step made.
    pub boot_files: Option<BootFiles>,
    /// Who is told.
    pub events: &'a Events,
}

impl Image<'_> {
    /// Writes the raw disk image, when an output needs it.
    pub fn write_disk(&self) -> Result<Option<Utf8PathBuf>, BuildError> {
        let mut needed = false;
        for output in &self.plan.outputs {
            needed |= format::find(&output.format).map_err(format::FormatError::from)?.source == format::Source::Raw;
        }
        if !needed {
            return Ok(None);
        }
        let asked = self.plan.outputs.iter().find(|output| output.format == "raw");
        let raw = asked
            .map_or_else(|| self.site.work.join("image.raw"), |output| format::temporary(&output.path, self.build()));
        let parameters = &self.plan.disk.parameters;
        let size = match parameters.image_size {
            Some(size) => size,
            None => disk::image_size::image_size(parameters, disk::image_size::usage(self.tree)?),
        };
        let layout = disk::solve::solve(&self.plan.disk.config, parameters, size, &self.plan.seed)?;
        let primary = layout.disks.first().map(|disk| disk.name.clone()).unwrap_or_default();
        disk::direct::write(&layout, &primary, self.tree, &raw, self.plan.source_date_epoch, self.events)?;
        if let Some(files) = &self.boot_files {
            boot::install(files, &layout, &primary, &raw)?;
        }
        Ok(Some(raw))
    }

    /// What tells this build's temporary files from another's: the name of its work folder.
    fn build(&self) -> &str {
        self.site.work.file_name().unwrap_or_default()
    }

    /// Writes every output.
    pub fn write_formats(&self, raw: Option<Utf8PathBuf>) -> Result<Vec<Artifact>, BuildError> {
        let inputs =
            format::Inputs { raw, tree: self.tree.to_owned(), parts: Vec::new(), build: self.build().to_owned() };
        let time = self.plan.source_date_epoch;
        Ok(format::write(&inputs, &self.plan.outputs, &self.plan.checksums, time, self.events)?)
    }
}
