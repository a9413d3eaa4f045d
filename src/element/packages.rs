//! DIB's `package-installs`: packages that elements declare as data.
//!
//! In: the elements' wishes ([`super::wish`]) and facts about the image. Out: what each phase installs and uninstalls, by
//! declared and by real name ([`super::pkg_map`]). Not here: installing.

use std::collections::BTreeMap;

use super::{Element, ElementError};
use crate::plan::Phase;

pub use super::wish::{Wish, read};

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

/// What each phase installs and uninstalls. Phases without packages are absent. The elements' order matters as it does to DIB:
/// see [`PhasePackages::lists_for`].
///
/// # Errors
/// A condition is malformed or looks at a variable that is not set.
pub fn resolve(elements: &[Element], facts: &PackageFacts) -> Result<BTreeMap<Phase, PhasePackages>, ElementError> {
    let mut phases: BTreeMap<Phase, PhasePackages> = BTreeMap::new();
    for element in elements {
        for wish in &element.packages {
            let Some(phase) = wish.phase else { continue };
            let lists = phases.entry(phase).or_default();
            let (install, uninstall) = lists.lists_for(wish);
            if !(install || uninstall) || !wish.holds(&element.name, facts)? {
                continue;
            }
            let real = element.package_map.as_ref().map_or_else(
                || vec![wish.package.clone()],
                |map| map.real_names(&wish.package, &facts.distribution, &facts.family, &facts.release),
            );
            let package = Package { name: wish.package.clone(), element: element.name.clone(), real };
            if install && !lists.install.contains(&package) {
                lists.install.push(package.clone());
            }
            if uninstall && !lists.uninstall.contains(&package) {
                lists.uninstall.push(package);
            }
        }
    }
    phases.retain(|_, lists| !lists.install.is_empty() || !lists.uninstall.is_empty());
    Ok(phases)
}

impl PhasePackages {
    /// Which lists `wish` goes into, install and uninstall, and DIB's bookkeeping around that: who wants a package to stay wins
    /// over who wants it gone. That is so before any condition of the wish is looked at, also in DIB.
    fn lists_for(&mut self, wish: &Wish) -> (bool, bool) {
        if !wish.uninstall && !wish.build_only {
            self.uninstall.retain(|package| package.name != wish.package);
            return (true, false);
        }
        let has = |list: &[Package]| list.iter().any(|package| package.name == wish.package);
        if has(&self.install) && !has(&self.uninstall) {
            return (wish.build_only, false);
        }
        (wish.build_only, true)
    }
}

#[cfg(test)]
mod tests {
    use camino::{Utf8Path, Utf8PathBuf};

    use super::super::wish::parse;
    use super::*;

    fn element(name: &str, yaml: &str) -> Element {
        let path = Utf8PathBuf::from(format!("{name}/package-installs.yaml"));
        Element { name: name.into(), packages: parse(yaml, &path, false).unwrap().0, ..Element::default() }
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

    /// Install and uninstall of `install.d` after the wishes of elements `a`, `b` … in turn.
    fn lists(yaml: &[&str]) -> (Vec<String>, Vec<String>) {
        let elements: Vec<Element> = yaml.iter().zip(["a", "b", "c"]).map(|(yaml, name)| element(name, yaml)).collect();
        let mut phases = resolve(&elements, &facts()).unwrap();
        let lists = phases.remove(&Phase::Install).unwrap_or_default();
        let names = |list: Vec<Package>| {
            list.into_iter().map(|package| format!("{} {}", package.name, package.element)).collect()
        };
        (names(lists.install), names(lists.uninstall))
    }

    #[test]
    fn the_bookkeeping_is_that_of_dib() {
        let pair = |a: &[&str], b: &[&str]| -> (Vec<String>, Vec<String>) {
            (a.iter().map(|t| (*t).to_string()).collect(), b.iter().map(|t| (*t).to_string()).collect())
        };
        let (plain, gone, build) = ("p:", "p: {uninstall: true}", "p: {build-only: true}");
        assert_eq!(lists(&[build, plain]), pair(&["p a", "p b"], &[]));
        assert_eq!(lists(&[plain, build]), pair(&["p a", "p b"], &[]));
        assert_eq!(lists(&[plain, gone]), pair(&["p a"], &[]));
        assert_eq!(lists(&[gone, plain]), pair(&["p b"], &[]));
        assert_eq!(lists(&[build, build]), pair(&["p a", "p b"], &["p a", "p b"]));
        assert_eq!(lists(&[build, gone]), pair(&["p a"], &["p a", "p b"]));
        // A wish to stay counts even where a condition then keeps it from being installed.
        assert_eq!(lists(&[build, "p: {arch: arm64}"]), pair(&["p a"], &[]));
        // A wish that goes nowhere has no conditions to look at.
        assert_eq!(lists(&[plain, "p: {uninstall: true, when: UNSET = 1}"]), pair(&["p a"], &[]));
        // A list of entries that is empty is one entry.
        assert_eq!(lists(&["p: []"]), pair(&["p a"], &[]));
    }

    #[test]
    fn a_condition_compares_what_stands_there() {
        assert_eq!(lists(&["p: {when: 'DIB_BLOCK_DEVICE = \"mbr\"'}"]).0.len(), 0);
        assert_eq!(lists(&["p: {when: 'DIB_BLOCK_DEVICE=mbr'}"]).0.len(), 1);
        assert_eq!(lists(&["p: {when: 'DIB_BLOCK_DEVICE = mbr '}"]).0.len(), 0);
        assert_eq!(lists(&["p: {when: null, dib_python_version: ''}"]).0.len(), 1);
    }

    #[test]
    fn strict_reading_counts_flags_that_are_false_and_does_not_trim() {
        let path = Utf8Path::new("e/package-installs.yaml");
        let text = "p: {uninstall: false}\nq: {arch: 'arm64, amd64'}\nr:\n";
        let of = |strict| {
            let packages = parse(text, path, strict).unwrap().0;
            let element = Element { name: "e".into(), packages, ..Element::default() };
            let lists = resolve(&[element], &facts()).unwrap().remove(&Phase::Install).unwrap();
            [lists.install, lists.uninstall].map(|list| list.into_iter().map(|p| p.name).collect::<Vec<_>>())
        };
        assert_eq!(of(false), [vec!["p", "q", "r"], vec![]]);
        assert_eq!(of(true), [vec!["r"], vec!["p"]]);
    }

    #[test]
    fn a_phase_without_packages_is_warned_of_and_does_nothing() {
        let (wishes, warnings) = parse("p: {phase: root.d}", Utf8Path::new("e/x.yaml"), false).unwrap();
        assert!(resolve(&[Element { packages: wishes, ..Element::default() }], &facts()).unwrap().is_empty());
        assert!(warnings[0].starts_with("e/x.yaml: package p: phase root.d installs no packages"), "{warnings:?}");
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
            parse(yaml, Utf8Path::new("e/package-installs.yaml"), false)
                .and_then(|(packages, _)| resolve(&[Element { packages, ..Element::default() }], &facts()))
                .unwrap_err()
                .to_string()
        };
        assert!(wrong("p: {when: DIB_X = 1}").contains(
            "e/package-installs.yaml: package p: the condition 'DIB_X = 1' looks at DIB_X, which is not set"
        ));
        assert!(wrong("p: {when: nonsense}").contains("Malformed when line: <nonsense>"));
        assert!(
            wrong("p: {arch: a, not-arch: b}")
                .contains("package-installs configuration error: arch and not_arch given for package [p]")
        );
        assert!(wrong("- p").contains("a map from package names"));
        assert!(wrong("p: [").contains("e/package-installs.yaml"));
    }
}
