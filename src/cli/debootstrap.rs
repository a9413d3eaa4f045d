//! `kiln debootstrap`: stands in the place of the host's debootstrap while shell hooks run; hidden.
//!
//! In: debootstrap's words. Out: its tree, or the status [`NOT_MINE`](stand_in::NOT_MINE), for which the host's own is run. Not here: how it comes to be
//! in that place (`builder/`).

use std::process::ExitCode;

use camino::Utf8PathBuf;
use clap::Args;

use super::variables;
use crate::builder::stand_in::{self, Answer};
use crate::event::{Event, Events};

/// Words of `kiln debootstrap`.
#[derive(Args, Debug)]
pub struct DebootstrapArgs {
    /// Folder of what is kept between builds
    #[arg(long, value_name = "FOLDER")]
    kept_in: Utf8PathBuf,
    /// The words
    #[arg(last = true)]
    words: Vec<String>,
}

/// Whether `words` are those that stand in for debootstrap. No command of DIB's has an option `--kept-in`.
pub fn is_meant(words: &[String]) -> bool {
    matches!(words, [verb, option, ..] if verb == "debootstrap" && option == "--kept-in")
}

/// Makes the tree.
pub fn run(args: &DebootstrapArgs) -> ExitCode {
    let events = Events::new(|event| {
        if let Event::Output { line } = event {
            super::print(&format!("I: {line}\n"));
        }
    });
    match stand_in::debootstrap(&args.words, &variables::environment(), &args.kept_in, &events) {
        Ok(Answer::Made) => ExitCode::SUCCESS,
        Ok(Answer::NotMine) => ExitCode::from(stand_in::NOT_MINE),
        Err(error) => super::refuse(&error),
    }
}
