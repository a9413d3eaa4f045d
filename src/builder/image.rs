//! From the finished tree to files under temporary names.
//!
//! In: a tree and what the boot loader made. Out: artifacts. The raw image is made only when an output or a hook needs one, and
//! straight in its output's place when `raw` is asked for.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::child::Site;
use super::error::BuildError;
use super::outside::read_secret;
use crate::boot::{self, BootFiles};
use crate::disk;
use crate::disk::layout::Layout;
use crate::event::{Artifact, Events};
use crate::format::{self, Source};
use crate::plan::{Output, Plan};

/// What is needed to write an image.
#[derive(Clone, Copy)]
pub struct Image<'a> {
    /// What was planned.
    pub plan: &'a Plan,
    /// Where the build works.
    pub site: &'a Site,
    /// Who is told.
    pub events: &'a Events,
}

/// A raw disk image and what it holds.
#[derive(Clone, Debug)]
pub struct Raw {
    /// Its file.
    pub file: Utf8PathBuf,
    /// Its layout.
    pub layout: Layout,
    /// The name of its disk.
    pub disk: String,
    /// Its size in bytes.
    pub size: u64,
    /// The root hashes of its verified devices, by their names.
    pub root_hashes: BTreeMap<String, String>,
}

impl Image<'_> {
    /// Whether any output is made from a raw image.
    pub fn needs_raw(&self) -> Result<bool, BuildError> {
        Ok(!self.outputs(Source::Raw)?.is_empty())
    }

    /// Writes the raw disk image of `tree`.
    pub fn write_raw(&self, tree: &Utf8Path) -> Result<Raw, BuildError> {
        let asked = self.plan.outputs.iter().find(|output| output.format == "raw");
        let file = asked
            .map_or_else(|| self.site.work.join("image.raw"), |output| format::temporary(&output.path, self.build()));
        let parameters = &self.plan.disk.parameters;
        let size = match parameters.image_size {
            Some(size) => size,
            None => disk::image_size::image_size(parameters, disk::image_size::usage(tree)?),
        };
        let layout = disk::solve::solve(&self.plan.disk.config, parameters, size, &self.plan.seed)?;
        let disk = layout.disks.first().map(|disk| disk.name.clone()).unwrap_or_default();
        let secrets = self.secrets(&layout)?;
        let (time, events) = (self.plan.source_date_epoch, self.events);
        let content = disk::direct::Content { tree, time, secrets: &secrets, events };
        let written = disk::direct::write(&layout, &disk, &file, &content)?;
        Ok(Raw { file, layout, disk, size, root_hashes: written.root_hashes })
    }

    /// The secrets that open the containers of `layout`.
    fn secrets(&self, layout: &Layout) -> Result<BTreeMap<String, Vec<u8>>, BuildError> {
        let wanted = layout.luks.iter().filter_map(|container| self.site.secrets.get_key_value(&container.secret));
        let read = |(name, file): (&String, &Utf8PathBuf)| {
            let text = read_secret(file).map_err(BuildError::system(format!("read the secret `{name}`")))?;
            Ok((name.clone(), text.into_bytes()))
        };
        wanted.map(read).collect()
    }

    /// Puts the boot loader's code into a raw image.
    pub fn install_boot_code(&self, raw: &Raw, files: Option<&BootFiles>) -> Result<(), BuildError> {
        let Some(files) = files else { return Ok(()) };
        boot::install(files, &raw.layout, &raw.disk, &raw.file)?;
        Ok(boot::install_root_hashes(&raw.root_hashes, &raw.layout, &raw.disk, &raw.file)?)
    }

    /// What tells this build's temporary files from another's: the name of its work folder.
    fn build(&self) -> &str {
        self.site.work.file_name().unwrap_or_default()
    }

    fn outputs(&self, source: Source) -> Result<Vec<Output>, BuildError> {
        let mut outputs = Vec::new();
        for output in &self.plan.outputs {
            if format::find(&output.format).map_err(format::FormatError::from)?.source == source {
                outputs.push(output.clone());
            }
        }
        Ok(outputs)
    }

    /// Writes every output.
    pub fn write_formats(&self, tree: &Utf8Path, raw: Option<&Raw>) -> Result<Vec<Artifact>, BuildError> {
        self.write(&self.plan.outputs, tree, raw, Vec::new())
    }

    /// Writes the outputs that are made from `source`; `parts` are folders of the tree that are file systems of the image.
    pub fn write_formats_of(
        &self,
        source: Source,
        tree: &Utf8Path,
        raw: Option<&Raw>,
        parts: Vec<Utf8PathBuf>,
    ) -> Result<Vec<Artifact>, BuildError> {
        self.write(&self.outputs(source)?, tree, raw, parts)
    }

    fn write(
        &self,
        outputs: &[Output],
        tree: &Utf8Path,
        raw: Option<&Raw>,
        parts: Vec<Utf8PathBuf>,
    ) -> Result<Vec<Artifact>, BuildError> {
        let raw = raw.map(|raw| raw.file.clone());
        let inputs = format::Inputs { raw, tree: tree.to_owned(), parts, build: self.build().to_owned() };
        let time = self.plan.source_date_epoch;
        Ok(format::write(&inputs, outputs, &self.plan.checksums, time, self.events)?)
    }
}
