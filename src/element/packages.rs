//! DIB's `package-installs`: packages that elements declare as data.
//!
//! In: the elements' `package-installs.json` and `.yaml` and facts about the image. Out: what each phase installs and
//! uninstalls, by declared and by real name ([`super::pkg_map`]). Not here: installing.
//!
//! Unlike DIB, `arch` lists are trimmed, a flag that is false does not count, and a condition on a variable that is not set
//! is an error that names the file.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use super::{Element, ElementError};
use crate::plan::Phase;

/// What conditions and names depend on.
#[derive(Clone, Debug, Default)]
pub struct PackageFacts {
    /// `debian`
    pub distribution: String,
    /// `debian`
    pub family: String,
    /// `bookworm`, `stable`
    pub release: String,
    /// Debian's spelling: `amd64`.
    pub arch: String,
    /// Variables, after every element's `environment`.
    pub variables: BTreeMap<String, String>,
}

/// The packages of a phase, each list in the order of the elements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PhasePackages {
    /// To install at the beginning of the phase.
    pub install: Vec<Package>,
    /// To remove at its end.
    pub uninstall: Vec<Package>,
}

/// A package that an element asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// The name that the element uses.
    pub name: String,
    /// Who asked.
    pub element: String,
    /// Real names; none when the distribution does not need it.
    pub real: Vec<String>,
}

/// A wish in a `package-installs` file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Name of the package.
    pub package: String,
    /// Phase in which it is installed.
    phase: Option<Phase>,
    uninstall: bool,
    build_only: bool,
    install_type: Option<String>,
    arch: Option<Vec<String>>,
    not_arch: Option<Vec<String>>,
    python_version: Option<String>,
    when: Vec<String>,
    /// The file that it stands in.
    file: Utf8PathBuf,
}

/// Reads the wishes of the element in `folder`.
///
/// # Errors
/// A file cannot be read or holds something else.
pub fn read(folder: &Utf8Path) -> Result<Vec<Wish>, ElementError> {
    let mut wishes = Vec::new();
    for name in ["package-installs.json", "package-installs.yaml"] {
        let path = folder.join(name);
        if !path.is_file() {
            continue;
        }
        let text =
            std::fs::read_to_string(&path).map_err(|source| ElementError::Read { path: path.clone(), source })?;
        wishes.extend(parse(&text, &path)?);
    }
    Ok(wishes)
}

fn parse(text: &str, path: &Utf8Path) -> Result<Vec<Wish>, ElementError> {
    let wrong = |message: String| ElementError::File { path: path.into(), message };
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(_) => serde_saphyr::from_str_with_options(
            text,
            serde_saphyr::options! { duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins },
        )
        .map_err(|error| wrong(error.to_string()))?,
    };
    let packages = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Object(packages) => packages,
        _ => return Err(wrong("a map from package names to conditions was expected".into())),
    };
    let mut wishes = Vec::new();
    for (package, value) in packages {
        let entries = match value {
            Value::Array(entries) => entries,
            other => vec![other],
        };
        for entry in entries {
            wishes
                .push(wish(&package, &entry, path).map_err(|message| wrong(format!("package {package}: {message}")))?);
        }
    }
    Ok(wishes)
}

fn wish(package: &str, entry: &Value, path: &Utf8Path) -> Result<Wish, String> {
    let mut wish = Wish { package: package.into(), phase: Some(Phase::Install), file: path.into(), ..Wish::default() };
    let entry = match entry {
        Value::Object(entry) => entry,
        Value::Null => return Ok(wish),
        Value::String(text) if text.is_empty() => return Ok(wish),
        other => return Err(format!("a map was expected, not {other}")),
    };
    for (key, value) in entry {
        match key.as_str() {
            "phase" => {
                let name = text(value);
                // DIB accepts any text here and never acts on it
                wish.phase = name
                    .strip_suffix(".d")
                    .and_then(Phase::parse)
                    .filter(|phase| matches!(phase, Phase::PreInstall | Phase::Install | Phase::PostInstall));
                if wish.phase.is_none() {
                    return Err(format!(
                        "phase {name} installs no packages; pre-install.d, install.d or post-install.d do"
                    ));
                }
            }
            "uninstall" => wish.uninstall = flag(value),
            "build-only" => wish.build_only = flag(value),
            "installtype" => wish.install_type = Some(text(value)),
            "arch" => wish.arch = Some(list(value)),
            "not-arch" => wish.not_arch = Some(list(value)),
            "dib_python_version" => wish.python_version = Some(text(value)),
            "when" => {
                wish.when = match value {
                    Value::Array(lines) => lines.iter().map(text).collect(),
                    line => vec![text(line)],
                }
            }
            _ => {}
        }
    }
    if wish.arch.is_some() && wish.not_arch.is_some() {
        return Err("arch and not-arch exclude each other".into());
    }
    Ok(wish)
}

/// What each phase installs and uninstalls. Phases without packages are absent.
///
/// # Errors
/// A condition is malformed or looks at a variable that is not set.
pub fn resolve(elements: &[Element], facts: &PackageFacts) -> Result<BTreeMap<Phase, PhasePackages>, ElementError> {
    let mut phases: BTreeMap<Phase, PhasePackages> = BTreeMap::new();
    for element in elements {
        for wish in &element.packages {
            let Some(phase) = wish.phase else { continue };
            if !applies(wish, element, facts)? {
                continue;
            }
            let real = element.package_map.as_ref().map_or_else(
                || vec![wish.package.clone()],
                |map| map.real_names(&wish.package, &facts.distribution, &facts.family, &facts.release),
            );
            let package = Package { name: wish.package.clone(), element: element.name.clone(), real };
            let lists = phases.entry(phase).or_default();
            if !wish.uninstall && !lists.install.contains(&package) {
                lists.install.push(package.clone());
            }
            if (wish.uninstall || wish.build_only) && !lists.uninstall.contains(&package) {
                lists.uninstall.push(package);
            }
        }
        // who wants a package to stay wins over who wants it gone
        for lists in phases.values_mut() {
            let kept: Vec<&str> = keepers(elements, lists);
            lists.uninstall.retain(|package| !kept.contains(&package.name.as_str()));
        }
    }
    phases.retain(|_, lists| !lists.install.is_empty() || !lists.uninstall.is_empty());
    Ok(phases)
}

/// Packages of `lists` that some element installs for good.
fn keepers<'a>(elements: &'a [Element], lists: &PhasePackages) -> Vec<&'a str> {
    elements
        .iter()
        .flat_map(|element| element.packages.iter().map(move |wish| (element, wish)))
        .filter(|(element, wish)| {
            !wish.uninstall
                && !wish.build_only
                && lists.install.iter().any(|package| package.name == wish.package && package.element == element.name)
        })
        .map(|(_, wish)| wish.package.as_str())
        .collect()
}

fn applies(wish: &Wish, element: &Element, facts: &PackageFacts) -> Result<bool, ElementError> {
    let variable = |name: &str| facts.variables.get(name);
    if let Some(wanted) = &wish.install_type {
        let own = format!("DIB_INSTALLTYPE_{}", element.name.replace('-', "_"));
        let actual = variable(&own).or_else(|| variable("DIB_DEFAULT_INSTALLTYPE")).map_or("source", String::as_str);
        if actual != wanted {
            return Ok(false);
        }
    }
    if wish.arch.as_ref().is_some_and(|list| !list.contains(&facts.arch))
        || wish.not_arch.as_ref().is_some_and(|list| list.contains(&facts.arch))
    {
        return Ok(false);
    }
    if let Some(wanted) = &wish.python_version
        && variable("DIB_PYTHON_VERSION").map_or("", String::as_str) != wanted
    {
        return Ok(false);
    }
    for line in &wish.when {
        if !holds(line, &facts.variables).map_err(|message| ElementError::File {
            path: wish.file.clone(),
            message: format!("package {}: {message}", wish.package),
        })? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the condition `VARIABLE = value` or `VARIABLE != value` holds.
fn holds(line: &str, variables: &BTreeMap<String, String>) -> Result<bool, String> {
    let malformed = || format!("malformed condition '{line}': write VARIABLE = value or VARIABLE != value");
    let (left, right) = line.split_once('=').ok_or_else(malformed)?;
    let (name, negated) = left.strip_suffix('!').map_or((left, false), |name| (name, true));
    let name = name.trim();
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(malformed());
    }
    let value = variables.get(name).ok_or_else(|| {
        format!(
            "the condition '{line}' looks at {name}, which is not set; set it, or let the element give it a default"
        )
    })?;
    Ok((value == right.trim()) != negated)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn flag(value: &Value) -> bool {
    match value {
        Value::Bool(value) => *value,
        Value::Null => false,
        other => !matches!(text(other).to_ascii_lowercase().as_str(), "" | "false" | "no" | "off" | "0"),
    }
}

fn list(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        other => text(other).split(',').map(|item| item.trim().to_string()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(name: &str, yaml: &str) -> Element {
        let path = Utf8PathBuf::from(format!("{name}/package-installs.yaml"));
        Element { name: name.into(), packages: parse(yaml, &path).unwrap(), ..Element::default() }
    }

    fn facts() -> PackageFacts {
        PackageFacts {
            distribution: "debian".into(),
            family: "debian".into(),
            release: "bookworm".into(),
            arch: "amd64".into(),
            variables: [("DIB_BLOCK_DEVICE".to_string(), "mbr".to_string())].into(),
        }
    }

    fn installed(elements: &[Element]) -> Vec<String> {
        let phases = resolve(elements, &facts()).unwrap();
        phases.values().flat_map(|lists| lists.install.iter().map(|package| package.name.clone())).collect()
    }

    #[test]
    fn conditions_choose_packages() {
        let yaml = "plain:\nempty: ''\nhere: {arch: 'arm64, amd64'}\nelsewhere: {arch: arm64}\nnot: {not-arch: amd64}\n\
            grub: [{when: DIB_BLOCK_DEVICE = mbr}, {when: DIB_BLOCK_DEVICE = gpt}]\nother: {when: DIB_BLOCK_DEVICE != mbr}\n\
            both: {when: [DIB_BLOCK_DEVICE = mbr, DIB_BLOCK_DEVICE != gpt]}\nsource: {installtype: source}\npkg: {installtype: package}\n";
        let mut names = installed(&[element("e", yaml)]);
        names.sort();
        assert_eq!(names, ["both", "empty", "grub", "here", "plain", "source"]);
    }

    #[test]
    fn phases_and_flags_sort_packages() {
        let yaml = "a: {phase: pre-install.d}\nb: {build-only: True}\nc: {uninstall: true}\nd: {uninstall: false}\n";
        let phases = resolve(&[element("e", yaml)], &facts()).unwrap();
        let names = |list: &[Package]| list.iter().map(|package| package.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&phases[&Phase::PreInstall].install), ["a"]);
        assert_eq!(names(&phases[&Phase::Install].install), ["b", "d"]);
        assert_eq!(names(&phases[&Phase::Install].uninstall), ["b", "c"]);
    }

    #[test]
    fn a_package_that_one_element_keeps_is_not_removed_for_another() {
        let phases = resolve(&[element("x", "p: {build-only: true}"), element("y", "p:")], &facts()).unwrap();
        assert!(phases[&Phase::Install].uninstall.is_empty());
        assert_eq!(phases[&Phase::Install].install.len(), 2);
    }

    #[test]
    fn names_are_mapped_with_the_elements_own_map() {
        let mut element = element("e", "grub-efi-amd64:\nnothing:\n");
        element.package_map = Some(
            serde_json::from_str(r#"{"default": {"grub-efi-amd64": "grub-efi grub-pc-bin", "nothing": ""}}"#).unwrap(),
        );
        let phases = resolve(&[element], &facts()).unwrap();
        let real: Vec<_> = phases[&Phase::Install].install.iter().map(|package| package.real.clone()).collect();
        assert_eq!(real, [vec!["grub-efi".to_string(), "grub-pc-bin".into()], vec![]]);
    }

    #[test]
    fn mistakes_name_the_file_the_package_and_the_cause() {
        let wrong = |yaml: &str| {
            parse(yaml, Utf8Path::new("e/package-installs.yaml"))
                .and_then(|packages| resolve(&[Element { packages, ..Element::default() }], &facts()))
                .unwrap_err()
                .to_string()
        };
        assert!(wrong("p: {when: DIB_X = 1}").contains(
            "e/package-installs.yaml: package p: the condition 'DIB_X = 1' looks at DIB_X, which is not set"
        ));
        assert!(wrong("p: {when: nonsense}").contains("malformed condition 'nonsense'"));
        assert!(wrong("p: {arch: a, not-arch: b}").contains("arch and not-arch"));
        assert!(wrong("p: {phase: instal.d}").contains("phase instal.d installs no packages"));
        assert!(wrong("- p").contains("a map from package names"));
        assert!(wrong("p: [").contains("e/package-installs.yaml"));
    }
}
