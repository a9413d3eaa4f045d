//! What packages there are.
//!
//! In: a verified [`Release`]. Out: an [`Index`] over the package lists, which stay as text: of tens of thousands of paragraphs
//! only the few hundred that matter are ever read in full. Not here: which of them are wanted (`resolve`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

use debversion::Version;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::control;
use super::digest;
use super::relation::{Relation, provides, relations};
use super::release::Release;
use super::sources::Source;
use crate::distro::DistroError;
use crate::store::Store;
use crate::store::download::Fetcher;
use crate::store::packages::sha256 as digest_of;

/// Bytes of a list that one core indexes at a time.
const PIECE: usize = 4 << 20;

/// One package list.
#[derive(Clone, Debug)]
pub struct List {
    /// URL of the archive that `Filename` is relative to.
    pub archive: String,
    /// The paragraphs.
    pub text: Arc<str>,
    /// Its packages are taken only when no other list's will do.
    pub not_automatic: bool,
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
    /// It is taken only when no package of another list will do.
    pub not_automatic: bool,
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
    let plain = release.files.get(&base);
    let list =
        |text: String| List { archive: source.url.clone(), text: text.into(), not_automatic: release.not_automatic };
    if let Some(text) = plain.and_then(|(digest, _)| kept(store, digest)) {
        return Ok(list(text));
    }
    let mut urls = Vec::new();
    if release.by_hash {
        urls.push(source.dists(&format!("{component}/binary-{arch}/by-hash/SHA256/{sha256}")));
    }
    urls.push(source.dists(&path));
    let file = store.fetch(fetcher, &urls, sha256, Some(*size), &|_| {})?;
    let wrong = |source| DistroError::File { action: "read the package list", path: file.clone(), source };
    let compressed = std::fs::read(&file).map_err(wrong)?;
    if digest_of(&compressed) != *sha256 {
        store.forget_package(sha256);
        return Err(DistroError::Format {
            file: file.to_string(),
            reason: "the stored package list was damaged and has been removed; run again".into(),
        });
    }
    let length = plain.map_or(0, |(_, size)| *size);
    let mut text = String::with_capacity(usize::try_from(length.min(1 << 30)).unwrap_or(0));
    match ending {
        ".xz" => liblzma::read::XzDecoder::new_multi_decoder(compressed.as_slice()).read_to_string(&mut text),
        ".gz" => flate2::read::MultiGzDecoder::new(compressed.as_slice()).read_to_string(&mut text),
        _ => compressed.as_slice().read_to_string(&mut text),
    }
    .map_err(wrong)?;
    // Unpacking it takes longer than reading it: the next build finds it as it is, and the packed one has done its work.
    if let Some((digest, _)) = plain.filter(|(digest, _)| digest != sha256 && *digest == digest_of(text.as_bytes())) {
        store.keep_package(digest, text.as_bytes())?;
        store.forget_package(sha256);
    }
    Ok(list(text))
}

/// The unpacked list with this digest, when an earlier build kept it.
fn kept(store: &Store, digest: &str) -> Option<String> {
    let bytes = std::fs::read(store.package_path(digest)).ok()?;
    if digest_of(&bytes) != digest {
        store.forget_package(digest);
        return None;
    }
    String::from_utf8(bytes).ok()
}

impl Index {
    /// Indexes `lists`, on every core.
    pub fn new(lists: Vec<List>) -> Self {
        let parts: Vec<(usize, Range<usize>)> = lists
            .iter()
            .enumerate()
            .flat_map(|(number, list)| pieces(&list.text).into_iter().map(move |range| (number, range)))
            .collect();
        // In the order of `parts`: of equal versions the one of the first source counts.
        let heads: Vec<Vec<Head<'_>>> =
            parts.par_iter().map(|(number, range)| heads(&lists[*number].text, range.clone())).collect();
        let mut names: HashMap<String, Vec<(usize, Range<usize>)>> =
            HashMap::with_capacity(heads.iter().map(Vec::len).sum());
        let mut providers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut base = BTreeSet::new();
        for (head, number) in
            heads.iter().zip(&parts).flat_map(|(heads, (number, _))| heads.iter().map(move |head| (head, *number)))
        {
            match names.get_mut(head.name) {
                Some(known) => known.push((number, head.range.clone())),
                None => drop(names.insert(head.name.to_owned(), vec![(number, head.range.clone())])),
            }
            for (provided, _) in head.provides.map(provides).unwrap_or_default() {
                let providers = providers.entry(provided).or_default();
                if !providers.iter().any(|known| known == head.name) {
                    providers.push(head.name.to_owned());
                }
            }
            if head.base {
                base.insert(head.name.to_owned());
            }
        }
        let base = base.into_iter().collect();
        Self { names, providers, base, lists }
    }

    /// Every version of `name`, the newest first, those of lists that are not automatic last; of equal versions the one of the
    /// first source.
    pub fn versions(&self, name: &str) -> Vec<Package> {
        let mut found: Vec<(bool, Version, Package)> = self
            .names
            .get(name)
            .into_iter()
            .flatten()
            .filter_map(|(number, range)| {
                let list = &self.lists[*number];
                let package = package(&list.text[range.clone()], list)?;
                Some((package.not_automatic, package.version.parse().ok()?, package))
            })
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| b.1.cmp(&a.1)));
        found.into_iter().map(|(.., package)| package).collect()
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

/// What the index keeps of a paragraph.
struct Head<'a> {
    name: &'a str,
    range: Range<usize>,
    provides: Option<&'a str>,
    base: bool,
}

/// Parts of `text` that end with a paragraph, for one core each.
fn pieces(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let (mut pieces, mut start) = (Vec::new(), 0);
    while start < bytes.len() {
        let from = (start + PIECE).min(bytes.len());
        let end = bytes[from..].windows(2).position(|pair| pair == b"\n\n").map_or(bytes.len(), |at| from + at + 2);
        pieces.push(start..end);
        start = end;
    }
    pieces
}

/// The paragraphs in a part of `text`, each line of which is looked at once.
fn heads(text: &str, part: Range<usize>) -> Vec<Head<'_>> {
    let mut heads = Vec::new();
    let new = |start| Head { name: "", range: start..start, provides: None, base: false };
    let mut head = new(part.start);
    let mut at = part.start;
    while at <= part.end {
        let end = text[at..part.end].find('\n').map_or(part.end, |length| at + length);
        let line = &text[at..end];
        if line.is_empty() {
            head.range.end = at.saturating_sub(1).max(head.range.start);
            let done = std::mem::replace(&mut head, new(end + 1));
            if !done.name.is_empty() {
                heads.push(done);
            }
        } else if line.starts_with('P') || line.starts_with('E') {
            match line.split_once(':') {
                Some(("Package", value)) => head.name = value.trim(),
                Some(("Provides", value)) => head.provides = Some(value.trim()),
                Some(("Priority", value)) => head.base |= value.trim() == "required",
                Some(("Essential", value)) => head.base |= value.trim() == "yes",
                _ => {}
            }
        }
        at = end + 1;
    }
    // A last paragraph without a line end after it.
    if !head.name.is_empty() {
        head.range.end = part.end;
        heads.push(head);
    }
    heads
}

fn package(paragraph: &str, origin: &List) -> Option<Package> {
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
        url: format!("{}/{}", origin.archive, fields.get("Filename")?),
        size: fields.get("Size")?.parse().ok()?,
        sha256: digest(fields.get("SHA256")?)?,
        essential: fields.get("Essential") == Some(&"yes"),
        priority: text("Priority").unwrap_or_default(),
        pre_depends: list("Pre-Depends"),
        depends: list("Depends"),
        conflicts,
        replaces: flat("Replaces"),
        provides: fields.get("Provides").map(|value| provides(value)).unwrap_or_default(),
        not_automatic: origin.not_automatic,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(version: &str, digest: &str, not_automatic: bool) -> List {
        let text =
            format!("Package: a\nVersion: {version}\nArchitecture: all\nFilename: a.deb\nSize: 1\nSHA256: {digest}\n");
        List { archive: "file:/a".into(), text: text.into(), not_automatic }
    }

    #[test]
    fn versions_that_are_not_automatic_come_after_all_others() {
        let digest = "0".repeat(64);
        let lists = vec![list("3", &digest, true), list("1", &digest, false), list("2", &digest, false)];
        let versions: Vec<String> = Index::new(lists).versions("a").into_iter().map(|found| found.version).collect();
        assert_eq!(versions, ["2", "1", "3"]);
    }

    #[test]
    fn a_package_whose_digest_is_no_digest_does_not_exist() {
        let upper = "AB".repeat(32);
        let found = Index::new(vec![list("1", &upper, false)]).versions("a");
        assert_eq!(found[0].sha256, upper.to_lowercase());
        for wrong in ["../../../../etc/passwd", "0", &"/".repeat(64)] {
            assert!(Index::new(vec![list("1", wrong, false)]).versions("a").is_empty());
        }
    }

    #[test]
    fn lists_longer_than_a_piece_lose_no_paragraph() {
        let mut text = String::new();
        let mut count = 0;
        while text.len() < 2 * PIECE + PIECE / 2 {
            text.push_str(&format!(
                "Package: p{count}\nVersion: 1\nArchitecture: all\nPriority: {}\nProvides: v{count} (= 2)\n\
                 Description: x\n Package: not this one\nFilename: p\nSize: 1\nSHA256: {:064}\n\n",
                if count % 1000 == 0 { "required" } else { "optional" },
                0
            ));
            count += 1;
        }
        for text in [text.as_str(), text.trim_end()] {
            let index = Index::new(vec![List { archive: "file:/a".into(), text: text.into(), not_automatic: false }]);
            assert_eq!(index.names().count(), count);
            assert!((0..count).all(|number| index.versions(&format!("p{number}")).len() == 1));
            assert_eq!(index.providers(&format!("v{}", count - 1)), [format!("p{}", count - 1)]);
            assert_eq!(index.base.len(), count.div_ceil(1000));
        }
    }
}
