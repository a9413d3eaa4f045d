//! `kiln packages`: what the elements' `package-installs` files come to.
//!
//! In: elements. Out: for each phase the packages to install and to uninstall, with who asked, by the names that elements use or
//! by real ones; as a table, or as the JSON that DIB's `package-installs-squash` writes. Installs nothing. The `environment.d`
//! of shell elements is evaluated, as conditions look at its variables.

use std::collections::BTreeMap;
use std::process::ExitCode;

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use serde_json::{Value, json};

use super::{checks, conditions, disk_functions, meaning, prepare, variables};
use crate::element::packages::{self, Package, PackageFacts, PhasePackages};
use crate::element::{self, Element, Settings, pkg_map};
use crate::plan::{self, Phase};
use crate::request::Request;
use crate::store::builtin;

/// Words of `kiln packages`.
#[derive(Args, Debug)]
pub struct PackagesArgs {
    /// Print JSON: phase, `install` and `uninstall`, pairs of package and element
    #[arg(long)]
    json: bool,
    /// Print the names that the distribution uses
    #[arg(long)]
    mapped: bool,
    /// Architecture of the image: amd64, arm64 … [default: ARCH, else this machine's]
    #[arg(short = 'a', long = "arch", value_name = "ARCH")]
    arch: Option<String>,
    /// Do not add the element `base`
    #[arg(short = 'n', long)]
    skip_base: bool,
    /// Read the files with the habits of diskimage-builder that kiln has mended
    #[arg(long)]
    dib_strict: bool,
    /// Folder that holds elements, before those of `ELEMENTS_PATH`; may be repeated
    #[arg(long, value_name = "FOLDER")]
    elements_path: Vec<Utf8PathBuf>,
    /// Folder of what is kept between builds [default: KILN_STORE, else kiln in the user's cache]
    #[arg(long, value_name = "FOLDER")]
    store: Option<Utf8PathBuf>,
    /// Elements of the image, one of them an operating system: vm debian-minimal
    #[arg(required = true, value_name = "ELEMENT")]
    elements: Vec<String>,
}

/// Prints the packages.
pub fn run(args: &PackagesArgs) -> ExitCode {
    let phases = match resolve(args) {
        Ok(phases) => phases,
        Err(message) => return super::refuse(&message),
    };
    if args.json {
        let mut text = format!("{:#}", json(&phases, args.mapped));
        text.push('\n');
        super::print(&text);
    } else {
        super::print(&table(&phases, args.mapped));
    }
    ExitCode::SUCCESS
}

type Phases = BTreeMap<Phase, PhasePackages>;

fn resolve(args: &PackagesArgs) -> Result<Phases, String> {
    let environment = variables::environment();
    let store = meaning::store(args.store.as_deref(), &environment)?;
    let builtin = builtin::elements(&store)
        .map_err(|error| format!("cannot write to the store at {store}: {error}; name another with --store"))?;
    let arch = meaning::arch(args.arch.as_deref(), &environment)?;
    let mut variables = meaning::variables(&environment, &arch);
    variables.insert("ARCH".to_owned(), arch.clone());
    let mut request = Request {
        elements: args.elements.clone(),
        search_path: meaning::search_path(&args.elements_path, &environment)?,
        arch,
        skip_base: args.skip_base,
        dib_strict: args.dib_strict,
        environment,
        variables,
        ..Request::default()
    };
    let explain = |error| prepare::explain(&error, super::colour());
    let catalog = prepare::catalog(&request, &builtin).map_err(explain)?;
    let elements = element::resolve(&request, &catalog).map_err(explain)?;
    prepare::warn(&elements);
    let settings = element::settings(&request, &elements).map_err(explain)?;
    let block_device = match checks::block_device_override(&mut request)? {
        None => disk_functions::described(&request, &elements, &settings, super::colour())?,
        given => given,
    };
    let mut facts = facts(&request, &elements, &settings, &store)?;
    let disk = plan::disk_variables(&request, &elements, &settings, block_device);
    facts.variables.extend(disk.map_err(|error| error.to_string())?);
    packages::resolve(&elements, &facts).map_err(explain)
}

/// What conditions look at: variables of the caller, of Rhai elements and of `environment.d`, and the operating system.
fn facts(
    request: &Request,
    elements: &[Element],
    settings: &Settings,
    store: &Utf8Path,
) -> Result<PackageFacts, String> {
    let variables = conditions::variables(request, elements, settings, store)?;
    let variable = |name: &str| variables.get(name).cloned().unwrap_or_default();
    let provider = elements.iter().find(|element| element.system.is_some());
    let system = provider.and_then(|element| element.system.clone());
    let distribution = system.as_ref().map_or_else(|| variable("DISTRO_NAME"), |system| system.distribution.clone());
    let option = provider.and_then(|element| settings.options.get(&element.name)?.get("release")?.as_str());
    let release = option.map_or_else(|| variable("DIB_RELEASE"), str::to_owned);
    let family = match system {
        Some(system) => system.family,
        None => pkg_map::family_of(&distribution).unwrap_or_default().to_owned(),
    };
    Ok(PackageFacts { distribution, family, release, arch: request.arch.clone(), variables })
}

/// Pairs of name and element: one for each real name when `mapped`.
fn pairs(packages: &[Package], mapped: bool) -> Vec<(&str, &str)> {
    let named = packages.iter().flat_map(|package| {
        let names: Vec<&str> =
            if mapped { package.real.iter().map(String::as_str).collect() } else { vec![&package.name] };
        names.into_iter().map(|name| (name, package.element.as_str()))
    });
    named.collect()
}

fn json(phases: &Phases, mapped: bool) -> Value {
    let lists = |lists: &PhasePackages| json!({ "install": pairs(&lists.install, mapped), "uninstall": pairs(&lists.uninstall, mapped) });
    phases
        .iter()
        .map(|(phase, packages)| (phase.directory(), lists(packages)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn table(phases: &Phases, mapped: bool) -> String {
    if phases.is_empty() {
        return "the elements declare no packages\n".to_owned();
    }
    let mut text = String::new();
    for (phase, lists) in phases {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!("{phase}\n"));
        let rows: Vec<(&str, (&str, &str))> = [("install", &lists.install), ("uninstall", &lists.uninstall)]
            .into_iter()
            .flat_map(|(what, list)| pairs(list, mapped).into_iter().map(move |pair| (what, pair)))
            .collect();
        let width = rows.iter().map(|(_, (name, _))| name.chars().count()).max().unwrap_or_default();
        for (what, (name, element)) in rows {
            text.push_str(&format!("  {what:<9}  {name:<width$}  {element}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phases() -> Phases {
        let package = |name: &str, real: &[&str]| Package {
            name: name.into(),
            element: "e".into(),
            real: real.iter().map(|name| (*name).to_owned()).collect(),
        };
        let lists = PhasePackages {
            install: vec![package("a", &["x", "longer"]), package("none", &[])],
            uninstall: vec![package("a", &["x"])],
        };
        [(Phase::PreInstall, lists)].into()
    }

    #[test]
    fn the_json_is_that_of_squash_and_mapped_names_are_single() {
        let expected = json!({"pre-install.d": {"install": [["a", "e"], ["none", "e"]], "uninstall": [["a", "e"]]}});
        assert_eq!(json(&phases(), false), expected);
        let expected = json!({"pre-install.d": {"install": [["x", "e"], ["longer", "e"]], "uninstall": [["x", "e"]]}});
        assert_eq!(json(&phases(), true), expected);
    }

    #[test]
    fn the_table_has_a_line_for_each() {
        let expected = "pre-install\n  install    x       e\n  install    longer  e\n  uninstall  x       e\n";
        assert_eq!(table(&phases(), true), expected);
        assert_eq!(table(&Phases::new(), true), "the elements declare no packages\n");
    }
}
