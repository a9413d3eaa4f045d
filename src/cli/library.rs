//! `kiln library`: what the shell library's python modules ask for; hidden.
//!
//! In: the name of a folder, or YAML on standard input. Out: its path, or JSON. Not here: what is in the folders.

use std::io::Read as _;
use std::process::ExitCode;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueEnum};

use super::{meaning, variables};
use crate::store::builtin;

/// Words of `kiln library`.
#[derive(Args, Debug)]
pub struct LibraryArgs {
    /// What is wanted
    #[arg(value_enum)]
    what: What,
    /// Folder of what is kept between builds
    #[arg(long, value_name = "FOLDER")]
    store: Option<Utf8PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// The folder of kiln's own elements
    Elements,
    /// The folder that hooks know as `$_LIB`
    Shell,
    /// The YAML document on standard input as JSON
    Json,
}

/// Prints what is wanted.
pub fn run(args: &LibraryArgs) -> ExitCode {
    match answer(args) {
        Ok(text) => {
            super::print(&format!("{text}\n"));
            ExitCode::SUCCESS
        }
        Err(message) => super::refuse(&message),
    }
}

fn answer(args: &LibraryArgs) -> Result<String, String> {
    let folder = |unpack: fn(&Utf8Path) -> std::io::Result<Utf8PathBuf>| {
        let store = meaning::store(args.store.as_deref(), &variables::environment())?;
        unpack(&store)
            .map(Utf8PathBuf::into_string)
            .map_err(|error| format!("cannot write to the store at {store}: {error}; name another with --store"))
    };
    match args.what {
        What::Elements => folder(builtin::elements),
        What::Shell => folder(builtin::shell_library),
        What::Json => json(),
    }
}

fn json() -> Result<String, String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| format!("cannot read standard input: {error}"))?;
    if text.trim().is_empty() {
        return Ok("null".into());
    }
    // As PyYAML: the last of equal keys counts.
    let value: serde_json::Value = serde_saphyr::from_str_with_options(
        &text,
        serde_saphyr::options! { duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins },
    )
    .map_err(|error| error.to_string())?;
    Ok(value.to_string())
}
