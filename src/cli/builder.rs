//! `kiln builder`: the child's side of a build, started by `kiln build`.

use std::process::ExitCode;

use camino::Utf8PathBuf;
use clap::Args;

use crate::builder::child::{self, Site};

/// Words of the internal verb.
#[derive(Args, Debug)]
pub struct BuilderArgs {
    /// The build's own folder
    #[arg(long)]
    work: Utf8PathBuf,
    /// What is kept between builds
    #[arg(long)]
    store: Utf8PathBuf,
    /// Use no layers of earlier builds and keep none
    #[arg(long)]
    no_reuse: bool,
    /// Fetch nothing
    #[arg(long)]
    offline: bool,
    /// Files of secrets
    #[arg(long = "secret")]
    secrets: Vec<String>,
    /// Descriptors of the user's terminal
    #[arg(long)]
    terminal: Option<String>,
}

/// Whether `words` are those that a build starts its other side with. No program of kiln has other words that look so: no command
/// of DIB's has an option `--work`.
pub fn is_meant(words: &[String]) -> bool {
    matches!(words, [verb, rest @ ..] if verb == "builder" && rest.iter().any(|word| word == "--work"))
}

/// Runs the plan on standard input.
pub fn run(args: BuilderArgs) -> ExitCode {
    ExitCode::from(child::main(&Site {
        work: args.work,
        store: args.store,
        reuse: !args.no_reuse,
        terminal: args.terminal,
        offline: args.offline,
        secrets: args
            .secrets
            .iter()
            .filter_map(|word| word.split_once('='))
            .map(|(name, file)| (name.to_owned(), file.into()))
            .collect(),
    }))
}
