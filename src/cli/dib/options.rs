//! The options of `disk-image-create` and `ramdisk-image-create`.
//!
//! In: words. Out: what was asked for, word by word. Not here: how words are taken apart (`getopt`), variables
//! (`environment`), what it means for a build (`request`).

use camino::Utf8PathBuf;

use super::getopt::{self, Parsed, Spec};
use crate::cli::{duration, meaning};
use crate::request::DiskWriter;

/// The options that DIB has, then those that it has not or that it announces and refuses.
pub const SPEC: Spec = Spec {
    short: &[
        ('a', true),
        ('h', false),
        ('o', true),
        ('t', true),
        ('x', false),
        ('u', false),
        ('c', false),
        ('n', false),
        ('p', true),
    ],
    long: &[
        ("checksum", false),
        ("no-tmpfs", false),
        ("offline", false),
        ("help", false),
        ("version", false),
        ("min-tmpfs", true),
        ("image-size", true),
        ("image-cache", true),
        ("max-online-resize", true),
        ("mkfs-options", true),
        ("qemu-img-options", true),
        ("ramdisk-element", true),
        ("root-label", true),
        ("install-type", true),
        ("docker-target", true),
        ("logfile", true),
    ],
    more: &[
        ("image-extra-size", true),
        ("mkfs-journal-size", true),
        ("dib-strict", false),
        ("confine", false),
        ("disk-writer", true),
        ("store", true),
        ("no-cache", false),
        ("max-age", true),
    ],
};

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub arch: Option<String>,
    pub output: Option<String>,
    pub types: Option<String>,
    /// How often `-x` was given.
    pub trace: u32,
    pub uncompressed: bool,
    pub clear: bool,
    pub skip_base: bool,
    pub packages: Vec<String>,
    pub checksum: bool,
    pub no_tmpfs: bool,
    pub offline: bool,
    pub min_tmpfs: Option<String>,
    pub image_size: Option<String>,
    pub image_extra_size: Option<String>,
    pub image_cache: Option<String>,
    pub max_online_resize: Option<String>,
    pub mkfs_journal_size: Option<String>,
    pub mkfs_options: Option<String>,
    pub qemu_img_options: Option<String>,
    pub ramdisk_element: Option<String>,
    pub root_label: Option<String>,
    pub install_type: Option<String>,
    pub docker_target: Option<String>,
    pub logfile: Option<Utf8PathBuf>,
    pub dib_strict: bool,
    pub confine: bool,
    pub disk_writer: DiskWriter,
    pub store: Option<Utf8PathBuf>,
    pub no_cache: bool,
    pub max_age: Option<u64>,
    pub elements: Vec<String>,
}

/// What the words want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The help text.
    Help,
    /// The version.
    Version,
    /// An image.
    Image(Box<Options>),
}

/// Reads `words`.
///
/// # Errors
/// Every word that is wrong, each with its own text.
pub fn read(words: &[String], posixly_correct: bool) -> Result<Wish, Vec<String>> {
    let Parsed { options: found, operands } = getopt::parse(words, &SPEC, posixly_correct)?;
    let mut options = Options { elements: operands, ..Options::default() };
    for (name, value) in found {
        match name.as_str() {
            "h" | "help" => return Ok(Wish::Help),
            "version" => return Ok(Wish::Version),
            _ => options.take(&name, value).map_err(|complaint| vec![complaint])?,
        }
    }
    Ok(Wish::Image(Box::new(options)))
}

impl Options {
    fn take(&mut self, name: &str, value: Option<String>) -> Result<(), String> {
        match name {
            "a" => self.arch = value,
            "o" => self.output = value,
            "t" => self.types = value,
            "x" => self.trace += 1,
            "u" => self.uncompressed = true,
            "c" => self.clear = true,
            "n" => self.skip_base = true,
            "p" => {
                let list = value.unwrap_or_default();
                let names = list.split([',', ' ']).filter(|name| !name.is_empty());
                self.packages.extend(names.map(str::to_owned));
            }
            "checksum" => self.checksum = true,
            "no-tmpfs" => self.no_tmpfs = true,
            "offline" => self.offline = true,
            "min-tmpfs" => self.min_tmpfs = value,
            "image-size" => self.image_size = value,
            "image-extra-size" => self.image_extra_size = value,
            "image-cache" => self.image_cache = value,
            "max-online-resize" => self.max_online_resize = value,
            "mkfs-journal-size" => self.mkfs_journal_size = value,
            "mkfs-options" => self.mkfs_options = value,
            "qemu-img-options" => self.qemu_img_options = value,
            "ramdisk-element" => self.ramdisk_element = value,
            "root-label" => self.root_label = value,
            "install-type" => self.install_type = value,
            "docker-target" => self.docker_target = value,
            "logfile" => self.logfile = value.map(Into::into),
            "dib-strict" => self.dib_strict = true,
            "confine" => self.confine = true,
            "disk-writer" => {
                self.disk_writer = meaning::disk_writer(&value.unwrap_or_default()).map_err(of("disk-writer"))?;
            }
            "store" => self.store = value.map(Into::into),
            "no-cache" => self.no_cache = true,
            "max-age" => self.max_age = Some(duration::parse(&value.unwrap_or_default()).map_err(of("max-age"))?),
            // A test compares this list with the options that there are.
            _ => return Err(format!("unrecognized option '--{name}'")),
        }
        Ok(())
    }
}

fn of(option: &'static str) -> impl Fn(String) -> String {
    move |error| format!("option '--{option}': {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Options {
        let words: Vec<String> = text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        match read(&words, false) {
            Ok(Wish::Image(options)) => *options,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn every_option_that_there_is_has_a_meaning() {
        for (name, takes_value) in SPEC.long.iter().chain(SPEC.more) {
            let value = match *name {
                "disk-writer" => "loop",
                _ => "7",
            };
            let word = if *takes_value { format!("--{name}={value}") } else { format!("--{name}") };
            let wish = read(&[word], false).unwrap();
            match *name {
                "help" => assert_eq!(wish, Wish::Help),
                "version" => assert_eq!(wish, Wish::Version),
                _ => assert_ne!(wish, Wish::Image(Box::default()), "--{name} changes nothing"),
            }
        }
        for (letter, takes_value) in SPEC.short.iter().filter(|(letter, _)| *letter != 'h') {
            let word = format!("-{letter}{}", if *takes_value { "7" } else { "" });
            assert_ne!(read(&[word], false).unwrap(), Wish::Image(Box::default()), "-{letter} changes nothing");
        }
    }

    #[test]
    fn packages_add_up_and_tracing_counts() {
        let options = options("-p a,b vm -xx -p c --image-size=2 -x");
        assert_eq!(options.packages, ["a", "b", "c"]);
        assert_eq!((options.trace, options.elements), (3, vec!["vm".to_owned()]));
    }

    #[test]
    fn help_wins_over_what_follows_but_not_over_wrong_words() {
        assert_eq!(read(&["-h".into(), "--max-age=never".into()], false), Ok(Wish::Help));
        assert!(read(&["-h".into(), "--bogus".into()], false).is_err());
        let wrong = read(&["--disk-writer=dd".into()], false).unwrap_err();
        assert!(wrong[0].contains("--disk-writer") && wrong[0].contains("`loop`"), "{wrong:?}");
    }
}
