//! What scripts bring into an image, through the store.
//!
//! In: addresses with digests or commits, names of secrets. Out: files of the store, verified; texts. What was fetched once is
//! there for every later build, offline too. Not here: who may ask (`script/`).

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;

use camino::{Utf8Path, Utf8PathBuf};

use crate::event::Events;
use crate::sandbox::command::Command;
use crate::store::download::Fetcher;
use crate::store::{Store, StoreError};
use crate::target::TargetError;
use crate::target::outside::{Material, Outside};

/// Bytes of a secret; keys and passwords are short.
pub const SECRET: u64 = 1 << 20;

/// The store as scripts see it.
pub struct Outer {
    /// Where what was fetched is kept.
    pub store: Store,
    /// Variables of the build: proxies.
    pub variables: BTreeMap<String, String>,
    /// Nothing is fetched.
    pub offline: bool,
    /// Secrets' files by name.
    pub secrets: BTreeMap<String, Utf8PathBuf>,
    /// What commands print.
    pub events: Events,
}

impl Outer {
    fn online(&self, what: &str) -> Result<(), TargetError> {
        if self.offline {
            let text = format!("{what} was never fetched, and the build is offline; build it once online");
            return Err(TargetError::new("fetch.offline", text));
        }
        Ok(())
    }

    fn git(&self, folder: &Utf8Path, words: &[&str]) -> Result<(), TargetError> {
        let argv = ["git", "-C", folder.as_str()].into_iter().chain(words.iter().copied());
        let mut command = Command::new(argv);
        // Nobody is there to type a password, and the host's own settings must not decide.
        for (name, value) in [
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_ALLOW_PROTOCOL", "http:https:git:file"),
        ] {
            command = command.env(name, value);
        }
        for name in ["http_proxy", "https_proxy", "no_proxy"] {
            let value = self.variables.get(name).or_else(|| self.variables.get(&name.to_uppercase()));
            command = value.into_iter().fold(command, |command, value| command.env(name, value));
        }
        let fail = |reason: String| TargetError::new("git.failed", format!("git {}: {reason}", words.join(" ")));
        let output = command.quiet().run(&self.events).map_err(|error| fail(error.to_string()))?;
        if output.status == 0 {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(fail(said.trim().lines().next_back().unwrap_or("no word of why").to_owned()))
    }

    /// Makes the archive of `commit` at `archive`.
    fn archive(&self, url: &str, commit: &str, archive: &Utf8Path) -> Result<(), TargetError> {
        let fail = |error: std::io::Error| TargetError::new("git.failed", format!("cannot keep {url}: {error}"));
        let parent = archive.parent().unwrap_or(self.store.root());
        fs::create_dir_all(parent).map_err(fail)?;
        let work = tempfile::Builder::new().prefix(".git-").tempdir_in(parent).map_err(fail)?;
        let folder = Utf8Path::from_path(work.path()).ok_or_else(|| fail(std::io::Error::other("not UTF-8")))?;
        self.git(folder, &["init", "--quiet", "--bare"])?;
        if self.git(folder, &["fetch", "--quiet", "--depth=1", url, commit]).is_err() {
            // A server that gives only what its names point to has it among their ancestors.
            self.git(folder, &["fetch", "--quiet", url, "+refs/*:refs/remotes/all/*"])?;
        }
        let tree = format!("{commit}^{{commit}}");
        let made = folder.join("tree.tar");
        self.git(folder, &["archive", "--format=tar", "-o", made.as_str(), &tree])?;
        fs::rename(&made, archive).map_err(fail)
    }
}

impl Outside for Outer {
    fn fetch(&self, url: &str, sha256: &str) -> Result<Material, TargetError> {
        let known = self.store.has_package(sha256);
        if !known {
            self.online(url)?;
        }
        let fail = |error: StoreError| {
            let code = if matches!(error, StoreError::Digest { .. }) { "fetch.digest" } else { "fetch.failed" };
            TargetError::new(code, error.to_string())
        };
        let fetcher = Fetcher::new(&self.variables).map_err(fail)?;
        let file = self.store.fetch(&fetcher, &[url.to_owned()], sha256, None, &|_| {}).map_err(fail)?;
        Ok(Material { file, name: url.to_owned(), pretended: false })
    }

    fn checkout(&self, url: &str, commit: &str) -> Result<Material, TargetError> {
        // A commit names its content: where it came from does not matter.
        let file = self.store.root().join("git").join(format!("{commit}.tar"));
        if !file.is_file() {
            self.online(url)?;
            self.archive(url, commit, &file)?;
        }
        Ok(Material { file, name: format!("{url} at {commit}"), pretended: false })
    }

    fn secret(&self, id: &str) -> Result<String, TargetError> {
        let Some(file) = self.secrets.get(id) else {
            let text = format!("the build was given no secret `{id}`: name its file with `--secret {id}=FILE`");
            return Err(TargetError::new("secrets.missing", text));
        };
        read_secret(file)
            .map_err(|error| TargetError::new("secrets.missing", format!("cannot read the secret `{id}`: {error}")))
    }
}

/// The text of a secret's file, without a line feed at its end.
pub fn read_secret(file: &Utf8Path) -> std::io::Result<String> {
    let mut text = String::new();
    fs::File::open(file)?.take(SECRET + 1).read_to_string(&mut text)?;
    if text.len() as u64 > SECRET {
        return Err(std::io::Error::other(format!("{file} is larger than {} MiB", SECRET >> 20)));
    }
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outer(folder: &tempfile::TempDir) -> Outer {
        let root = Utf8Path::from_path(folder.path()).unwrap();
        Outer {
            store: Store::open(&root.join("store")).unwrap(),
            variables: BTreeMap::new(),
            offline: false,
            secrets: BTreeMap::new(),
            events: Events::none(),
        }
    }

    #[test]
    fn a_download_is_verified_and_then_there_without_a_network() {
        let folder = tempfile::tempdir().unwrap();
        let mut outer = outer(&folder);
        let file = folder.path().join("a");
        fs::write(&file, "content").unwrap();
        let url = format!("file:{}", file.display());
        let digest = crate::store::packages::sha256(b"content");
        assert_eq!(outer.fetch(&url, &"0".repeat(64)).unwrap_err().code, "fetch.digest");
        assert_eq!(fs::read(outer.fetch(&url, &digest).unwrap().file).unwrap(), b"content");
        fs::remove_file(&file).unwrap();
        outer.offline = true;
        assert_eq!(fs::read(outer.fetch(&url, &digest).unwrap().file).unwrap(), b"content");
        assert_eq!(outer.fetch(&url, &"1".repeat(64)).unwrap_err().code, "fetch.offline");
    }

    #[test]
    fn a_commit_is_fetched_once_and_is_what_it_names() {
        let folder = tempfile::tempdir().unwrap();
        let mut outer = outer(&folder);
        let repository = Utf8Path::from_path(folder.path()).unwrap().join("repository");
        fs::create_dir_all(repository.join("sub")).unwrap();
        let git = |words: &[&str]| outer.git(&repository, words).unwrap();
        git(&["init", "--quiet"]);
        fs::write(repository.join("sub/file"), "first").unwrap();
        git(&["add", "."]);
        let commit = ["-c", "user.name=a", "-c", "user.email=a@example", "commit", "--quiet", "-m"];
        git(&[&commit[..], &["one"]].concat());
        let words = ["git", "-C", repository.as_str(), "rev-parse", "HEAD"];
        let id = Command::new(words).quiet().run(&Events::none()).unwrap().stdout;
        let id = String::from_utf8(id).unwrap().trim().to_owned();
        fs::write(repository.join("sub/file"), "second").unwrap();
        git(&[&commit[..], &["two", "-a"]].concat());
        let url = format!("file://{repository}");
        let material = outer.checkout(&url, &id).unwrap();
        let mut archive = tar::Archive::new(fs::File::open(&material.file).unwrap());
        let mut texts = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            if entry.header().entry_type().is_file() {
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                texts.push((entry.path().unwrap().to_string_lossy().into_owned(), text));
            }
        }
        assert_eq!(texts, [("sub/file".to_owned(), "first".to_owned())]);
        fs::remove_dir_all(&repository).unwrap();
        outer.offline = true;
        assert_eq!(outer.checkout(&url, &id).unwrap(), material);
        assert_eq!(outer.checkout(&url, &"0".repeat(40)).unwrap_err().code, "fetch.offline");
        outer.offline = false;
        assert_eq!(outer.checkout(&url, &"0".repeat(40)).unwrap_err().code, "git.failed");
        // Nothing half made is left.
        let left: Vec<_> = fs::read_dir(outer.store.root().join("git")).unwrap().collect();
        assert_eq!(left.len(), 1);
    }

    #[test]
    fn a_secret_is_a_files_text_without_its_last_line_feed() {
        let folder = tempfile::tempdir().unwrap();
        let mut outer = outer(&folder);
        assert_eq!(outer.secret("word").unwrap_err().code, "secrets.missing");
        let file = Utf8PathBuf::from_path_buf(folder.path().join("word")).unwrap();
        outer.secrets.insert("word".into(), file.clone());
        assert_eq!(outer.secret("word").unwrap_err().code, "secrets.missing");
        fs::write(&file, "a\nb\n").unwrap();
        assert_eq!(outer.secret("word").unwrap(), "a\nb");
    }
}
