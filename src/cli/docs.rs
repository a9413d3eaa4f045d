//! `kiln docs`: the reference of what elements can call.
//!
//! In: the form that is wanted. Out: the reference on standard output, or definition files for editors in a folder.
//! Not here: the texts (`reference/`).

use std::fs;
use std::process::ExitCode;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, Subcommand};

use crate::reference::{definitions, html, markdown, page};

/// Words of `kiln docs`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DocsArgs {
    #[command(subcommand)]
    what: Option<What>,
    /// One HTML page instead of Markdown
    #[arg(long)]
    html: bool,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Definition files (.d.rhai) for editors
    Definitions {
        /// Folder to write them to
        folder: Utf8PathBuf,
    },
}

/// Prints or writes what is wanted.
pub fn run(args: &DocsArgs) -> ExitCode {
    match &args.what {
        None if args.html => super::print(&html::render(&page())),
        None => super::print(&markdown::render(&page())),
        Some(What::Definitions { folder }) => {
            for (name, text) in definitions::files() {
                let path = folder.join(name);
                if let Err(error) = write(&path, &text) {
                    return super::refuse(&format!("cannot write {path}: {error}"));
                }
                super::print(&format!("{path}\n"));
            }
        }
    }
    ExitCode::SUCCESS
}

fn write(path: &Utf8Path, text: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, text)
}
