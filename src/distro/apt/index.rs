//! What packages there are.
//!
//! In: a verified [`Release`]. Out: an [`Index`] over the package lists, which stay as text: of tens of thousands of paragraphs
//! only the few hundred that matter are ever read in full. Not here: which of them are wanted (`resolve`).

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

use debversion::Version;

use super::control;
use super::relation::{Relation, provides, relations};
use super::release::Release;
use super::sources::Source;
use crate::distro::DistroError;
use crate::store::Store;
use crate::store::download::Fetcher;

/// One package list.
#[derive(Clone, Debug)]
pub struct List {
    /// URL of the archive that `Filename` is relative to.
    pub archive: String,
    /// The paragraphs.
    pub text: Arc<str>,
}

/// A package that can be installed.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version, as written.
    pub version: String,
    /// Its architecture.
    pub architecture: String,
    /// Where its archive is.
    pub url: String,
    /// Size of its archive in bytes.
    pub size: u64,
    /// Digest of its archive.
    pub sha256: String,
    /// `Essential: yes`, or `Important: yes` (Protected has no say in bootstraps).
    pub essential: bool,
    /// `required`, `optional`, …
    pub priority: String,
    /// What must be configured before it is unpacked.
    pub pre_depends: Vec<Vec<Relation>>,
    /// What must be configured before it is configured.
    pub depends: Vec<Vec<Relation>>,
    /// What may not be installed beside it: `Conflicts` and `Breaks`.
    pub conflicts: Vec<Relation>,
    /// Whose files it may replace.
    pub replaces: Vec<Relation>,
    /// Virtual packages: name and version.
    pub provides: Vec<(String, Option<String>)>,
}

/// All package lists of all sources.
#[derive(Debug, Default)]
pub struct Index {
    lists: Vec<List>,
    names: HashMap<String, Vec<(usize, Range<usize>)>>,
    providers: BTreeMap<String, Vec<String>>,
    /// Names of packages that are essential or of priority `required`, sorted.
    pub base: Vec<String>,
}

/// Fetches and verifies the list of one component.
///
/// # Errors
/// When the suite has no such component or architecture, or its list cannot be had.
pub fn fetch(
    store: &Store,
    fetcher: &Fetcher,
    source: &Source,
    release: &Release,
    component: &str,
    arch: &str,
) -> Result<List, DistroError> {
    let base = format!("{component}/binary-{arch}/Packages");
    let found = [".xz", ".gz", ""].into_iter().find_map(|ending| {
        let path = format!("{base}{ending}");
        release.files.get(&path).map(|file| (path, ending, file))
    });
    let Some((path, ending, (sha256, size))) = found else {
        return Err(DistroError::Format {
            file: source.dists("InRelease"),
            reason: format!(
                "it has no component {component:?} for {arch}; components: {} (option components, DIB_DEBIAN_COMPONENTS)",
                release.components.join(", ")
            ),
        });
    };
    let mut urls = Vec::new();
    if release.by_hash {
        urls.push(source.dists(&format!("{component}/binary-{arch}/by-hash/SHA256/{sha256}")));
    }
    urls.push(source.dists(&path));
    let file = store.fetch(fetcher, &urls, sha256, Some(*size), &|_| {})?;
    let wrong = |source| DistroError::File { action: "read the package list", path: file.clone(), source };
    let compressed = std::fs::read(&file).map_err(wrong)?;
    if crate::store::packages::sha256(&compressed) != *sha256 {
        store.forget_package(sha256);
        return Err(DistroError::Format {
            file: file.to_string(),
            reason: "the stored package list was damaged and has been removed; run again".into(),
        });
    }
    let plain = release.files.get(&base).map_or(0, |(_, size)| *size);
    let mut text = String::with_capacity(usize::try_from(plain.min(1 << 30)).unwrap_or(0));
    match ending {
        ".xz" => liblzma::read::XzDecoder::new_multi_decoder(compressed.as_slice()).read_to_string(&mut text),
        ".gz" => flate2::read::MultiGzDecoder::new(compressed.as_slice()).read_to_string(&mut text),
        _ => compressed.as_slice().read_to_string(&mut text),
    }
    .map_err(wrong)?;
    Ok(List { archive: source.url.clone(), text: text.into() })
}

impl Index {
    /// Indexes `lists`.
    pub fn new(lists: Vec<List>) -> Self {
        let mut index = Self { lists, ..Self::default() };
        let mut base = std::collections::BTreeSet::new();
        for (number, list) in index.lists.iter().enumerate() {
            let text: &str = &list.text;
            let mut start = 0;
            while start < text.len() {
                let end = text[start..].find("\n\n").map_or(text.len(), |length| start + length);
                let paragraph = &text[start..end];
                if let Some(name) = head_field(paragraph, "Package") {
                    index.names.entry(name.to_owned()).or_default().push((number, start..end));
                    if let Some(value) = head_field(paragraph, "Provides") {
                        for (provided, _) in provides(value) {
                            let providers = index.providers.entry(provided).or_default();
                            if !providers.iter().any(|known| known == name) {
                                providers.push(name.to_owned());
                            }
                        }
                    }
                    if paragraph.contains("\nPriority: required") || paragraph.contains("\nEssential: yes") {
                        base.insert(name.to_owned());
                    }
                }
                start = end + text[end..].len().min(2);
            }
        }
        index.base = base.into_iter().collect();
        index
    }

    /// Every version of `name`, the newest first; of equal versions the one of the first source.
    pub fn versions(&self, name: &str) -> Vec<Package> {
        let mut found: Vec<(Version, Package)> = self
            .names
            .get(name)
            .into_iter()
            .flatten()
            .filter_map(|(number, range)| {
                let list = &self.lists[*number];
                let package = package(&list.text[range.clone()], &list.archive)?;
                Some((package.version.parse().ok()?, package))
            })
            .collect();
        found.sort_by(|a, b| b.0.cmp(&a.0));
        found.into_iter().map(|(_, package)| package).collect()
    }

    /// Whether a package of this name exists.
    pub fn has(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// Names of packages that provide the virtual package `name`, sorted.
    pub fn providers(&self, name: &str) -> Vec<&str> {
        let mut names: Vec<&str> = self.providers.get(name).into_iter().flatten().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// Every name, for suggestions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }
}

/// The value of a field on one line, found without splitting the paragraph.
fn head_field<'a>(paragraph: &'a str, name: &str) -> Option<&'a str> {
    let at = |start: usize| {
        let value = paragraph[start..].strip_prefix(name)?.strip_prefix(':')?;
        Some(value[..value.find('\n').unwrap_or(value.len())].trim())
    };
    if let Some(value) = at(0) {
        return Some(value);
    }
    let mut start = 0;
    while let Some(next) = paragraph[start..].find('\n') {
        start += next + 1;
        if paragraph.as_bytes().get(start) == name.as_bytes().first()
            && let Some(value) = at(start)
        {
            return Some(value);
        }
    }
    None
}

fn package(paragraph: &str, archive: &str) -> Option<Package> {
    let fields: HashMap<&str, &str> = control::fields(paragraph).collect();
    let text = |name: &str| fields.get(name).map(|value| (*value).to_owned());
    let list = |name: &str| fields.get(name).map(|value| relations(value)).unwrap_or_default();
    let flat = |name: &str| list(name).into_iter().flatten().collect::<Vec<_>>();
    let mut conflicts = flat("Conflicts");
    conflicts.extend(flat("Breaks"));
    Some(Package {
        name: text("Package")?,
        version: text("Version")?,
        architecture: text("Architecture")?,
        url: format!("{archive}/{}", fields.get("Filename")?),
        size: fields.get("Size")?.parse().ok()?,
        sha256: text("SHA256")?,
        essential: fields.get("Essential") == Some(&"yes"),
        priority: text("Priority").unwrap_or_default(),
        pre_depends: list("Pre-Depends"),
        depends: list("Depends"),
        conflicts,
        replaces: flat("Replaces"),
        provides: fields.get("Provides").map(|value| provides(value)).unwrap_or_default(),
    })
}
