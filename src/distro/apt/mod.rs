//! Debian and its relatives: a root tree from an archive, with no program of the host.
//!
//! In: a [`Context`]. Out: packages chosen from signed indices ([`sources`], [`release`], [`signature`],
//! [`index`], [`resolve`]), unpacked in process ([`deb`], [`unpack`], [`dpkg_database`]) and configured by the image's own dpkg
//! ([`configure`]); later packages through the image's own apt-get ([`packages`]). Not here: what the packages are for.

pub mod ahead;
pub mod archives;
pub mod configure;
pub mod control;
pub mod deb;
pub mod debootstrap;
pub mod dpkg_database;
#[cfg(test)]
mod fixture;
pub mod index;
pub mod initramfs;
pub mod install;
pub mod loan;
pub mod packages;
pub mod relation;
pub mod release;
pub mod resolve;
pub mod signature;
pub mod sources;
pub mod tree;
pub mod turn;
pub mod unpack;

use std::collections::BTreeMap;

use camino::Utf8Path;
use sha2::{Digest, Sha256};

use super::{Bootstrap, Context, DistroError, Private, Resolution, ResolvedPackage};
use crate::event::{Events, Unit};
use crate::store::Store;
use crate::store::download::Fetcher;
use crate::store::packages::hex;
use index::{Index, Package};
use sources::{Settings, Source};

/// Raised when what an equal resolution installs changes.
const FORMAT: &str = "apt-bootstrap 2";

/// Bootstraps Debian.
#[derive(Debug)]
pub struct Apt {
    pub(super) settings: Settings,
    pub(super) wanted: Vec<String>,
    pub(super) arch: String,
    pub(super) store: Store,
    pub(super) fetcher: Fetcher,
}

/// What [`Apt`] decided.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Every package, in the order in which dependencies come first.
    pub packages: Vec<Package>,
    /// How many of `packages` make the smallest tree in which apt and every pre-dependency works; they come first.
    pub base: usize,
    /// Names that were asked for, or that every tree has: apt must not think them superfluous.
    pub manual: Vec<String>,
    /// The sources that go into the image.
    pub sources: Vec<Source>,
}

impl Apt {
    /// Reads the context's options.
    ///
    /// # Errors
    /// For options without sense, a foreign architecture, a proxy that is no URL.
    pub fn new(context: &Context, store: &Store) -> Result<Self, DistroError> {
        let host = host_architecture();
        let arch = if context.arch.is_empty() { host.to_owned() } else { context.arch.clone() };
        if arch != host && !(host == "amd64" && arch == "i386") {
            return Err(DistroError::Architecture { host: host.to_owned(), asked: arch });
        }
        Ok(Self {
            settings: Settings::new(context)?,
            wanted: context.packages.clone(),
            arch,
            store: store.clone(),
            fetcher: Fetcher::new(&context.variables)?,
        })
    }
}

impl Bootstrap for Apt {
    fn resolve(&self, events: &Events) -> Result<Resolution, DistroError> {
        let sources = self.settings.sources()?;
        let keys = signature::Keyring::load(self.settings.keyring.as_deref(), Utf8Path::new("/"))?;
        let mut digest = Sha256::new();
        for part in [FORMAT, self.arch.as_str(), keys.digest()] {
            digest.update(part);
            digest.update([0]);
        }
        let suites = std::thread::scope(|scope| {
            let threads: Vec<_> = sources.iter().map(|source| scope.spawn(|| self.load(source, &keys))).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| Err(panicked())))
                .collect::<Result<Vec<_>, _>>()
        })?;
        let mut archive = Sha256::new();
        let mut lists = Vec::new();
        for (source, (release, found)) in sources.iter().zip(suites) {
            archive.update(source.line());
            archive.update([0]);
            archive.update(release);
            lists.extend(found);
        }
        let index = Index::new(lists);
        let chosen = resolve::resolve(&index, &self.wanted, &self.arch)?;
        for source in &sources {
            digest.update(source.line());
            digest.update([0]);
        }
        let mut packages = Vec::with_capacity(chosen.packages.len());
        let mut download_size = 0;
        for package in &chosen.packages {
            for part in [&package.name, &package.version, &package.architecture, &package.sha256] {
                digest.update(part);
                digest.update([0]);
            }
            if !self.store.has_package(&package.sha256) {
                download_size += package.size;
            }
            packages.push(ResolvedPackage {
                name: package.name.clone(),
                version: package.version.clone(),
                architecture: package.architecture.clone(),
                size: package.size,
            });
        }
        for name in &chosen.manual {
            digest.update(name);
            digest.update([0]);
        }
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        events.progress("resolve", packages.len() as u64, packages.len() as u64, Unit::Items);
        let choice = Choice { packages: chosen.packages, base: chosen.base, manual: chosen.manual, sources };
        Ok(Resolution {
            digest: hex(&digest.finalize()),
            archive: hex(&archive.finalize()),
            packages,
            download_size,
            private: Private::Apt(std::sync::Arc::new(choice)),
        })
    }

    fn install(&self, resolution: &Resolution, root: &Utf8Path, events: &Events) -> Result<(), DistroError> {
        let Private::Apt(choice) = &resolution.private;
        install::install(self, choice, root, events)
    }
}

impl Apt {
    /// The digest of one source's signed head and its verified package lists.
    fn load(&self, source: &Source, keys: &signature::Keyring) -> Result<(String, Vec<index::List>), DistroError> {
        let release = release::fetch(&self.fetcher, source, keys, self.settings.check_dates())?;
        let lists = source
            .components
            .iter()
            .map(|component| index::fetch(&self.store, &self.fetcher, source, &release, component, &self.arch))
            .collect::<Result<_, _>>()?;
        Ok((release.digest, lists))
    }
}

/// The architecture of this machine in Debian's spelling.
pub fn host_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "i386",
        "arm" => "armhf",
        "powerpc64" => "ppc64el",
        other => other,
    }
}

/// `text` in lower case when it is the hex of a sha256: it becomes the name of a file.
pub(super) fn digest(text: &str) -> Option<String> {
    (text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| text.to_ascii_lowercase())
}

pub(super) fn panicked() -> DistroError {
    DistroError::Unsatisfiable("a worker of the package manager panicked; this is a mistake in kiln".into())
}

/// A map of name to position, used where packages refer to each other.
pub(super) fn positions(packages: &[Package]) -> BTreeMap<&str, usize> {
    packages.iter().enumerate().map(|(position, package)| (package.name.as_str(), position)).collect()
}

#[cfg(test)]
mod tests {
    use super::fixture::{archive, deb, key};
    use super::*;

    fn context(folder: &Utf8Path, keyring: &Utf8Path, suite: &str) -> Context {
        let option = |key: &str, value: String| (key.to_owned(), value);
        Context {
            arch: "amd64".into(),
            distribution: "debian".into(),
            options: BTreeMap::from([
                option("sources_conf", format!("default:deb file:{folder} {suite} main")),
                option("keyring", keyring.to_string()),
            ]),
            ..Context::default()
        }
    }

    fn packages() -> Vec<(String, Vec<u8>)> {
        ["apt", "dpkg"]
            .map(|name| {
                let control =
                    format!("Package: {name}\nVersion: 1.0\nArchitecture: amd64\nPriority: required\nDescription: x\n");
                let bytes = deb(&control, &[], &[]);
                (control, bytes)
            })
            .to_vec()
    }

    #[test]
    fn a_local_archive_resolves_and_its_digest_follows_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        let key = key();
        let keyring = archive(folder, "testing", &key, &packages());
        let store = Store::open(&folder.join("store")).unwrap();
        let resolve =
            || Apt::new(&context(folder, &keyring, "testing"), &store).unwrap().resolve(&Events::none()).unwrap();
        let first = resolve();
        assert_eq!(first.packages.iter().map(|package| package.name.as_str()).collect::<Vec<_>>(), ["apt", "dpkg"]);
        assert!(first.download_size > 0);
        let again = resolve();
        assert_eq!((&again.digest, &again.archive), (&first.digest, &first.archive));
        let more = "Package: other\nVersion: 1\nArchitecture: amd64\nDescription: x\n";
        let mut grown = packages();
        grown.push((more.to_owned(), deb(more, &[], &[])));
        archive(folder, "testing", &key, &grown);
        let grown = resolve();
        assert_eq!(grown.digest, first.digest);
        assert_ne!(grown.archive, first.archive);
        let mut other = packages();
        other[0].1 = deb("Package: apt\n", &[], &[]);
        archive(folder, "testing", &key, &other);
        assert_ne!(resolve().digest, first.digest);
    }

    #[test]
    fn a_missing_suite_a_damaged_list_and_a_damaged_package_name_their_files() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        let keyring = archive(folder, "testing", &key(), &packages());
        let store = Store::open(&folder.join("store")).unwrap();
        let missing = Apt::new(&context(folder, &keyring, "bookwrm"), &store).unwrap().resolve(&Events::none());
        let error = missing.unwrap_err().to_string();
        assert!(error.contains("bookwrm/InRelease") && error.contains("trixie"), "{error}");
        let apt = Apt::new(&context(folder, &keyring, "testing"), &store).unwrap();
        let resolution = apt.resolve(&Events::none()).unwrap();
        std::fs::write(folder.join("pool/0.deb"), b"short").unwrap();
        let error = apt.install(&resolution, &folder.join("root"), &Events::none()).unwrap_err().to_string();
        assert!(error.contains("pool/0.deb is 5 bytes long"), "{error}");
        assert!(store.root().join("packages/partial").read_dir_utf8().unwrap().next().is_none());
        let list = folder.join("dists/testing/main/binary-amd64/Packages.gz");
        let store = Store::open(&folder.join("empty")).unwrap();
        let bytes = std::fs::read(&list).unwrap();
        std::fs::write(&list, vec![0; bytes.len()]).unwrap();
        let apt = Apt::new(&context(folder, &keyring, "testing"), &store).unwrap();
        let error = apt.resolve(&Events::none()).unwrap_err().to_string();
        assert!(error.contains("Packages.gz holds other bytes"), "{error}");
        assert!(store.root().join("packages/partial").read_dir_utf8().unwrap().next().is_none());
    }

    #[test]
    fn a_foreign_architecture_is_refused_with_both_names() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Utf8Path::from_path(folder.path()).unwrap()).unwrap();
        let context = Context { arch: "s390x".into(), ..Context::default() };
        let error = Apt::new(&context, &store).unwrap_err().to_string();
        assert!(error.contains("s390x") && error.contains(host_architecture()), "{error}");
    }
}
