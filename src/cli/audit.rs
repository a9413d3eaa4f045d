//! `kiln audit`: what elements may do.
//!
//! In: names of elements, a policy, a revision of their repository. Out: grants element by element and all together, or what
//! grew since the revision; exit status 1 when the policy forbids something. Runs no element. Not here: what a grant means.

use std::collections::BTreeSet;
use std::process::ExitCode;

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use serde_json::json;

use super::prepare::explain;
use super::{meaning, variables};
use crate::element::audit::{Audit, Growth, audit, grown};
use crate::element::{Catalog, Element};
use crate::event::Events;
use crate::request::Policy;
use crate::sandbox::command::Command;
use crate::store::builtin;

/// Words of `kiln audit`.
#[derive(Args, Debug)]
pub struct AuditArgs {
    /// Elements; what they depend on is looked at too
    #[arg(required = true, value_name = "ELEMENT")]
    elements: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    policy: PolicyArgs,
    /// Show what grew since this revision of the git repository that an element is in
    #[arg(long, value_name = "REVISION")]
    since: Option<String>,
    /// Folder that holds elements, before those of `ELEMENTS_PATH`; may be repeated
    #[arg(long, value_name = "FOLDER")]
    elements_path: Vec<Utf8PathBuf>,
    /// Folder of what is kept between builds
    #[arg(long, value_name = "FOLDER")]
    store: Option<Utf8PathBuf>,
}

/// Words that say what is forbidden.
#[derive(Args, Clone, Debug, Default)]
pub struct PolicyArgs {
    /// Permissions that no element may have, separated by commas: run, network, fetch, write:/etc; `shell` for hooks that are no scripts
    #[arg(long, value_name = "PERMISSIONS", value_delimiter = ',')]
    deny: Vec<String>,
    /// YAML file with `deny` (a list) and `allow` (lists of exceptions by element)
    #[arg(long, value_name = "FILE")]
    policy: Option<Utf8PathBuf>,
}

impl PolicyArgs {
    /// The policy of the file and the words together.
    pub fn read(&self) -> Result<Policy, String> {
        let mut policy = match &self.policy {
            None => Policy::default(),
            Some(file) => {
                let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read {file}: {error}"))?;
                serde_saphyr::from_str(&text).map_err(|error| format!("{file} is no policy: {error}"))?
            }
        };
        policy.deny.extend(self.deny.iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()));
        policy.check().map_err(|error| error.to_string())?;
        Ok(policy)
    }
}

/// Prints what the elements may do.
pub fn run(args: &AuditArgs) -> ExitCode {
    match answer(args) {
        Ok((text, denied)) => {
            super::print(&text);
            match denied {
                None => ExitCode::SUCCESS,
                Some(message) => super::refuse(&message),
            }
        }
        Err(message) => super::refuse(&message),
    }
}

/// The text, and what the policy forbids of it.
fn answer(args: &AuditArgs) -> Result<(String, Option<String>), String> {
    let policy = args.policy.read()?;
    let elements = load(args)?;
    let audits: Vec<Audit> = elements.iter().map(audit).collect();
    let denied = audits.iter().find_map(|audit| policy.judge(audit).err()).map(|error| error.to_string());
    let Some(revision) = &args.since else {
        return Ok((if args.json { json(&audits)? } else { text(&audits) }, denied));
    };
    let mut growths = Vec::new();
    for element in &elements {
        if let Some(growth) = since(element, revision)?.filter(|growth| !growth.is_empty()) {
            growths.push((element.name.clone(), growth));
        }
    }
    if args.json {
        let list: Vec<_> = growths.iter().map(|(name, growth)| json!({ "element": name, "grew": growth })).collect();
        return Ok((pretty(&json!({ "since": revision, "elements": list }))?, denied));
    }
    Ok((growth_text(&growths, revision), denied))
}

/// The elements that were named, and what they depend on, in the order in which they are met.
fn load(args: &AuditArgs) -> Result<Vec<Element>, String> {
    let colour = super::colour();
    let environment = variables::environment();
    let store = meaning::store(args.store.as_deref(), &environment)?;
    let builtin =
        builtin::elements(&store).map_err(|error| format!("cannot write to the store at {store}: {error}"))?;
    let search_path = meaning::search_path(&args.elements_path, &environment)?;
    let catalog = Catalog::new(&search_path, &builtin).map_err(|error| explain(&error, colour))?;
    let mut elements: Vec<Element> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut wanted: Vec<String> = args.elements.iter().rev().cloned().collect();
    while let Some(name) = wanted.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let Some(element) = catalog.load(&name).map_err(|error| explain(&error, colour))? else {
            // Something that elements provide: whoever builds chooses which one.
            if args.elements.contains(&name) {
                return Err(format!("element '{name}' not found"));
            }
            continue;
        };
        wanted.extend(element.depends.iter().rev().cloned());
        elements.push(element);
    }
    Ok(elements)
}

/// What grew since `revision`; `None` for an element that is in no repository.
fn since(element: &Element, revision: &str) -> Result<Option<Growth>, String> {
    let folder = &element.directory;
    if git(folder, &["rev-parse", "--show-toplevel"])?.is_none() {
        return Ok(None);
    }
    if revision.starts_with('-')
        || git(folder, &["rev-parse", "--verify", "--quiet", &format!("{revision}^{{commit}}")])?.is_none()
    {
        return Err(format!("the repository of `{}` has no revision `{revision}`", element.name));
    }
    // From inside the folder: names in the archive are relative to it.
    let Some(archive) = git(folder, &["archive", "--format=tar", revision])? else {
        return Ok(Some(grown(None, element)));
    };
    let earlier = tempfile::tempdir().map_err(|error| format!("cannot make a folder: {error}"))?;
    let at = Utf8Path::from_path(earlier.path()).ok_or("the folder for temporary files is not UTF-8")?;
    let unpacked = tar::Archive::new(archive.as_slice()).unpack(at);
    unpacked.map_err(|error| format!("cannot unpack `{}` of {revision}: {error}", element.name))?;
    let before = Element::load(&element.name, at)
        .map_err(|error| format!("`{}` of {revision} cannot be read: {error}", element.name))?;
    Ok(Some(grown(Some(&before), element)))
}

/// What git prints, `None` when it says no.
fn git(folder: &Utf8Path, words: &[&str]) -> Result<Option<Vec<u8>>, String> {
    let argv = ["git", "-C", folder.as_str()].into_iter().chain(words.iter().copied());
    let output = Command::new(argv).quiet().run(&Events::none()).map_err(|error| format!("cannot run git: {error}"))?;
    Ok((output.status == 0).then_some(output.stdout))
}

/// Every grant of all, each once.
fn union(audits: &[Audit]) -> BTreeSet<&str> {
    audits.iter().flat_map(|audit| audit.grants.iter().map(String::as_str)).collect()
}

fn text(audits: &[Audit]) -> String {
    let mut text = String::new();
    for audit in audits {
        text.push_str(&audit.element);
        text.push('\n');
        if audit.grants.is_empty() && audit.unconfined.is_empty() {
            text.push_str("  nothing\n");
        }
        for grant in &audit.grants {
            text.push_str(&format!("  {grant}\n"));
        }
        for hook in &audit.unconfined {
            text.push_str(&format!("  unconfined: {hook}\n"));
        }
    }
    let union: Vec<&str> = union(audits).into_iter().collect();
    let hooks: usize = audits.iter().map(|audit| audit.unconfined.len()).sum();
    let grants = if union.is_empty() { "nothing".to_owned() } else { union.join(", ") };
    text.push_str(&format!("\nall together: {grants}"));
    if hooks > 0 {
        text.push_str(&format!("; {hooks} hooks that nothing confines"));
    }
    text + "\n"
}

fn json(audits: &[Audit]) -> Result<String, String> {
    pretty(&json!({ "elements": audits, "union": union(audits) }))
}

fn pretty(value: &serde_json::Value) -> Result<String, String> {
    let text = serde_json::to_string_pretty(value).map_err(|error| format!("cannot write JSON: {error}"))?;
    Ok(text + "\n")
}

fn growth_text(growths: &[(String, Growth)], revision: &str) -> String {
    if growths.is_empty() {
        return format!("no element may do more than at {revision}\n");
    }
    let mut text = String::new();
    for (name, growth) in growths {
        text.push_str(&format!("{name}\n"));
        for grant in &growth.grants {
            text.push_str(&format!("  + {grant}\n"));
        }
        for hook in &growth.unconfined {
            text.push_str(&format!("  + unconfined: {hook}\n"));
        }
        for hook in &growth.changed {
            text.push_str(&format!("  ~ unconfined: {hook}\n"));
        }
    }
    text
}
