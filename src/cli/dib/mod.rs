//! DIB's dialect: the commands that diskimage-builder installs, with their words, variables and output.
//!
//! In: words of `disk-image-create`, `ramdisk-image-create`, `diskimage-builder` and `element-info`. Out: the same requests that
//! `kiln build` makes, and exit statuses that callers of DIB know. Not here: kiln's own words, and anything after a request.

mod create;
mod definition;
mod element_info;
pub(super) mod environment;
mod getopt;
mod help;
mod options;
mod request;
mod yaml;

use std::process::ExitCode;

use create::Call;
pub(super) use options::Options;

use super::{builder, debootstrap, variables};
use crate::request::Kind;

/// The program `disk-image-create`.
pub fn disk_image_create() -> ExitCode {
    create("disk-image-create", Kind::Disk)
}

/// The program `ramdisk-image-create`.
pub fn ramdisk_image_create() -> ExitCode {
    create("ramdisk-image-create", Kind::Ramdisk)
}

/// The program `diskimage-builder`.
pub fn diskimage_builder() -> ExitCode {
    with_words("diskimage-builder", |words| yaml::run(words, &variables::environment()))
}

/// The program `element-info`.
pub fn element_info() -> ExitCode {
    with_words("element-info", |words| element_info::run(words, &variables::environment()))
}

fn create(program: &str, kind: Kind) -> ExitCode {
    with_words(program, |words| {
        let call = Call { program, kind, words, environment: variables::environment() };
        ExitCode::from(create::run(call).status)
    })
}

/// Calls `run` with the words of this process; or is the builder of a process that was.
fn with_words(program: &str, run: impl FnOnce(&[String]) -> ExitCode) -> ExitCode {
    let mut words = Vec::new();
    for word in std::env::args_os().skip(1) {
        match word.into_string() {
            Ok(word) => words.push(word),
            Err(word) => {
                eprintln!("{program}: the word `{}` is not UTF-8", word.to_string_lossy());
                return ExitCode::FAILURE;
            }
        }
    }
    // A build starts its own program again for its other side, whichever of the programs that is.
    if builder::is_meant(&words) || debootstrap::is_meant(&words) {
        return super::main();
    }
    run(&words)
}
