//! What debootstrap(8) makes, by way of kiln's own bootstrap: the variant `minbase`.
//!
//! In: debootstrap's words. Out: the tree that it would make of them, file by file, but for its log. Words that are not known here
//! are not guessed at: [`Request::read`] gives nothing then. Not here: who asks, and what happens to other words.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::PermissionsExt;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::FileType;

use super::index::List;
use super::signature::Keyring;
use super::tree::{Attributes, Tree};
use super::{Apt, Choice, control};
use crate::distro::{Bootstrap, Context, DistroError, Private};
use crate::event::Events;
use crate::store::Store;

/// What debootstrap was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    arch: String,
    components: String,
    keyring: Option<String>,
    suite: String,
    target: Utf8PathBuf,
    mirror: String,
}

/// Releases of Debian whose trees were compared with debootstrap's.
const KNOWN: [&str; 1] = ["bookworm"];

/// Bytes that an InRelease may have.
const HEAD: u64 = 16 << 20;

impl Request {
    /// Reads debootstrap's words; nothing when they ask for something else than `minbase` of a known release.
    pub fn read(words: &[String]) -> Option<Self> {
        let (mut arch, mut components, mut keyring, mut variant) = (None, "main".to_owned(), None, None);
        let mut rest = Vec::new();
        for word in words {
            match word.split_once('=') {
                Some(("--arch", value)) => arch = Some(value.to_owned()),
                Some(("--components", value)) => components = value.to_owned(),
                Some(("--keyring", value)) => keyring = Some(value.to_owned()),
                Some(("--variant", value)) => variant = Some(value),
                _ if word == "--verbose" => {}
                _ if word.starts_with('-') => return None,
                _ => rest.push(word),
            }
        }
        let [suite, target, mirror] = rest[..] else { return None };
        let fits = variant == Some("minbase") && KNOWN.contains(&suite.as_str()) && target.starts_with('/');
        let plain = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
        let mirror = mirror.trim_end_matches('/').to_owned();
        let is_web = mirror.starts_with("http://") || mirror.starts_with("https://");
        if !fits || !is_web || !plain(&mirror) || !plain(&components) {
            return None;
        }
        let target = Utf8PathBuf::from(target);
        Some(Self { arch: arch?, components, keyring, suite: suite.clone(), target, mirror })
    }

    /// Makes the tree. `variables` tell the proxy.
    ///
    /// # Errors
    /// The first thing that went wrong.
    pub fn run(&self, variables: &BTreeMap<String, String>, store: &Store, events: &Events) -> Result<(), DistroError> {
        let components = self.components.replace(',', " ");
        let line = format!("deb {} {} {components}", self.mirror, self.suite);
        let option = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut options = BTreeMap::from([
            option("sources_conf", &format!("default:{line}")),
            // debootstrap does not look at Valid-Until.
            option("check_dates", "false"),
        ]);
        options.extend(self.keyring.as_deref().map(|path| option("keyring", path)));
        let context = Context {
            arch: self.arch.clone(),
            distribution: "debian".into(),
            options,
            variables: variables.clone(),
            packages: Vec::new(),
        };
        let apt = Apt::new(&context, store)?;
        let mut resolution = apt.resolve(events)?;
        let Private::Apt(choice) = &resolution.private;
        // To apt, every package of debootstrap was asked for.
        let manual = choice.packages.iter().map(|package| package.name.clone()).collect();
        resolution.private = Private::Apt(std::sync::Arc::new(Choice { manual, ..Choice::clone(choice) }));
        let keys = Keyring::load(apt.settings.keyring.as_deref(), Utf8Path::new("/"))?;
        let sources = apt.settings.sources()?;
        let mut lists = Vec::new();
        for source in &sources {
            lists.extend(apt.load(source, &keys)?.1);
        }
        // What is in it was verified a moment ago, and apt will do so again.
        let head = apt.fetcher.bytes(&sources[0].dists("InRelease"), HEAD)?;
        apt.install(&resolution, &self.target, events)?;
        let Private::Apt(choice) = &resolution.private;
        let finished = self.finish(&line).and_then(|()| self.remember(choice, &lists));
        let finished = finished.and_then(|()| self.leave_archives(choice, store));
        let finished = finished.and_then(|()| self.leave_lists(&head, &lists));
        finished.map_err(|source| DistroError::File {
            action: "write what debootstrap writes in",
            path: self.target.clone(),
            source,
        })
    }

    /// What no package brings.
    fn finish(&self, line: &str) -> io::Result<()> {
        let tree = Tree::open(&self.target)?;
        for path in [
            "etc/apt/sources.list.d/default.list",
            "etc/apt/trusted.gpg.d/kiln.gpg",
            "etc/apt/trusted.gpg.d/kiln.asc",
            "var/lib/apt/extended_states",
        ] {
            if tree.has(path) {
                tree.remove(path)?;
            }
        }
        tree.put("etc/apt/sources.list", format!("{line}\n").as_bytes(), 0o644)?;
        tree.put("etc/fstab", b"# UNCONFIGURED FSTAB FOR BASE SYSTEM\n", 0o644)?;
        // Nothing went through it, but whoever looks for the log finds the file.
        tree.put("var/log/bootstrap.log", b"", 0o644)?;
        // The host's, for commands that ask the network meanwhile.
        for name in ["resolv.conf", "hostname"] {
            let path = Utf8Path::new("/etc").join(name);
            if let Ok(text) = std::fs::read(&path) {
                let mode = path.metadata()?.permissions().mode() & 0o755;
                tree.put(&format!("etc/{name}"), &text, mode)?;
            }
        }
        // util-linux's mount leaves its folder behind.
        tree.make_dir(b"run/mount")?;
        for (name, minor) in [("tty", 0), ("console", 1), ("ptmx", 2)] {
            let attributes = Attributes { mode: 0o666, ..Attributes::default() };
            let path = format!("dev/{name}");
            match tree.node(path.as_bytes(), FileType::CharacterDevice, (5, minor), attributes) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                other => other?,
            }
        }
        for (number, name) in ["stdin", "stdout", "stderr"].into_iter().enumerate() {
            let to = format!("/proc/self/fd/{number}");
            tree.symlink(to.as_bytes(), format!("dev/{name}").as_bytes(), Attributes::default())?;
        }
        Ok(())
    }

    /// What dpkg learns from debootstrap: the index's word on each package, which counts for its priority and section.
    fn remember(&self, choice: &Choice, lists: &[List]) -> io::Result<()> {
        let chosen: BTreeSet<(&str, &str)> =
            choice.packages.iter().map(|package| (package.name.as_str(), package.version.as_str())).collect();
        let mut available = String::new();
        let mut known = BTreeMap::new();
        for paragraph in lists.iter().flat_map(|list| control::paragraphs(&list.text)) {
            let field = |name| control::field(paragraph, name);
            let (Some(name), Some(version)) = (field("Package"), field("Version")) else { continue };
            if chosen.contains(&(name, version)) && known.insert(name, paragraph).is_none() {
                available.push_str(paragraph.trim_end_matches('\n'));
                available.push_str("\n\n");
            }
        }
        let tree = Tree::open(&self.target)?;
        tree.put("var/lib/dpkg/available", available.as_bytes(), 0o644)?;
        let path = "var/lib/dpkg/status";
        let status = std::fs::read_to_string(self.target.join(path))?;
        let mut text = String::with_capacity(status.len());
        let mut paragraph = None;
        for line in status.lines() {
            let changed = match line.split_once(": ") {
                Some(("Package", name)) => {
                    paragraph = known.get(name);
                    None
                }
                Some((name @ ("Priority" | "Section"), _)) => paragraph
                    .and_then(|paragraph| control::field(paragraph, name))
                    .map(|word| format!("{name}: {word}")),
                _ => None,
            };
            text.push_str(changed.as_deref().unwrap_or(line));
            text.push('\n');
        }
        tree.put(path, text.as_bytes(), 0o644)
    }

    /// What the archive says of itself, where apt keeps it and under its names for it.
    fn leave_lists(&self, head: &[u8], lists: &[List]) -> io::Result<()> {
        let tree = Tree::open(&self.target)?;
        let place = self.mirror.split_once("://").map_or(self.mirror.as_str(), |(_, place)| place);
        let name = format!("var/lib/apt/lists/{}_dists_{}", place.replace('/', "_"), self.suite);
        tree.put(&format!("{name}_InRelease"), head, 0o644)?;
        for (component, list) in self.components.split(',').zip(lists) {
            let packages = format!("{name}_{component}_binary-{}_Packages", self.arch);
            tree.put(&packages, list.text.as_bytes(), 0o644)?;
        }
        Ok(())
    }

    /// The archives, where apt keeps them and under its names for them.
    fn leave_archives(&self, choice: &Choice, store: &Store) -> io::Result<()> {
        let tree = Tree::open(&self.target)?;
        for package in &choice.packages {
            let version = package.version.replace(':', "%3a");
            let name = format!("var/cache/apt/archives/{}_{version}_{}.deb", package.name, package.architecture);
            tree.put(&name, &std::fs::read(store.package_path(&package.sha256))?, 0o644)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str) -> Option<Request> {
        Request::read(&words.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn words_that_are_understood_are_those_of_a_plain_minbase() {
        let plain = "--verbose --variant=minbase --components=main,contrib --arch=amd64 bookworm /t http://m/debian/";
        let request = read(plain).unwrap();
        assert_eq!((request.mirror.as_str(), request.target.as_str()), ("http://m/debian", "/t"));
        assert_eq!((request.arch.as_str(), request.components.as_str()), ("amd64", "main,contrib"));
        for other in [
            "--variant=minbase --arch=amd64 --include=x bookworm /t http://m/debian",
            "--variant=buildd --arch=amd64 bookworm /t http://m/debian",
            "--arch=amd64 bookworm /t http://m/debian",
            "--variant=minbase bookworm /t http://m/debian",
            "--variant=minbase --arch=amd64 jammy /t http://m/ubuntu",
            "--variant=minbase --arch=amd64 bookworm /t http://m/debian script",
            "--variant=minbase --arch=amd64 bookworm t http://m/debian",
            "--variant=minbase --arch=amd64 bookworm /t file:/m",
            "--version",
            "--foreign --variant=minbase --arch=amd64 bookworm /t http://m/debian",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
