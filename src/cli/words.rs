//! The words that `build` and `plan` share, and their meaning as a [`Request`].

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueEnum};

use super::{size, variables};
use crate::element::architecture;
use crate::format;
use crate::request::{Breakpoints, DiskWriter, Kind, Qcow2Compression, Request};

/// Seconds for which what a step fetched from a network is good enough: a failed build goes on where it stopped, the next day's
/// build asks again.
pub const MAX_AGE: u64 = 6 * 60 * 60;

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
        let mut variables = variables::collect();
        let here = current_folder()?;
        let mut formats: Vec<String> = Vec::new();
        for name in self.formats.iter().map(|name| name.trim()).filter(|name| !name.is_empty()) {
            format::find(name).map_err(|error| error.to_string())?;
            if !formats.iter().any(|known| known == name) {
                formats.push(name.to_owned());
            }
        }
        if formats.is_empty() {
            return Err("no format is named; -t takes qcow2, raw, tar and others, separated by commas".to_owned());
        }
        let output = self.output.clone().or_else(|| variables.get("IMAGE_NAME").map(Utf8PathBuf::from));
        let output = stem(&output.unwrap_or_else(|| "image".into()), &formats);
        // A name that ends in `/` or a dot would make a hidden file of that folder.
        if matches!(output.as_str().rsplit('/').next(), None | Some("" | "." | "..")) {
            return Err(format!("`{output}` names no file; -o takes the path of the image without its suffix"));
        }
        let mut options = BTreeMap::new();
        for text in &self.options {
            let (name, value) = text
                .split_once('=')
                .filter(|(name, _)| name.contains('.'))
                .ok_or_else(|| format!("`--option {text}` is not of the form ELEMENT.NAME=VALUE"))?;
            options.insert(name.to_owned(), value.to_owned());
        }
        let arch = match (&self.arch, variables.get("ARCH")) {
            (Some(name), _) => arch(name, "-a")?,
            (None, Some(name)) => arch(name, "ARCH")?,
            (None, None) => host_arch(),
        };
        // Elements read the variable too.
        variables.entry("ARCH".to_owned()).and_modify(|name| name.clone_from(&arch));
        let epoch = variables.get("SOURCE_DATE_EPOCH").map(|text| {
            text.parse().map_err(|_| format!("SOURCE_DATE_EPOCH is `{text}`, which is no number of seconds"))
        });
        let packages = self.packages.iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        Ok(Request {
            kind: Kind::Disk,
            elements: self.elements.clone(),
            search_path: search_path(&self.elements_path)?,
            output: here.join(output),
            formats,
            arch,
            packages: packages.collect(),
            options,
            image_size: match self.image_size {
                None => variables
                    .get("DIB_IMAGE_SIZE")
                    .map(|text| size::parse(text))
                    .transpose()
                    .map_err(|error| format!("DIB_IMAGE_SIZE is no size: {error}"))?,
                given => given,
            },
            root_label: self.root_label.clone().or_else(|| variables.get("ROOT_LABEL").cloned()),
            checksums: self.checksums(&variables),
            qcow2_compression: match self.qcow2_compression {
                _ if self.uncompressed => Qcow2Compression::None,
                Codec::Zlib => Qcow2Compression::Zlib,
                Codec::Zstd => Qcow2Compression::Zstd,
            },
            skip_base: self.skip_base,
            seed: self.seed.clone(),
            source_date_epoch: epoch.transpose()?,
            mkfs_options: Vec::new(),
            qemu_img_options: None,
            docker_target: None,
            keep_old_outputs: false,
            disk_writer: DiskWriter::default(),
            dib_strict: false,
            directory: here,
            environment: variables::environment(),
            arguments: None,
            breakpoints: Breakpoints::default(),
            max_age: MAX_AGE,
            variables,
        })
    }

    fn checksums(&self, variables: &BTreeMap<String, String>) -> Vec<String> {
        let asked = if self.checksum { "1" } else { variables.get("DIB_CHECKSUM").map_or("0", String::as_str) };
        let all = ["md5", "sha256"];
        all.into_iter().filter(|name| asked == "1" || asked.contains(name)).map(str::to_owned).collect()
    }

    /// The store these words and the environment name.
    pub fn store(&self) -> Result<Utf8PathBuf, String> {
        store(self.store.as_deref())
    }
}

/// The folders that hold elements: those named, then those of `ELEMENTS_PATH`.
pub fn search_path(named: &[Utf8PathBuf]) -> Result<Vec<Utf8PathBuf>, String> {
    let here = current_folder()?;
    let mut path: Vec<Utf8PathBuf> = named.iter().map(|folder| here.join(folder)).collect();
    if let Some(variable) = variables::var("ELEMENTS_PATH") {
        path.extend(variable.split(':').map(|folder| here.join(folder)));
    }
    Ok(path)
}

/// The store: what the user names, else `KILN_STORE`, else a folder in the user's cache.
pub fn store(named: Option<&Utf8Path>) -> Result<Utf8PathBuf, String> {
    let cache = || variables::var("XDG_CACHE_HOME").map(|cache| Utf8PathBuf::from(cache).join("kiln"));
    let home = || variables::var("HOME").map(|home| Utf8PathBuf::from(home).join(".cache/kiln"));
    let named = named.map(Utf8Path::to_owned).or_else(|| variables::var("KILN_STORE").map(Utf8PathBuf::from));
    let path = named.or_else(cache).or_else(home).unwrap_or_else(|| "/var/cache/kiln".into());
    Ok(current_folder()?.join(path))
}

fn current_folder() -> Result<Utf8PathBuf, String> {
    let folder = std::env::current_dir().map_err(|error| format!("cannot tell the current folder: {error}"))?;
    Utf8PathBuf::from_path_buf(folder).map_err(|path| format!("the path {} is not UTF-8", path.display()))
}

/// DIB's rule: with exactly one format, the format's suffix is not part of the name.
fn stem(output: &Utf8Path, formats: &[String]) -> Utf8PathBuf {
    match formats {
        [only] => output.as_str().strip_suffix(&format!(".{only}")).unwrap_or(output.as_str()).into(),
        _ => output.to_owned(),
    }
}

/// An architecture in Debian's spelling, given in that or a kernel's.
fn arch(name: &str, origin: &str) -> Result<String, String> {
    architecture::debian(name).map(str::to_owned).ok_or_else(|| {
        format!("{origin} is `{name}`, which is no architecture; there are {}", architecture::KNOWN.join(", "))
    })
}

/// This machine's architecture in Debian's spelling.
pub fn host_arch() -> String {
    let little = cfg!(target_endian = "little");
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "i386",
        "aarch64" => "arm64",
        "arm" => "armhf",
        "powerpc64" if little => "ppc64el",
        other => architecture::debian(other).unwrap_or(other),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suffix_is_taken_off_for_one_format_only() {
        let one = ["qcow2".to_owned()];
        let two = ["raw".to_owned(), "qcow2".to_owned()];
        assert_eq!(stem("a/i.qcow2".into(), &one), "a/i");
        assert_eq!(stem("i.raw".into(), &one), "i.raw");
        assert_eq!(stem("i.qcow2".into(), &two), "i.qcow2");
    }
}
