//! Which packages a tree is made of.
//!
//! In: an [`Index`], the names wanted. Out: a closed, conflict-free set in an order in which dependencies come first, the
//! smallest working tree at its head. No recommendations; the same input gives the same set. A dependency with one candidate is
//! taken before any choice is made, so that a choice sees as much of the tree as it can. Not here: fetching or installing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::index::{Index, Package};
use super::positions;
use super::relation::Relation;
use crate::distro::DistroError;

/// A live migration to a merged `/usr`: kiln's trees are merged from the first file on.
const NEVER: &str = "usrmerge";

/// The chosen packages.
#[derive(Debug)]
pub struct Chosen {
    /// All, dependencies first, the base before the rest.
    pub packages: Vec<Package>,
    /// How many make the base.
    pub base: usize,
    /// Names that were asked for or are in every tree.
    pub manual: Vec<String>,
}

/// Chooses the packages of a tree with the packages `wanted` on top of Essential, Priority `required` and apt.
///
/// # Errors
/// When something does not exist or may not be installed beside something else; the message says who wanted it.
pub fn resolve(index: &Index, wanted: &[String], arch: &str) -> Result<Chosen, DistroError> {
    let mut search = Search { index, arch, set: BTreeMap::new(), provided: BTreeMap::new(), why: BTreeMap::new() };
    let mut manual: BTreeSet<String> = BTreeSet::from(["apt".to_owned()]);
    for name in &index.base {
        // Of every suite's lists only the newest version's word counts.
        let newest = index.versions(name);
        let in_base = |package: &Package| package.essential || package.priority == "required";
        if name != NEVER && newest.first().is_some_and(in_base) {
            manual.insert(name.clone());
        }
    }
    let base_names: Vec<String> = manual.iter().cloned().collect();
    search.close(&base_names, "the base system")?;
    let base: BTreeSet<String> = search.set.keys().cloned().collect();
    search.close(wanted, "the image")?;
    manual.extend(wanted.iter().map(|name| search.real_name(name)));
    let mut first = base;
    search.with_pre_dependencies(&mut first);
    let packages: Vec<Package> = search.set.values().cloned().collect();
    let order = order(&packages);
    let (head, tail): (Vec<usize>, Vec<usize>) = order.into_iter().partition(|at| first.contains(&packages[*at].name));
    let base = head.len();
    let packages = head.into_iter().chain(tail).map(|at| packages[at].clone()).collect();
    Ok(Chosen { packages, base, manual: manual.into_iter().collect() })
}

struct Search<'a> {
    index: &'a Index,
    arch: &'a str,
    set: BTreeMap<String, Package>,
    /// Virtual name to (provider, version).
    provided: BTreeMap<String, Vec<(String, Option<String>)>>,
    why: BTreeMap<String, String>,
}

impl Search<'_> {
    fn close(&mut self, names: &[String], asker: &str) -> Result<(), DistroError> {
        let mut sure: VecDeque<(Vec<Relation>, String)> =
            names.iter().map(|name| (vec![Relation { name: name.clone(), bound: None }], asker.to_owned())).collect();
        let mut open: VecDeque<(Vec<Relation>, String)> = VecDeque::new();
        loop {
            let (group, who, choose) = match sure.pop_front() {
                Some((group, who)) => (group, who, false),
                None => match open.pop_front() {
                    Some((group, who)) => (group, who, true),
                    None => return Ok(()),
                },
            };
            // Who asks for a package by name means that package; a dependency is content with one that provides it.
            let real = names.contains(&group[0].name) && who == asker && self.index.has(&group[0].name);
            if real && self.set.contains_key(&group[0].name) || !real && group.iter().any(|relation| self.met(relation))
            {
                continue;
            }
            let mut candidates = group.iter().flat_map(|relation| self.candidates(relation)).collect::<Vec<_>>();
            if !real {
                candidates.sort_by_key(|package| package.not_automatic);
            }
            if candidates.len() > 1 && !choose {
                let fixed = group.len() == 1 && candidates.iter().any(|package| package.name == group[0].name);
                if !fixed {
                    open.push_back((group, who));
                    continue;
                }
            }
            let mut clashes = Vec::new();
            candidates.retain(|package| match self.clash(package) {
                Some(clash) => {
                    clashes.push(clash);
                    false
                }
                None => true,
            });
            let Some(package) = candidates.into_iter().next() else {
                return Err(self.impossible(&group, &who, &clashes));
            };
            self.why.insert(package.name.clone(), who);
            for group in package.pre_depends.iter().chain(&package.depends) {
                sure.push_back((group.clone(), package.name.clone()));
            }
            for (name, version) in &package.provides {
                self.provided.entry(name.clone()).or_default().push((package.name.clone(), version.clone()));
            }
            self.set.insert(package.name.clone(), package);
        }
    }

    /// Whether the set meets `relation` already.
    fn met(&self, relation: &Relation) -> bool {
        self.set.get(&relation.name).is_some_and(|package| relation.admits(&package.version))
            || self.provided.get(&relation.name).is_some_and(|providers| {
                providers.iter().any(|(_, version)| relation.admits_provided(version.as_deref()))
            })
    }

    /// What could meet `relation`, the best first: the package itself, then providers by priority and name.
    fn candidates(&self, relation: &Relation) -> Vec<Package> {
        let fits = |package: &Package| {
            package.name != NEVER
                && (package.architecture == self.arch || package.architecture == "all")
                && !self.set.contains_key(&package.name)
        };
        let mut found: Vec<Package> = self
            .index
            .versions(&relation.name)
            .into_iter()
            .filter(|package| fits(package) && relation.admits(&package.version))
            .take(1)
            .collect();
        let mut providers: Vec<Package> = self
            .index
            .providers(&relation.name)
            .into_iter()
            .filter_map(|name| self.index.versions(name).into_iter().next())
            .filter(|package| {
                let provides = |(name, version): &(String, Option<String>)| {
                    *name == relation.name && relation.admits_provided(version.as_deref())
                };
                fits(package) && package.provides.iter().any(provides)
            })
            .collect();
        providers.sort_by_key(|package| rank(&package.priority));
        found.extend(providers);
        found
    }

    /// Why `package` may not be added, when it may not.
    fn clash(&self, package: &Package) -> Option<String> {
        let forbids = |a: &Package, b: &Package| {
            a.name != b.name
                && a.conflicts.iter().any(|relation| {
                    (relation.name == b.name && relation.admits(&b.version))
                        || b.provides.iter().any(|(name, version)| {
                            *name == relation.name && relation.admits_provided(version.as_deref())
                        })
                })
        };
        self.set.values().find_map(|other| {
            let (a, b) = if forbids(package, other) {
                (package, other)
            } else if forbids(other, package) {
                (other, package)
            } else {
                return None;
            };
            Some(format!(
                "{} {} conflicts with {} {} ({})",
                a.name,
                a.version,
                b.name,
                b.version,
                self.chain(&other.name)
            ))
        })
    }

    fn impossible(&self, group: &[Relation], who: &str, clashes: &[String]) -> DistroError {
        let wanted = group.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
        let chain = self.chain(who);
        if !clashes.is_empty() {
            return DistroError::Unsatisfiable(format!("{wanted} is wanted by {chain}, but {}", clashes.join("; ")));
        }
        let mut text = format!("{wanted} is wanted by {chain}, but no source has it");
        let Some(name) = group.first().map(|relation| relation.name.as_str()) else {
            return DistroError::Unsatisfiable(text);
        };
        let versions = self.index.versions(name);
        if let Some(chosen) = self.set.get(name) {
            text = format!(
                "{wanted} is wanted by {chain}, but {name} {} was chosen ({})",
                chosen.version,
                self.chain(name)
            );
        } else if !versions.is_empty() {
            let versions: Vec<String> = versions.into_iter().map(|package| package.version).collect();
            text.push_str(&format!(" in that version; there is {}", versions.join(", ")));
        } else {
            let near = self.index.names().map(|other| (strsim::osa_distance(name, other), other)).min();
            if let Some((distance, near)) = near
                && distance <= 3
            {
                text.push_str(&format!("; did you mean {near}?"));
            } else {
                text.push_str("; is a component missing (option components)?");
            }
        }
        DistroError::Unsatisfiable(text)
    }

    /// `a, wanted by b, wanted by the image`.
    fn chain(&self, name: &str) -> String {
        let mut text = name.to_owned();
        let mut at = name;
        for _ in 0..20 {
            let Some(next) = self.why.get(at) else { break };
            text.push_str(&format!(", wanted by {next}"));
            at = next;
        }
        text
    }

    fn real_name(&self, name: &str) -> String {
        if self.set.contains_key(name) {
            return name.to_owned();
        }
        self.provided.get(name).and_then(|all| all.first()).map_or_else(|| name.to_owned(), |(real, _)| real.clone())
    }

    /// Adds to `names` what must be configured before others of the set may be unpacked.
    fn with_pre_dependencies(&self, names: &mut BTreeSet<String>) {
        let mut queue: Vec<&Relation> =
            self.set.values().flat_map(|package| package.pre_depends.iter().flatten()).collect();
        while let Some(relation) = queue.pop() {
            let name = self.real_name(&relation.name);
            if let Some(package) = self.set.get(&name)
                && names.insert(name)
            {
                queue.extend(package.pre_depends.iter().chain(&package.depends).flatten());
            }
        }
    }
}

fn rank(priority: &str) -> usize {
    ["required", "important", "standard", "optional"].iter().position(|known| *known == priority).unwrap_or(4)
}

/// Positions such that what a package depends on comes before it, as far as there are no circles.
fn order(packages: &[Package]) -> Vec<usize> {
    let names = positions(packages);
    let mut provided: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, package) in packages.iter().enumerate() {
        for (name, _) in &package.provides {
            provided.entry(name).or_insert(at);
        }
    }
    let needs = |at: usize| -> Vec<usize> {
        let package = &packages[at];
        let groups = package.pre_depends.iter().chain(&package.depends);
        let find = |relation: &Relation| {
            names.get(relation.name.as_str()).or_else(|| provided.get(relation.name.as_str())).copied()
        };
        groups.filter_map(|group| group.iter().find_map(find)).collect()
    };
    let mut done = vec![false; packages.len()];
    let mut order = Vec::with_capacity(packages.len());
    for root in 0..packages.len() {
        let mut stack = vec![(root, needs(root))];
        if std::mem::replace(&mut done[root], true) {
            continue;
        }
        while let Some((at, rest)) = stack.last_mut() {
            match rest.pop() {
                Some(next) if !done[next] => {
                    done[next] = true;
                    stack.push((next, needs(next)));
                }
                Some(_) => {}
                None => {
                    order.push(*at);
                    stack.pop();
                }
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::super::index::List;
    use super::*;

    const BASE: &str = "libc6\n\ndpkg e Pre-Depends: libc6\n\napt p Depends: dpkg, adduser\n\nadduser\n\n";

    /// `NAME [e|p] FIELD: …; FIELD: …`: `e` is essential, `p` important. The version is 1 unless a field says otherwise.
    fn index(texts: &[&str]) -> Index {
        Index::new(lists(texts))
    }

    fn lists(texts: &[&str]) -> Vec<List> {
        let lists = texts.iter().map(|text| {
            let mut all = String::new();
            for line in text.split("\n\n").filter(|line| !line.is_empty()) {
                let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
                let (mark, fields) = match rest.as_bytes().get(..2) {
                    Some(b"e ") => ("Essential: yes\nPriority: required\n", &rest[2..]),
                    Some(b"p ") => ("Priority: important\n", &rest[2..]),
                    _ => ("Priority: optional\n", rest),
                };
                let version = if fields.contains("Version:") { "" } else { "Version: 1\n" };
                all.push_str(&format!(
                    "Package: {name}\n{version}{mark}Architecture: amd64\nFilename: {name}.deb\nSize: 1\nSHA256: {:064}\n{}\n\n",
                    0,
                    fields.replace("; ", "\n")
                ));
            }
            List { archive: "file:/a".into(), text: all.into(), not_automatic: false }
        });
        lists.collect()
    }

    fn names(index: &Index, wanted: &[&str]) -> Result<Vec<String>, String> {
        let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        let chosen = resolve(index, &wanted, "amd64").map_err(|error| error.to_string())?;
        Ok(chosen.packages.iter().map(|package| format!("{} {}", package.name, package.version)).collect())
    }

    #[test]
    fn the_base_is_essential_packages_and_apt_with_dependencies_first() {
        assert_eq!(names(&index(&[BASE]), &[]).unwrap(), ["adduser 1", "libc6 1", "dpkg 1", "apt 1"]);
    }

    #[test]
    fn the_newest_version_of_all_suites_is_chosen() {
        let index = index(&[BASE, "libc6 Version: 1+deb12u1\n\n"]);
        assert!(names(&index, &[]).unwrap().contains(&"libc6 1+deb12u1".to_owned()));
    }

    #[test]
    fn a_list_that_is_not_automatic_is_used_only_when_nothing_else_will_do() {
        let mut all = lists(&[
            BASE,
            "a Version: 1\n\nb\n\n",
            "a Version: 9\n\nc Depends: a\n\nd Depends: a (>= 5)\n\ne Depends: only | b\n\nonly\n\n",
        ]);
        all[2].not_automatic = true;
        let index = Index::new(all);
        let has = |wanted: &str, package: &str| names(&index, &[wanted]).unwrap().contains(&package.to_owned());
        assert!(has("a", "a 1") && has("c", "a 1") && has("d", "a 9") && has("only", "only 1"));
        assert!(has("e", "b 1"));
    }

    #[test]
    fn a_choice_is_made_after_everything_certain() {
        // `a` would take x first, but `b` needs y, which will do.
        let text = "a Depends: x | y\n\nb Depends: y\n\nx\n\ny\n\n";
        let found = names(&index(&[BASE, text]), &["a", "b"]).unwrap();
        assert!(!found.contains(&"x 1".to_owned()), "{found:?}");
    }

    #[test]
    fn virtual_packages_are_provided_by_the_most_important_and_bounds_need_versions() {
        let text = "a Depends: awk\n\ngawk Provides: awk\n\nmawk p Provides: awk\n\nb Depends: awk (>= 2)\n\n";
        let index = index(&[BASE, text]);
        assert!(names(&index, &["a"]).unwrap().contains(&"mawk 1".to_owned()));
        let error = names(&index, &["b"]).unwrap_err();
        assert!(error.contains("awk (>= 2) is wanted by b, wanted by the image"), "{error}");
    }

    #[test]
    fn who_asks_by_name_gets_that_package_and_not_its_provider() {
        let text = "old-name\n\nnew p Provides: old-name (= 2)\n\n";
        let found = names(&index(&[BASE, text]), &["new", "old-name"]).unwrap();
        assert!(found.contains(&"old-name 1".to_owned()), "{found:?}");
    }

    #[test]
    fn a_live_merge_of_usr_is_never_chosen() {
        let text = "init Depends: usrmerge | usr-is-merged\n\nusrmerge\n\nusr-is-merged\n\n";
        let found = names(&index(&[BASE, text]), &["init"]).unwrap();
        assert!(
            found.contains(&"usr-is-merged 1".to_owned()) && !found.contains(&"usrmerge 1".to_owned()),
            "{found:?}"
        );
    }

    #[test]
    fn conflicts_and_missing_names_say_who_wanted_what() {
        let text = "a Depends: b\n\nb\n\nc Conflicts: b\n\nd Depends: e (>= 9)\n\ne\n\n";
        let index = index(&[BASE, text]);
        let error = names(&index, &["a", "c"]).unwrap_err();
        assert!(
            error
                .contains("b is wanted by a, wanted by the image, but c 1 conflicts with b 1 (c, wanted by the image)"),
            "{error}"
        );
        let error = names(&index, &["d"]).unwrap_err();
        assert!(error.contains("e (>= 9)") && error.contains("there is 1"), "{error}");
        let error = names(&index, &["adduserr"]).unwrap_err();
        assert!(error.contains("did you mean adduser?"), "{error}");
    }

    #[test]
    fn an_alternative_that_conflicts_gives_way_to_the_next() {
        let text = "a Depends: b | c\n\nb Breaks: apt (<< 2)\n\nc\n\n";
        assert!(names(&index(&[BASE, text]), &["a"]).unwrap().contains(&"c 1".to_owned()));
    }
}
