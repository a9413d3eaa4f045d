//! `kiln port`: makes a Rhai draft of a shell element.
//!
//! In: an element, by its name or its folder. Out: the draft beside the elements, and what became of every hook. Builds nothing.
//! Not here: the translation (`port/`).

use std::process::ExitCode;

use camino::Utf8PathBuf;

use super::prepare;
use crate::port;

/// Words of `kiln port`.
#[derive(clap::Args, Debug)]
pub struct PortArgs {
    /// Element to port: its name on the search path, or its folder
    #[arg(value_name = "ELEMENT")]
    element: String,
    /// Folder that the draft goes into, as a folder of the element's name [default: beside the folder that holds the element,
    /// with `-ported` at its end]
    #[arg(long, value_name = "DIR")]
    output: Option<Utf8PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Folder that holds elements, before those of `ELEMENTS_PATH`; may be repeated
    #[arg(long, value_name = "FOLDER")]
    elements_path: Vec<Utf8PathBuf>,
    /// Folder of what is kept between builds
    #[arg(long, value_name = "FOLDER")]
    store: Option<Utf8PathBuf>,
}

/// Writes the draft and reports.
pub fn run(args: &PortArgs) -> ExitCode {
    match ported(args) {
        Ok(text) => {
            super::print(&text);
            ExitCode::SUCCESS
        }
        Err(message) => super::refuse(&message),
    }
}

fn ported(args: &PortArgs) -> Result<String, String> {
    let folder = folder(args)?;
    let name = folder.file_name().ok_or_else(|| format!("{folder} is no element's folder"))?;
    let output = match (&args.output, folder.parent()) {
        (Some(output), _) => output.clone(),
        (None, Some(parent)) => Utf8PathBuf::from(format!("{parent}-ported")),
        (None, None) => return Err(format!("{folder} is no element's folder")),
    };
    let report = port::port(name, &folder, &output.join(name)).map_err(|error| error.to_string())?;
    if args.json {
        let json = serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?;
        return Ok(json + "\n");
    }
    Ok(report.text())
}

/// The element's folder, without symlinks.
fn folder(args: &PortArgs) -> Result<Utf8PathBuf, String> {
    let real = |path: Utf8PathBuf| path.canonicalize_utf8().map_err(|error| format!("cannot read {path}: {error}"));
    if args.element.contains('/') {
        let folder = real(Utf8PathBuf::from(&args.element))?;
        return if folder.is_dir() { Ok(folder) } else { Err(format!("{folder} is no folder")) };
    }
    match prepare::element(&args.element, &args.elements_path, args.store.as_deref())? {
        Some(element) => real(element.directory),
        None => Err(format!(
            "there is no element `{}` on the search path; name its folder: ./{}",
            args.element, args.element
        )),
    }
}
