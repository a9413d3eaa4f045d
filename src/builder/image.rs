//! From the finished tree to files under temporary names.
//!
//! In: a tree and what the boot loader made. Out: artifacts. Raw images, one a disk, are made only when an output or a hook needs
//! them, and straight in their outputs' places when `raw` is asked for.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::child::Site;
use super::error::BuildError;
use super::outside::read_secret;
use super::root_hash;
use crate::boot::{self, BootFiles};
use crate::disk;
use crate::disk::layout::Layout;
use crate::event::{Artifact, Events};
use crate::format::{self, Source};
use crate::plan::{DiskPlan, Output, Plan};

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

/// Raw images of the disks and what they hold.
#[derive(Clone, Debug)]
pub struct Raw {
    /// Name and file of each disk, the first one first.
    pub images: Vec<(String, Utf8PathBuf)>,
    /// Their layout.
    pub layout: Layout,
    /// Bytes of the disks that name no size.
    pub size: u64,
    /// The root hashes of verified devices, by their names.
    pub root_hashes: BTreeMap<String, String>,
}

impl Raw {
    /// The image of the disk that an output names; empty for the first.
    fn image(&self, disk: &str) -> Option<&Utf8PathBuf> {
        let is_asked =
            |(at, (name, _)): &(usize, &(String, Utf8PathBuf))| name == disk || (disk.is_empty() && *at == 0);
        self.images.iter().enumerate().find(is_asked).map(|(_, (_, file))| file)
    }
}

impl Image<'_> {
    /// Whether any output is made from a raw image.
    pub fn needs_raw(&self) -> Result<bool, BuildError> {
        Ok(!self.outputs(Source::Raw)?.is_empty())
    }

    /// Writes the raw disk images of `tree`.
    pub fn write_raw(&self, tree: &Utf8Path) -> Result<Raw, BuildError> {
        let parameters = &self.plan.disk.parameters;
        let size = self.size(tree)?;
        let layout = disk::solve::solve(&self.plan.disk.config, parameters, size, &self.plan.seed)?;
        let names = layout.disks.iter().map(|disk| disk.name.clone()).enumerate();
        let images: Vec<_> = names.map(|(at, disk)| (disk.clone(), self.raw_file(&disk, at == 0))).collect();
        let secrets = self.secrets(&layout)?;
        let (time, events) = (self.plan.source_date_epoch, self.events);
        let content = disk::direct::Content { tree, time, secrets: &secrets, events };
        let written = disk::direct::write(&layout, &images, &content)?;
        Ok(Raw { images, layout, size, root_hashes: written.root_hashes })
    }

    /// Where the raw image of a disk is written: right in the place of the output, if it is one.
    fn raw_file(&self, disk: &str, is_first: bool) -> Utf8PathBuf {
        let named = if is_first { "" } else { disk };
        let asked = self.plan.outputs.iter().find(|output| output.format == "raw" && output.disk == named);
        match (asked, is_first) {
            (Some(output), _) => format::temporary(&output.path, self.build()),
            (None, true) => self.site.work.join("image.raw"),
            (None, false) => self.site.work.join(format!("image.{disk}.raw")),
        }
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

    /// Bytes of the disk for the content of `tree`, unless a size was asked for.
    pub fn size(&self, tree: &Utf8Path) -> Result<u64, BuildError> {
        if let Some(size) = self.size_asked_for() {
            return Ok(size);
        }
        let DiskPlan { config, parameters, .. } = &self.plan.disk;
        let size = disk::image_size::image_size(parameters, disk::image_size::usage(tree)?);
        if parameters.dib_strict { Ok(size) } else { Ok(disk::room::for_content(config, parameters, tree, size)?) }
    }

    /// Bytes of the disk, when a size was asked for.
    pub fn size_asked_for(&self) -> Option<u64> {
        let parameters = &self.plan.disk.parameters;
        parameters.image_size.map(|_| disk::image_size::image_size(parameters, 0))
    }

    /// Puts the boot loader's code into a raw image.
    pub fn install_boot_code(&self, raw: &Raw, files: Option<&BootFiles>) -> Result<(), BuildError> {
        let Some(files) = files else { return Ok(()) };
        for (disk, file) in &raw.images {
            boot::install(files, &raw.layout, disk, file)?;
            boot::install_root_hashes(&raw.root_hashes, &raw.layout, disk, file)?;
        }
        Ok(())
    }

    /// Tells the root hashes of the finished image, and writes those that systemd's tools look for beside it.
    pub fn write_root_hashes(&self, raw: &Raw) -> Result<Vec<Artifact>, BuildError> {
        root_hash::write(self.plan, raw, self.build(), self.events)
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
        self.write(&self.plan.outputs, tree, raw, &[])
    }

    /// Writes the outputs that are made from `source`; `parts` are folders of the tree that are file systems of the image.
    pub fn write_formats_of(
        &self,
        source: Source,
        tree: &Utf8Path,
        raw: Option<&Raw>,
        parts: &[Utf8PathBuf],
    ) -> Result<Vec<Artifact>, BuildError> {
        self.write(&self.outputs(source)?, tree, raw, parts)
    }

    fn write(
        &self,
        outputs: &[Output],
        tree: &Utf8Path,
        raw: Option<&Raw>,
        parts: &[Utf8PathBuf],
    ) -> Result<Vec<Artifact>, BuildError> {
        let time = self.plan.source_date_epoch;
        let mut made = Vec::new();
        // Those of further disks follow those of the first.
        for outputs in outputs.chunk_by(|one, other| one.disk == other.disk) {
            let name = outputs.first().map_or("", |output| output.disk.as_str());
            let seed = if name.is_empty() { self.plan.seed.clone() } else { format!("{}:{name}", self.plan.seed) };
            let file = raw.and_then(|raw| raw.image(name)).cloned();
            let inputs = format::Inputs {
                disk: file.map(|file| (file, format::reader::Kind::Raw)),
                tree: tree.to_owned(),
                parts: parts.to_vec(),
                arch: self.plan.arch.clone(),
                build: self.build().to_owned(),
                seed,
            };
            made.extend(format::write(&inputs, outputs, &self.plan.checksums, time, self.events)?);
        }
        Ok(made)
    }
}
