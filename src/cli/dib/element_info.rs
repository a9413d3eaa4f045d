//! `element-info`: what elements bring with them.
//!
//! In: names of elements. Out: the names of all that they need, or statements for bash; an exit status. Nothing comes without
//! being needed: `base`, block devices and RAM disks are the other commands' own. Not here: expanding (`element/`).

use std::process::ExitCode;

use super::getopt::{self, Parsed, Spec};
use super::help;
use crate::cli::variables::Environment;
use crate::cli::{meaning, prepare};
use crate::element::{self, Catalog, expansion};
use crate::store::builtin;

const SPEC: Spec = Spec { short: &[('h', false), ('e', false)], long: &[("help", false), ("env", false)], more: &[] };

/// Carries out `words` in `environment`.
pub fn run(words: &[String], environment: &Environment) -> ExitCode {
    let Parsed { options, operands: names } = match getopt::parse(words, &SPEC, false) {
        Ok(parsed) => parsed,
        Err(complaints) => return misused(&complaints.join("\nelement-info: error: ")),
    };
    let asked = |names: [&str; 2]| options.iter().any(|(option, _)| names.contains(&option.as_str()));
    if asked(["h", "help"]) {
        crate::cli::print(&help::info());
        return ExitCode::SUCCESS;
    }
    if names.is_empty() {
        return misused("the following arguments are required: ELEMENT");
    }
    match text(&names, environment, asked(["e", "env"])) {
        Ok(text) => {
            crate::cli::print(&text);
            ExitCode::SUCCESS
        }
        Err(message) => crate::cli::refuse(&message),
    }
}

fn misused(text: &str) -> ExitCode {
    eprintln!("{}\nelement-info: error: {text}", help::INFO_USAGE);
    ExitCode::from(2)
}

fn text(names: &[String], environment: &Environment, statements: bool) -> Result<String, String> {
    let store = meaning::store(None, environment)?;
    let builtin = builtin::elements(&store)
        .map_err(|error| format!("cannot write to the store at {store}: {error}; name another with KILN_STORE"))?;
    let explain = |error: element::ElementError| prepare::explain(&error, false);
    let catalog = Catalog::new(&meaning::search_path(&[], environment)?, &builtin).map_err(explain)?;
    let elements = element::expand(names, names, &catalog).map_err(explain)?;
    let entries = expansion::entries(&elements);
    Ok(if statements { expansion::statements(&entries) } else { expansion::names(&entries) + "\n" })
}
