//! `kiln lint`: what is wrong or doubtful in elements.
//!
//! In: names or folders of elements. Out: findings for a person, as JSON or as SARIF, mended files when asked for, and an exit
//! status. Not here: the rules (`lint/`).

use std::fmt::Write as _;
use std::fs;
use std::process::ExitCode;
use std::rc::Rc;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::prepare::explain;
use super::{meaning, variables};
use crate::diagnostic::Severity;
use crate::element::Catalog;
use crate::lint::subject::Surroundings;
use crate::lint::{Finding, Subject, fix, rules, run as linter, sarif};
use crate::script::nearest::{close, suggestion};
use crate::store::builtin;

/// Words of `kiln lint`.
#[derive(Args, Debug)]
pub struct LintArgs {
    /// Elements, by name or folder, or folders that hold elements; all on the search path when none is named
    #[arg(value_name = "ELEMENT|PATH")]
    what: Vec<String>,
    /// Mend what can be mended with certainty
    #[arg(long)]
    fix: bool,
    /// How to print what was found
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Say what a rule looks for and what to do, and look at nothing
    #[arg(long, value_name = "RULE")]
    explain: Option<String>,
    /// Fail when there are findings of this severity, too
    #[arg(long, value_name = "SEVERITY", value_enum)]
    deny: Option<Denied>,
    /// Folder that holds elements, before those of `ELEMENTS_PATH`; may be repeated
    #[arg(long, value_name = "FOLDER")]
    elements_path: Vec<Utf8PathBuf>,
    /// Folder of what is kept between builds
    #[arg(long, value_name = "FOLDER")]
    store: Option<Utf8PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Sarif,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Denied {
    Warnings,
}

/// An element that was looked at.
struct Looked {
    name: String,
    folder: Utf8PathBuf,
    findings: Vec<Finding>,
}

/// Looks at elements and prints what was found.
pub fn run(args: &LintArgs) -> ExitCode {
    if let Some(name) = &args.explain {
        return match explanation(name) {
            Ok(text) => {
                super::print(&text);
                ExitCode::SUCCESS
            }
            Err(message) => super::refuse(&message),
        };
    }
    let colour = super::colour();
    match look(args, colour) {
        Ok((looked, mended)) => report(args, &looked, mended, colour),
        Err(message) => super::refuse(&message),
    }
}

fn explanation(name: &str) -> Result<String, String> {
    let rule = rules::find(name).ok_or_else(|| {
        let names = rules::ALL.map(|rule| rule.name);
        let near = close(name, names);
        let known = if near.is_empty() { format!("; there are {}", names.join(", ")) } else { suggestion(&near) };
        format!("there is no rule `{name}`{known}")
    })?;
    let dib = match rule.dib_name {
        "" => String::new(),
        name => format!("\ndib-lint calls it `{name}`.\n"),
    };
    Ok(format!("{} ({})\n\n{}\n{dib}", rule.name, rule.severity, rule.docs))
}

/// The elements, looked at (again after mending), and how many findings were mended.
fn look(args: &LintArgs, colour: bool) -> Result<(Vec<Looked>, usize), String> {
    let environment = variables::environment();
    let store = meaning::store(args.store.as_deref(), &environment)?;
    let builtin =
        builtin::elements(&store).map_err(|error| format!("cannot write to the store at {store}: {error}"))?;
    let search_path = meaning::search_path(&args.elements_path, &environment)?;
    let catalog = Catalog::new(&search_path, &builtin).map_err(|error| explain(&error, colour))?;
    let wanted = wanted(args, &catalog, &search_path, &builtin)?;
    let surroundings = Rc::new(Surroundings { names: names(&catalog, &wanted), ignored: ignored() });
    let (mut looked, mut mended) = (Vec::new(), 0);
    for (name, folder) in wanted {
        let read = || Subject::read(&name, &folder, &surroundings).map_err(|error| explain(&error, colour));
        let mut findings = linter::check(&read()?);
        if args.fix {
            mended += fix::apply(&folder, &findings).map_err(|error| format!("cannot mend {folder}: {error}"))?;
            findings = linter::check(&read()?);
        }
        looked.push(Looked { name, folder, findings });
    }
    Ok((looked, mended))
}

/// Name and folder of each element to look at.
fn wanted(
    args: &LintArgs,
    catalog: &Catalog,
    search_path: &[Utf8PathBuf],
    builtin: &Utf8Path,
) -> Result<Vec<(String, Utf8PathBuf)>, String> {
    let named = |name: &str| Some((name.to_owned(), catalog.folder(name)?.to_owned()));
    if args.what.is_empty() {
        // kiln's own are looked at where there are no others: nobody can mend them there.
        let own = search_path.is_empty();
        let all = catalog.names().filter_map(named);
        return Ok(all.filter(|(_, folder)| own || !folder.starts_with(builtin)).collect());
    }
    let mut wanted = Vec::new();
    for word in &args.what {
        let path = Utf8Path::new(word);
        match named(word) {
            Some(found) if !word.contains('/') => wanted.push(found),
            _ if path.is_dir() => wanted.extend(in_folder(path)?),
            _ => {
                let near = close(word, catalog.names());
                return Err(format!("`{word}` is no element and no folder{}", suggestion(&near)));
            }
        }
    }
    Ok(wanted)
}

/// The element that `folder` is, or the elements that it holds.
fn in_folder(folder: &Utf8Path) -> Result<Vec<(String, Utf8PathBuf)>, String> {
    // `.` and `..` have names, too.
    let real = folder.canonicalize_utf8().map_err(|error| format!("cannot look at {folder}: {error}"))?;
    let name = |path: &Utf8Path| path.file_name().unwrap_or_default().to_owned();
    if is_element(folder) {
        return Ok(vec![(name(&real), folder.to_owned())]);
    }
    let entries = folder.read_dir_utf8().map_err(|error| format!("cannot list {folder}: {error}"))?;
    let entries = entries.filter_map(Result::ok).map(camino::Utf8DirEntry::into_path);
    let hidden = |path: &Utf8Path| name(path).starts_with(['.', '_']);
    let mut found: Vec<_> =
        entries.filter(|path| path.is_dir() && !hidden(path)).map(|path| (name(&path), path)).collect();
    found.sort();
    if !found.iter().any(|(_, path)| is_element(path)) {
        return Err(format!(
            "{folder} is no element and holds none; an element has an element.rhai or a folder PHASE.d"
        ));
    }
    Ok(found)
}

/// `folder` holds what only an element holds.
fn is_element(folder: &Utf8Path) -> bool {
    let files = ["element.rhai", "element-deps", "element-provides", "package-installs.yaml", "package-installs.json"];
    let phases = crate::plan::Phase::ALL.iter().map(|phase| phase.directory());
    files.iter().any(|file| folder.join(file).is_file())
        || phases.chain(["environment.d".to_owned()]).any(|phase| folder.join(phase).is_dir())
}

/// Names of elements and of what they provide.
fn names(catalog: &Catalog, wanted: &[(String, Utf8PathBuf)]) -> std::collections::BTreeSet<String> {
    let mut names: std::collections::BTreeSet<String> = catalog.names().map(str::to_owned).collect();
    let loaded = names.iter().filter_map(|name| catalog.load(name).ok().flatten());
    let provided: Vec<String> = loaded.flat_map(|element| element.provides).collect();
    names.extend(provided);
    for (name, folder) in wanted {
        names.insert(name.clone());
        let provides = crate::element::Element::load(name, folder).map(|element| element.provides);
        names.extend(provides.into_iter().flatten());
    }
    names
}

/// Names of DIB's checks that tox.ini of this folder switches off: `ignore` of the section `[dib-lint]`.
fn ignored() -> Vec<String> {
    let text = fs::read_to_string("tox.ini").unwrap_or_default();
    let section = text.lines().skip_while(|line| line.trim() != "[dib-lint]").skip(1);
    let lines = section.take_while(|line| !line.starts_with('['));
    let given = lines.filter_map(|line| line.split_once('=').filter(|(key, _)| key.trim() == "ignore"));
    given.flat_map(|(_, names)| names.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn report(args: &LintArgs, looked: &[Looked], mended: usize, colour: bool) -> ExitCode {
    let all = || looked.iter().flat_map(|element| element.findings.iter().map(move |finding| (element, finding)));
    let count = |severity| all().filter(|(_, finding)| finding.rule.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let text = match args.format {
        Format::Text => text(looked, errors, warnings, mended, colour),
        Format::Json => pretty(&Value::Array(all().map(|(element, finding)| entry(element, finding)).collect())),
        Format::Sarif => pretty(&sarif::log(all().map(|(element, finding)| (element.folder.as_path(), finding)))),
    };
    super::print(&text);
    let failed = errors > 0 || (args.deny == Some(Denied::Warnings) && warnings > 0);
    ExitCode::from(u8::from(failed))
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn text(looked: &[Looked], errors: usize, warnings: usize, mended: usize, colour: bool) -> String {
    let mut text = String::new();
    for finding in looked.iter().flat_map(|element| &element.findings) {
        let _ = writeln!(text, "{}\n", finding.diagnostic.render_as(finding.rule.severity, colour));
    }
    let number = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let _ = write!(
        text,
        "{} and {} in {}",
        number(errors, "error"),
        number(warnings, "warning"),
        number(looked.len(), "element")
    );
    if mended > 0 {
        let _ = write!(text, "; {mended} mended");
    }
    let fixable = looked.iter().flat_map(|element| &element.findings).filter(|finding| finding.fix.is_some()).count();
    if fixable > 0 {
        let _ = write!(text, "; --fix mends {fixable}");
    }
    text.push('\n');
    text
}

fn entry(element: &Looked, finding: &Finding) -> Value {
    let file = finding.file.as_ref().map(|file| element.folder.join(file));
    let region = finding.region();
    json!({
        "rule": finding.rule.name,
        "severity": finding.rule.severity,
        "message": finding.diagnostic.message,
        "help": finding.diagnostic.help,
        "element": element.name,
        "file": file,
        "line": region.map(|((line, _), _)| line),
        "column": region.map(|((_, column), _)| column),
        "end_line": region.map(|(_, (line, _))| line),
        "end_column": region.map(|(_, (_, column))| column),
        "fixable": finding.fix.is_some(),
    })
}
