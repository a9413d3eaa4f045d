//! The image's own package manager, called inside the image.
//!
//! In: how one manager is called ([`Words`]), names of packages. Out: a changed tree. No questions, no recommendations. Indices are
//! read before the first installation and after repositories have changed. Not here: trees made from nothing (`apt`), words of
//! one manager (its own file).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Context;
use crate::event::Events;
use crate::sandbox::chroot::Chroot;
use crate::sandbox::command::{Command, Output};
use crate::target::{Packages, TargetError};

/// How a package manager is called.
#[derive(Debug)]
pub struct Words {
    /// Its name, for messages.
    pub name: &'static str,
    /// Its program, by names that it has had; the first one that the image has is called.
    pub programs: &'static [&'static str],
    /// Reads the indices of all repositories.
    pub refresh: &'static [&'static str],
    /// Installs the packages whose names follow.
    pub install: &'static [&'static str],
    /// Removes the packages whose names follow.
    pub remove: &'static [&'static str],
    /// Brings everything up to date.
    pub update: &'static [&'static str],
    /// A whole command that says something of the installed package whose name follows; it fails when it is not installed.
    pub query: &'static [&'static str],
    /// The version in what `query` prints for a package of this name.
    pub version: fn(output: &str, name: &str) -> Option<String>,
    /// What it says, in part, of a package that no repository has.
    pub missing: &'static [&'static str],
}

/// The package manager of one tree.
#[derive(Debug)]
pub struct Driver {
    words: &'static Words,
    chroot: Chroot,
    proxies: BTreeMap<String, String>,
    events: Events,
    /// The indices are older than the list of repositories.
    stale: AtomicBool,
    /// Managers lock their databases, but two hooks at once would fail instead of waiting.
    turn: Mutex<()>,
}

impl Driver {
    /// The manager that `words` call, inside `chroot`.
    pub fn new(words: &'static Words, context: &Context, chroot: &Chroot, events: Events) -> Self {
        let proxies = ["http_proxy", "https_proxy", "no_proxy", "ftp_proxy"].into_iter().filter_map(|name| {
            let value = context.variables.get(name).or_else(|| context.variables.get(&name.to_uppercase()))?;
            Some((name.to_owned(), value.clone()))
        });
        Self {
            words,
            chroot: chroot.clone().with_network(),
            proxies: proxies.collect(),
            events,
            stale: AtomicBool::new(true),
            turn: Mutex::new(()),
        }
    }

    fn output(&self, argv: impl IntoIterator<Item = String>, quiet: bool) -> Result<Output, TargetError> {
        let command = Command::new(argv).inside(&self.chroot);
        let command = self.proxies.iter().fold(command, |command, (name, value)| command.env(name, value));
        let command = if quiet { command.quiet() } else { command };
        command.run(&self.events).map_err(|error| TargetError::new("command.failed", error.to_string()))
    }

    fn program(&self) -> &'static str {
        let has = |program: &&&str| {
            ["usr/bin", "usr/sbin", "bin", "sbin"]
                .iter()
                .any(|folder| self.chroot.root().join(folder).join(program).exists())
        };
        self.words.programs.iter().find(has).or(self.words.programs.first()).copied().unwrap_or(self.words.name)
    }

    fn run(&self, attempt: &str, words: &[&str], names: &[String]) -> Result<(), TargetError> {
        let argv = std::iter::once(self.program()).chain(words.iter().copied()).map(str::to_owned);
        let output = self.output(argv.chain(names.iter().cloned()), false)?;
        if output.status == 0 {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let telling = lines.iter().copied().filter(|line| self.words.missing.iter().any(|text| line.contains(text)));
        let telling: Vec<&str> = telling.collect();
        let missing = !telling.is_empty();
        let shown = if missing { telling } else { lines[lines.len().saturating_sub(5)..].to_vec() };
        let code = if missing { "packages.missing" } else { "command.failed" };
        let (name, status) = (self.words.name, output.status);
        Err(TargetError::new(
            code,
            format!("cannot {attempt}: {name} ended with status {status}: {}", shown.join("; ")),
        ))
    }

    fn fresh(&self) -> Result<(), TargetError> {
        if self.stale.swap(false, Ordering::Relaxed) {
            let read = self.run("read the image's package indices", self.words.refresh, &[]);
            if read.is_err() {
                self.stale.store(true, Ordering::Relaxed);
            }
            return read;
        }
        Ok(())
    }
}

impl Packages for Driver {
    fn install(&self, names: &[String]) -> Result<(), TargetError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.fresh()?;
        self.run(&format!("install {}", names.join(" ")), self.words.install, names)
    }

    fn remove(&self, names: &[String]) -> Result<(), TargetError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // What is not installed is removed already, which most managers take for a mistake.
        let mut there = Vec::new();
        for name in names {
            if self.version(name)?.is_some() {
                there.push(name.clone());
            }
        }
        if there.is_empty() {
            return Ok(());
        }
        self.run(&format!("remove {}", there.join(" ")), self.words.remove, &there)
    }

    fn update(&self) -> Result<(), TargetError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.fresh()?;
        self.run("update the installed packages", self.words.update, &[])
    }

    fn version(&self, name: &str) -> Result<Option<String>, TargetError> {
        let argv = self.words.query.iter().map(|word| (*word).to_owned()).chain([name.to_owned()]);
        let output = self.output(argv, true)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(if output.status == 0 { (self.words.version)(text.trim(), name) } else { None })
    }

    fn repositories_changed(&self) {
        self.stale.store(true, Ordering::Relaxed);
    }
}
