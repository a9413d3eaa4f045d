//! `kiln new`: begins an element.
//!
//! In: a name. Out: a folder that `kiln lint` and `kiln test` approve of, to be changed. Not here: what an element can be
//! (docs/elements.md).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::ExitCode;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, Subcommand};

use crate::element::hooks::is_hook_name;

/// Words of `kiln new`.
#[derive(Args, Debug)]
pub struct NewArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// An element: its folder with a hook, a README and a test
    Element(ElementArgs),
}

#[derive(Args, Debug)]
struct ElementArgs {
    /// Its name: letters, digits, `-` and `_`
    name: String,
    /// A hook in bash, as diskimage-builder's elements have
    #[arg(long, conflicts_with = "rhai")]
    shell: bool,
    /// A hook in Rhai; so without a word
    #[arg(long)]
    rhai: bool,
    /// Folder that holds elements
    #[arg(long, value_name = "FOLDER", default_value = "elements")]
    folder: Utf8PathBuf,
}

/// A file of a new element: path, text with `NAME` for its name, whether it is executable.
type Template = (&'static str, &'static str, bool);

const RHAI: [Template; 3] = [
    ("element.rhai", include_str!("new/element.rhai"), false),
    ("tests/install.rhai", include_str!("new/test.rhai"), false),
    ("README.md", include_str!("new/README.md"), false),
];

const SHELL: [Template; 2] =
    [("install.d/50-NAME", include_str!("new/hook.sh"), true), ("README.md", include_str!("new/README.md"), false)];

/// Makes what is wanted.
pub fn run(args: &NewArgs) -> ExitCode {
    let What::Element(args) = &args.what;
    match element(args) {
        Ok(folder) => {
            super::print(&format!(
                "{folder} is made\n\nkiln test --elements-path {0} {1}\nkiln plan --effects --elements-path {0} {1}\n",
                args.folder, args.name
            ));
            ExitCode::SUCCESS
        }
        Err(message) => super::refuse(&message),
    }
}

fn element(args: &ElementArgs) -> Result<Utf8PathBuf, String> {
    let name = args.name.as_str();
    if !is_hook_name(name) || name.starts_with('-') {
        return Err(format!("`{name}` is no name of an element: it may hold letters, digits, `-` and `_`"));
    }
    let folder = args.folder.join(name);
    if folder.exists() {
        return Err(format!("{folder} is there already; choose another name, or remove it"));
    }
    let templates: &[Template] = if args.shell { &SHELL } else { &RHAI };
    for (path, text, executable) in templates {
        let path = folder.join(path.replace("NAME", name));
        write(&path, &text.replace("NAME", name), *executable)
            .map_err(|error| format!("cannot write {path}: {error}"))?;
    }
    Ok(folder)
}

fn write(path: &Utf8Path, text: &str, executable: bool) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, text)?;
    if executable {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
