//! The words that `build` and `plan` share, and their meaning as a [`Request`].

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueEnum};

use super::audit::PolicyArgs;
use super::dib::{Options, environment};
use super::variables::Environment;
use super::{duration, meaning, size, variables};
use crate::request::{DiskWriter, Kind, Qcow2Compression, Request};

/// What is to be built.
#[derive(Args, Debug)]
pub struct ImageArgs {
    /// Path of the image; each format adds its suffix [default: IMAGE_NAME, else image]
    #[arg(short = 'o', long = "output", value_name = "NAME")]
    output: Option<Utf8PathBuf>,
    /// Formats, separated by commas: qcow2, raw, tar, tgz, squashfs, vhd, vmdk, …
    #[arg(short = 't', long = "types", value_name = "FORMATS", value_delimiter = ',', default_value = "qcow2")]
    formats: Vec<String>,
    /// Architecture of the image: amd64, arm64 … [default: ARCH, else this machine's]
    #[arg(short = 'a', long = "arch", value_name = "ARCH")]
    arch: Option<String>,
    /// More packages to install, by their real names, separated by commas; may be repeated
    #[arg(short = 'p', long = "packages", value_name = "PACKAGES", value_delimiter = ',')]
    packages: Vec<String>,
    /// An option of an element, such as debian-minimal.release=bookworm; may be repeated
    #[arg(long = "option", value_name = "ELEMENT.NAME=VALUE")]
    options: Vec<String>,
    /// Size of the disk: a number of GiB, or with a unit (512MiB) [default: DIB_IMAGE_SIZE, else what the tree needs]
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    image_size: Option<u64>,
    /// Label of the root file system [default: ROOT_LABEL, else cloudimg-rootfs]
    #[arg(long, value_name = "LABEL")]
    root_label: Option<String>,
    /// Do not compress qcow2
    #[arg(short = 'u', long)]
    uncompressed: bool,
    /// How to compress qcow2: zstd (read by QEMU 5.1 and later), or zlib (read by every QEMU; slower and larger)
    #[arg(long, value_name = "NAME", value_enum, default_value_t = Codec::Zstd, conflicts_with = "uncompressed")]
    qcow2_compression: Codec,
    /// Write md5 and sha256 files beside each output
    #[arg(long)]
    checksum: bool,
    /// Do not add the element `base`
    #[arg(short = 'n', long)]
    skip_base: bool,
    /// Folder that holds elements, before those of `ELEMENTS_PATH`; may be repeated
    #[arg(long, value_name = "FOLDER")]
    elements_path: Vec<Utf8PathBuf>,
    /// Text that the identifiers of disks and file systems are derived from [default: what is asked for]
    #[arg(long, value_name = "TEXT")]
    seed: Option<String>,
    /// Folder of what is kept between builds: packages, finished steps, logs [default: KILN_STORE, else kiln in the user's cache]
    #[arg(long, value_name = "FOLDER")]
    store: Option<Utf8PathBuf>,
    /// Who writes the disk image: auto (the loop writer when a hook wants block devices), direct, or loop
    #[arg(long, value_name = "WRITER", default_value = "auto", value_parser = meaning::disk_writer)]
    disk_writer: DiskWriter,
    /// Reproduce the defects of diskimage-builder that an image may depend on
    #[arg(long)]
    dib_strict: bool,
    /// How long the result of a step that may use the network is reused: 90s, 30m, 6h, 2d; 0 means never
    #[arg(long, value_name = "DURATION", default_value = "6h", value_parser = duration::parse)]
    max_age: u64,
    /// Run every step that may use the network again, as --max-age 0
    #[arg(long, conflicts_with = "max_age")]
    refresh: bool,
    /// Ask elements to use what they have cached instead of a network, as DIB_OFFLINE=1
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    policy: PolicyArgs,
    /// Elements of the image, one of them an operating system: vm debian-minimal
    #[arg(required = true, value_name = "ELEMENT")]
    elements: Vec<String>,
}

/// Words for a qcow2's compression.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Codec {
    Zstd,
    Zlib,
}

impl ImageArgs {
    /// What these words and the environment ask for. Paths become absolute.
    pub fn request(&self) -> Result<Request, String> {
        let mut environment = variables::environment();
        let arch = meaning::arch(self.arch.as_deref(), &environment)?;
        let variables = meaning::variables(&environment, &arch);
        let here = meaning::current_folder()?;
        let formats = meaning::formats(&self.formats)?;
        let named = self.output.clone().or_else(|| variables.get("IMAGE_NAME").map(Utf8PathBuf::from));
        let output = meaning::output(&named.unwrap_or_else(|| "image".into()), &formats)?;
        let packages = self.packages.iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        let image_size = match self.image_size {
            None => size::variable(&variables)?,
            given => given,
        };
        self.complete(&output, image_size, &mut environment);
        let digests = if self.checksum { "1" } else { variables.get("DIB_CHECKSUM").map_or("0", String::as_str) };
        Ok(Request {
            kind: Kind::Disk,
            elements: self.elements.clone(),
            search_path: meaning::search_path(&self.elements_path, &environment)?,
            output: here.join(output),
            formats,
            arch,
            packages: packages.collect(),
            options: self.element_options()?,
            image_size,
            root_label: self.root_label.clone().or_else(|| variables.get("ROOT_LABEL").cloned()),
            checksums: meaning::checksums(digests),
            qcow2_compression: match self.qcow2_compression {
                _ if self.uncompressed => Qcow2Compression::None,
                Codec::Zlib => Qcow2Compression::Zlib,
                Codec::Zstd => Qcow2Compression::Zstd,
            },
            skip_base: self.skip_base,
            seed: self.seed.clone(),
            source_date_epoch: meaning::source_date_epoch(&variables)?,
            mkfs_options: Vec::new(),
            qemu_img_options: None,
            docker_target: None,
            keep_old_outputs: false,
            disk_writer: self.disk_writer,
            dib_strict: self.dib_strict,
            policy: self.policy.read()?,
            directory: here,
            breakpoints: meaning::breakpoints(&environment)?,
            environment,
            arguments: None,
            max_age: if self.refresh { 0 } else { self.max_age },
            variables,
        })
    }

    /// Shell hooks see the same environment whichever dialect was spoken.
    fn complete(&self, name: &Utf8Path, image_size: Option<u64>, environment: &mut Environment) {
        let spoken = Options {
            arch: self.arch.clone(),
            uncompressed: self.uncompressed,
            skip_base: self.skip_base,
            checksum: self.checksum,
            offline: self.offline,
            root_label: self.root_label.clone(),
            ..Options::default()
        };
        environment::complete(&spoken, Kind::Disk, name, image_size, environment);
    }

    /// `--option`, as a map.
    fn element_options(&self) -> Result<BTreeMap<String, String>, String> {
        let mut options = BTreeMap::new();
        for text in &self.options {
            let (name, value) = text
                .split_once('=')
                .filter(|(name, _)| name.contains('.'))
                .ok_or_else(|| format!("`--option {text}` is not of the form ELEMENT.NAME=VALUE"))?;
            options.insert(name.to_owned(), value.to_owned());
        }
        Ok(options)
    }

    /// Nothing is to be fetched.
    pub fn offline(&self) -> bool {
        self.offline || variables::var("DIB_OFFLINE").is_some_and(|value| !value.is_empty())
    }

    /// The store these words and the environment name.
    pub fn store(&self) -> Result<Utf8PathBuf, String> {
        meaning::store(self.store.as_deref(), &variables::environment())
    }
}
