//! The elements of an image.
//!
//! In: a request and a catalog. Out: the elements in order: each after those that it needs, else by name. Equal requests
//! give equal answers. Not here: what the elements do.
//!
//! Two passes. The first follows every dependency and notes who provides what; the second follows them again, with each name
//! that somebody provides replaced by who does, until nothing more is replaced. So the answer does not depend on the order of
//! names, and what only a replaced element needs is not asked for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Catalog, Element, ElementError, implicit, stand_in};
use crate::request::Request;
use crate::script::nearest;

/// The elements that `request` asks for, and those that they need, in order.
///
/// # Errors
/// An element is missing or wrong or not for the architecture, two provide the same thing, or none provides an operating
/// system.
pub fn resolve(request: &Request, catalog: &Catalog) -> Result<Vec<Element>, ElementError> {
    let mut elements = expand(&implicit::wanted(request), &request.elements, catalog)?;
    check_architecture(&elements, &request.arch, catalog)?;
    if !request.dib_strict {
        stand_in::settle(&mut elements);
    }
    Ok(elements)
}

/// As [`resolve`], also when no element of them provides an operating system: enough to try what the elements do.
///
/// # Errors
/// As [`resolve`], but for the operating system.
pub fn resolve_any(request: &Request, catalog: &Catalog) -> Result<Vec<Element>, ElementError> {
    let elements = closure(&implicit::wanted(request), &request.elements, catalog)?;
    check_architecture(&elements, &request.arch, catalog)?;
    Ok(elements)
}

/// The elements that are `wanted`, and those that they need, in order; nothing comes unasked. Those of `named` must not be
/// replaced by another one.
///
/// # Errors
/// As [`resolve`], but for architectures.
pub fn expand(wanted: &[String], named: &[String], catalog: &Catalog) -> Result<Vec<Element>, ElementError> {
    let elements = closure(wanted, named, catalog)?;
    if !elements.iter().any(|element| provides(element, "operating-system")) {
        return Err(ElementError::NoOperatingSystem { candidates: catalog.providers("operating-system") });
    }
    Ok(elements)
}

fn closure(wanted: &[String], named: &[String], catalog: &Catalog) -> Result<Vec<Element>, ElementError> {
    let reachable = reachable(wanted, catalog)?;
    let (chosen, providers) = settled(wanted, &reachable);
    check_missing(&chosen, &reachable, wanted, &providers, catalog)?;
    check_provided(&chosen, named, &reachable)?;
    Ok(ordered(chosen, reachable, &providers))
}

/// Every element that any dependency leads to. Names that no folder has are left out.
fn reachable(wanted: &[String], catalog: &Catalog) -> Result<BTreeMap<String, Element>, ElementError> {
    let mut elements = BTreeMap::new();
    let mut queue: VecDeque<String> = wanted.iter().cloned().collect();
    while let Some(name) = queue.pop_front() {
        if elements.contains_key(&name) {
            continue;
        }
        if let Some(element) = catalog.load(&name)? {
            queue.extend(element.depends.iter().cloned());
            elements.insert(name, element);
        }
    }
    Ok(elements)
}

/// The elements of the image, and who of them provides what.
fn settled(wanted: &[String], reachable: &BTreeMap<String, Element>) -> (BTreeSet<String>, BTreeMap<String, String>) {
    let mut providers = providers(reachable.iter());
    // Each round can only take elements away whose reason was taken away; a ring of reasons ends at the limit.
    for _ in 0..reachable.len() {
        let chosen = chosen(wanted, reachable, &providers);
        let now = self::providers(reachable.iter().filter(|(name, _)| chosen.contains(*name)));
        if now == providers {
            break;
        }
        providers = now;
    }
    (chosen(wanted, reachable, &providers), providers)
}

/// Who provides what; the first by name where several do.
fn providers<'a>(elements: impl Iterator<Item = (&'a String, &'a Element)>) -> BTreeMap<String, String> {
    let mut providers = BTreeMap::new();
    for (name, element) in elements {
        for what in element.provides.iter().filter(|what| *what != name) {
            providers.entry(what.clone()).or_insert_with(|| name.clone());
        }
    }
    providers
}

fn check_missing(
    chosen: &BTreeSet<String>,
    elements: &BTreeMap<String, Element>,
    wanted: &[String],
    providers: &BTreeMap<String, String>,
    catalog: &Catalog,
) -> Result<(), ElementError> {
    let asked = wanted.iter().map(|name| (name, None));
    let needed = elements
        .values()
        .filter(|element| chosen.contains(&element.name))
        .flat_map(|element| element.depends.iter().map(move |name| (name, Some(element.name.clone()))));
    for (name, asked_by) in asked.chain(needed) {
        if elements.contains_key(name) || providers.contains_key(name) {
            continue;
        }
        let mut nearest: Vec<String> = nearest::close(name, catalog.names()).into_iter().map(str::to_string).collect();
        if nearest.is_empty() {
            nearest = catalog.providers(name);
        }
        return Err(ElementError::NotFound { name: name.clone(), asked_by, nearest });
    }
    Ok(())
}

/// The closure, with what is provided replaced by who provides it.
fn chosen(
    wanted: &[String],
    elements: &BTreeMap<String, Element>,
    providers: &BTreeMap<String, String>,
) -> BTreeSet<String> {
    let mut chosen = BTreeSet::new();
    let mut queue: VecDeque<&String> = wanted.iter().collect();
    while let Some(name) = queue.pop_front() {
        let name = providers.get(name).unwrap_or(name);
        if let Some(element) = elements.get(name)
            && chosen.insert(name.clone())
        {
            queue.extend(element.depends.iter());
        }
    }
    chosen
}

fn check_provided(
    chosen: &BTreeSet<String>,
    named: &[String],
    elements: &BTreeMap<String, Element>,
) -> Result<(), ElementError> {
    let mut provided: BTreeMap<&str, &str> = BTreeMap::new();
    for name in chosen {
        for what in elements.get(name).map_or(&[][..], |element| &element.provides) {
            if let Some(first) = provided.insert(what, name)
                && first != name
            {
                return Err(ElementError::ProvidedTwice {
                    what: what.clone(),
                    first: first.to_string(),
                    second: name.clone(),
                });
            }
        }
    }
    for name in named {
        if let Some(provider) = provided.get(name.as_str())
            && provider != name
        {
            return Err(ElementError::AlreadyProvided { name: name.clone(), provider: (*provider).to_string() });
        }
    }
    Ok(())
}

fn check_architecture(chosen: &[Element], arch: &str, catalog: &Catalog) -> Result<(), ElementError> {
    // The first by name, whatever the order.
    let refused = chosen.iter().filter(|element| !element.supports(arch)).min_by_key(|element| &element.name);
    let Some(refused) = refused else { return Ok(()) };
    let mut instead: Vec<String> = refused.provides.iter().flat_map(|what| catalog.providers(what)).collect();
    // One that cannot be read is not worth a word here.
    instead.retain(|name| catalog.load(name).is_ok_and(|element| element.is_some_and(|other| other.supports(arch))));
    instead.dedup();
    Err(ElementError::Architecture {
        element: refused.name.clone(),
        arch: arch.to_owned(),
        supported: refused.architectures.clone(),
        instead,
    })
}

/// Each element after those that it needs; the first by name among those that are free. A circle is broken at its first name.
fn ordered(
    mut waiting: BTreeSet<String>,
    mut elements: BTreeMap<String, Element>,
    providers: &BTreeMap<String, String>,
) -> Vec<Element> {
    let mut order = Vec::with_capacity(waiting.len());
    while let Some(first) = waiting.first().cloned() {
        let is_free = |name: &&String| {
            elements.get(*name).is_none_or(|element| {
                element.depends.iter().all(|needed| {
                    let needed = providers.get(needed).unwrap_or(needed);
                    needed == *name || !waiting.contains(needed)
                })
            })
        };
        let next = waiting.iter().find(is_free).cloned().unwrap_or(first);
        waiting.remove(&next);
        order.extend(elements.remove(&next));
    }
    order
}

fn provides(element: &Element, what: &str) -> bool {
    element.provides.iter().any(|name| name == what)
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;
    use proptest::prelude::*;

    use super::*;

    /// A catalog of `(name, depends, provides)`.
    fn catalog(elements: &[(&str, &str, &str)]) -> (tempfile::TempDir, Catalog) {
        let temp = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(temp.path().into()).unwrap();
        for (name, depends, provides) in elements {
            std::fs::create_dir(root.join(name)).unwrap();
            std::fs::write(root.join(name).join("element-deps"), depends.replace(' ', "\n")).unwrap();
            std::fs::write(root.join(name).join("element-provides"), provides.replace(' ', "\n")).unwrap();
        }
        let catalog = Catalog::new(&[], &root).unwrap();
        (temp, catalog)
    }

    fn request(elements: &[&str]) -> Request {
        Request {
            elements: elements.iter().map(|name| (*name).to_string()).collect(),
            arch: "amd64".into(),
            skip_base: true,
            ..Request::default()
        }
    }

    fn names(elements: &[Element]) -> Vec<&str> {
        elements.iter().map(|element| element.name.as_str()).collect()
    }

    const OS: (&str, &str, &str) = ("os", "", "operating-system");

    #[test]
    fn needed_elements_come_first_then_names_decide() {
        let (_temp, catalog) = catalog(&[OS, ("a", "z os", ""), ("z", "", ""), ("b", "", "")]);
        assert_eq!(names(&resolve(&request(&["b", "a"]), &catalog).unwrap()), ["b", "os", "z", "a"]);
    }

    #[test]
    fn circles_and_repetitions_are_fine() {
        let (_temp, catalog) = catalog(&[OS, ("a", "b", ""), ("b", "a b", "")]);
        assert_eq!(names(&resolve(&request(&["os", "a", "os", "a"]), &catalog).unwrap()), ["os", "a", "b"]);
    }

    #[test]
    fn base_and_a_block_device_come_unasked() {
        let (_temp, catalog) = catalog(&[
            OS,
            ("base", "", ""),
            ("vm", "block-device", ""),
            ("block-device-mbr", "", "block-device"),
            ("block-device-efi", "", "block-device"),
            ("block-device-gpt", "", "block-device"),
        ]);
        let mut wish = request(&["os", "vm"]);
        wish.skip_base = false;
        assert_eq!(names(&resolve(&wish, &catalog).unwrap()), ["base", "block-device-mbr", "os", "vm"]);
        wish.arch = "arm64".into();
        assert_eq!(names(&resolve(&wish, &catalog).unwrap()), ["base", "block-device-efi", "os", "vm"]);
        let wish = request(&["os", "vm", "block-device-gpt"]);
        assert_eq!(names(&resolve(&wish, &catalog).unwrap()), ["block-device-gpt", "os", "vm"]);
    }

    #[test]
    fn a_virtual_name_is_satisfied_however_late_its_provider_is_met() {
        let (_temp, catalog) =
            catalog(&[OS, ("early", "virt", ""), ("late", "provider", ""), ("provider", "", "virt")]);
        let elements = resolve(&request(&["early", "late", "os"]), &catalog).unwrap();
        assert_eq!(names(&elements), ["os", "provider", "early", "late"]);
    }

    #[test]
    fn a_provided_element_is_replaced() {
        let (_temp, catalog) =
            catalog(&[OS, ("user", "thing better", ""), ("thing", "os", ""), ("better", "", "thing")]);
        assert_eq!(names(&resolve(&request(&["user", "os"]), &catalog).unwrap()), ["better", "os", "user"]);
    }

    #[test]
    fn what_only_a_replaced_element_needs_is_not_asked_for() {
        let (_temp, catalog) = catalog(&[
            OS,
            ("user", "thing better virt", ""),
            ("thing", "missing other", ""),
            ("other", "", "virt"),
            ("better", "", "thing"),
            ("giver", "", "virt"),
        ]);
        let elements = resolve(&request(&["user", "giver", "os"]), &catalog).unwrap();
        assert_eq!(names(&elements), ["better", "giver", "os", "user"]);
    }

    #[test]
    fn mistakes_are_explained() {
        let (_temp, catalog) = catalog(&[
            OS,
            ("os-two", "", "operating-system"),
            ("broken", "debain", ""),
            ("debian", "", "operating-system"),
            ("thing", "", ""),
            ("better", "", "thing"),
        ]);
        let failed = |elements: &[&str]| resolve(&request(elements), &catalog).unwrap_err().to_string();
        assert_eq!(failed(&["os", "thinq"]), "Element 'thinq' not found; did you mean `thing`?");
        assert_eq!(
            failed(&["os", "broken"]),
            "Element 'debain' not found (element 'broken' depends on it); did you mean `debian`?"
        );
        assert_eq!(
            failed(&["thing"]),
            "Please include an operating system element: there is no operating system among the elements; name one, for example \
             debian-minimal; the search path has debian, os, os-two"
        );
        assert!(failed(&["os", "os-two"]).starts_with("operating-system: already provided by ['os'], but 'os-two'"));
        assert_eq!(
            failed(&["os", "thing", "better"]),
            "thing: already provided by ['better']; leave out one of the two"
        );
    }

    proptest! {
        #[test]
        fn the_order_of_the_request_does_not_matter(
            edges in proptest::collection::vec((0..8_usize, 0..8_usize), 0..20),
            seed in proptest::collection::vec(0..8_usize, 1..6),
        ) {
            let name = |index: usize| format!("e{index}");
            let depends: Vec<String> = (0..8)
                .map(|from| edges.iter().filter(|(a, _)| *a == from).map(|(_, to)| name(*to)).collect::<Vec<_>>().join(" "))
                .collect();
            let all: Vec<String> = (0..8).map(name).collect();
            let mut list: Vec<(&str, &str, &str)> = all.iter().zip(&depends).map(|(n, d)| (n.as_str(), d.as_str(), "")).collect();
            list.push(OS);
            let (_temp, catalog) = catalog(&list);
            let mut wanted: Vec<String> = seed.iter().map(|index| name(*index)).chain(["os".to_string()]).collect();
            let forth = resolve(&Request { elements: wanted.clone(), skip_base: true, ..Request::default() }, &catalog).unwrap();
            wanted.reverse();
            let back = resolve(&Request { elements: wanted, skip_base: true, ..Request::default() }, &catalog).unwrap();
            prop_assert_eq!(names(&forth), names(&back));
            // every dependency is there
            for element in &forth {
                for needed in &element.depends {
                    prop_assert!(forth.iter().any(|other| &other.name == needed));
                }
            }
        }
    }
}
