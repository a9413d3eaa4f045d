//! Formats that are left to `qemu-img`.
//!
//! In: a disk image, a format of qemu-img's, its `-o` options. Out: the converted file; before a build, whether qemu-img will take
//! them.

use camino::Utf8Path;

use super::FormatError;
use crate::event::Events;
use crate::request::Qcow2Compression;
use crate::sandbox::command::{Command, CommandError};

/// Bytes of the disk with which options are tried.
const TRIAL: &str = "4M";

/// Converts the image `from`, of a format of qemu-img's, to `to`.
pub fn convert(
    (from, kind): (&Utf8Path, &str),
    to: &Utf8Path,
    format: &'static str,
    compression: Option<Qcow2Compression>,
    options: &str,
    events: &Events,
) -> Result<(), FormatError> {
    let mut words = vec!["qemu-img", "convert", "-f", kind, "-O", format];
    let mut options = options.to_owned();
    if let Some(compression) = compression.filter(|compression| *compression != Qcow2Compression::None) {
        words.push("-c");
        // Older qcow2 has deflate only.
        let free = !options.contains("compression_type") && !options.contains("compat");
        if compression == Qcow2Compression::Zstd && free {
            options = join(&options, "compression_type=zstd");
        }
    }
    if !options.is_empty() {
        words.extend(["-o", &options]);
    }
    words.extend([from.as_str(), to.as_str()]);
    run(&words, format, events)
}

/// Refuses a format that this machine's qemu-img does not have, and options that it does not take.
pub fn check(format: &'static str, options: &str) -> Result<(), FormatError> {
    let help = Command::new(["qemu-img", "--help"]).quiet().check(&Events::none()).map_err(tool(format))?;
    let known = formats(&String::from_utf8_lossy(&help.stdout));
    if !known.iter().any(|known| known == format) {
        return Err(FormatError::NotInQemu { format, known: known.join(", ") });
    }
    let folder = tempfile::tempdir().map_err(FormatError::io("make a folder in", Utf8Path::new("/tmp")))?;
    let Some(file) = Utf8Path::from_path(folder.path()).map(|folder| folder.join("trial")) else { return Ok(()) };
    let mut words = vec!["qemu-img", "create", "-q", "-f", format];
    if !options.is_empty() {
        words.extend(["-o", options]);
    }
    words.extend([file.as_str(), TRIAL]);
    match Command::new(words).check(&Events::none()) {
        Ok(_) => Ok(()),
        Err(source) if options.is_empty() => Err(tool(format)(source)),
        Err(source) => Err(FormatError::QemuOptions { format, options: options.to_owned(), source }),
    }
}

/// The names behind `Supported formats:` (`Supported image formats:` since QEMU 10) in qemu-img's help, which ends with `See`.
fn formats(help: &str) -> Vec<String> {
    let list = help.split_once("Supported ").and_then(|(_, rest)| rest.split_once("formats:"));
    let words = list.map_or("", |(_, rest)| rest).split_whitespace();
    words.take_while(|word| *word != "See").map(str::to_owned).collect()
}

fn join(left: &str, right: &str) -> String {
    if left.is_empty() { right.to_owned() } else { format!("{left},{right}") }
}

fn run(words: &[&str], format: &'static str, events: &Events) -> Result<(), FormatError> {
    Command::new(words.iter().copied()).check(events).map_err(tool(format)).map(drop)
}

/// For `map_err`: the format whose program failed.
pub(super) fn tool(format: &'static str) -> impl FnOnce(CommandError) -> FormatError {
    move |source| FormatError::Tool { format, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_old_and_new_versions_is_read() {
        let help = "usage\n\nSupported formats:\n  qcow2 raw\n  vpc\n\nSee <https://qemu.org> for more.\n";
        assert_eq!(formats(help), ["qcow2", "raw", "vpc"]);
        let newer = "usage\n\nSupported image formats:\n\n  qcow2 raw\n\nSee <https://qemu.org> for more.\n";
        assert_eq!(formats(newer), ["qcow2", "raw"]);
        assert!(formats("nothing").is_empty());
    }

    #[test]
    fn options_are_tried_before_the_build() {
        check("vmdk", "subformat=streamOptimized").unwrap();
        check("vpc", "").unwrap();
        let error = check("qcow2", "cluster_size=3").unwrap_err().to_string();
        assert!(error.contains("`cluster_size=3`") && error.contains("Cluster size"), "{error}");
        let error = check("no-such", "").unwrap_err().to_string();
        assert!(error.contains("has no format `no-such`; it has") && error.contains("vmdk"), "{error}");
    }
}
