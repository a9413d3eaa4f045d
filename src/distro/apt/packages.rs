//! Packages installed later, by the image's own apt-get.
//!
//! In: names. Out: a changed tree. Lists are fetched once, when there are none. Each run has an archives folder of its own
//! (`archives`), filled from the store and taken back into it. No questions, no recommendations, no services. Not here: the
//! bootstrap.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};

use super::archives::{self, Archives};
use super::configure::{DPKG_OPTIONS, Quiet, command};
use super::tree::Tree;
use crate::distro::{Context, DistroError};
use crate::event::Events;
use crate::sandbox::chroot::Chroot;
use crate::sandbox::command::{Command, Output};
use crate::store::Store;
use crate::target::{Packages, TargetError};

/// Where apt-get keeps archives inside the image.
const ARCHIVES: &str = "/var/cache/apt/archives";

/// The apt-get of one tree.
#[derive(Debug)]
pub struct AptGet {
    root: Utf8PathBuf,
    store: Store,
    proxies: BTreeMap<String, String>,
    check_dates: bool,
    events: Events,
    /// apt-get locks its own state, but two hooks at once would fail instead of waiting.
    turn: Mutex<()>,
    /// The lists are older than the list of repositories.
    stale: AtomicBool,
}

impl AptGet {
    /// The apt-get of the tree at `root`; its archives are kept in `store`.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn new(context: &Context, store: &Store, root: &Utf8Path, events: Events) -> Result<Self, DistroError> {
        let proxies = ["http_proxy", "https_proxy", "no_proxy", "ftp_proxy"]
            .into_iter()
            .filter_map(|name| {
                let value = context.variables.get(name).or_else(|| context.variables.get(&name.to_uppercase()))?;
                Some((name.to_owned(), value.clone()))
            })
            .collect();
        let check_dates = super::sources::Settings::new(context)?.check_dates();
        Ok(Self {
            root: root.to_owned(),
            store: store.clone(),
            proxies,
            check_dates,
            events,
            turn: Mutex::new(()),
            stale: AtomicBool::new(false),
        })
    }

    fn apt_get(&self, archives: &Archives, words: &[String]) -> Command {
        let options = [
            "--yes".to_owned(),
            "--no-install-recommends".into(),
            "-oAPT::Keep-Downloaded-Packages=true".into(),
            "-oBinary::apt-get::APT::Keep-Downloaded-Packages=true".into(),
            // An image's docker-clean and the like would remove what the store is to keep.
            "-oDPkg::Post-Invoke=".into(),
            "-oAPT::Sandbox::User=root".into(),
            format!("-oAcquire::Check-Valid-Until={}", self.check_dates),
        ];
        let dpkg = DPKG_OPTIONS.map(|option| format!("-oDpkg::Options::={option}"));
        let argv = ["apt-get".to_owned()].into_iter().chain(options).chain(dpkg).chain(words.iter().cloned());
        let mut chroot = Chroot::new(&self.root).with_network();
        if Tree::open(&self.root).and_then(|tree| tree.make_dir(&ARCHIVES.as_bytes()[1..])).is_ok() {
            chroot = chroot.with_bind(archives.path(), Utf8Path::new(ARCHIVES), false);
        }
        self.proxies
            .iter()
            .fold(command(&self.root, argv).inside(&chroot), |command, (key, value)| command.env(key, value))
    }

    fn run(&self, attempt: &str, words: &[String]) -> Result<(), TargetError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let _quiet = Quiet::new(&self.root).map_err(|error| failed("io.failed", &error.to_string()))?;
        let archives = Archives::new(&self.root).map_err(|error| failed("io.failed", &error.to_string()))?;
        let mut wanted = Vec::new();
        if words[0] != "remove" {
            self.update_lists(&archives)?;
            // What cannot be installed is not printed; the run itself then says why.
            let plan = ["--print-uris", "-qq", "-oAcquire::ForceHash=SHA256"].map(str::to_owned);
            let plan = self.output(&self.apt_get(&archives, &[&plan, words].concat()).quiet())?;
            if plan.status == 0 {
                wanted = archives::printed(&String::from_utf8_lossy(&plan.stdout));
            }
            archives.fill(&self.store, &wanted);
        }
        let output = self.output(&self.apt_get(&archives, words))?;
        archives.keep(&self.store, &wanted);
        if output.status == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let missing = text.contains("Unable to locate package") || text.contains("has no installation candidate");
        let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("E:")).collect();
        let errors = if errors.is_empty() { text.lines().rev().take(5).collect::<Vec<_>>() } else { errors };
        let code = if missing { "packages.missing" } else { "command.failed" };
        Err(failed(
            code,
            &format!("cannot {attempt}: apt-get ended with status {}: {}", output.status, errors.join("; ")),
        ))
    }

    /// Fetches the package lists when there are none.
    fn update_lists(&self, archives: &Archives) -> Result<(), TargetError> {
        let lists = self.root.join("var/lib/apt/lists");
        let there = lists
            .read_dir_utf8()
            .is_ok_and(|entries| entries.filter_map(Result::ok).any(|entry| entry.file_name().contains("_dists_")));
        if there && !self.stale.load(Ordering::Relaxed) {
            return Ok(());
        }
        let words = ["update", "-oAPT::Update::Error-Mode=any", "-oAcquire::Languages=none"].map(str::to_owned);
        let output = self.output(&self.apt_get(archives, &words))?;
        if output.status == 0 {
            self.stale.store(false, Ordering::Relaxed);
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("E:")).collect();
        Err(failed("command.failed", &format!("cannot fetch the image's package lists: {}", errors.join("; "))))
    }

    fn output(&self, command: &Command) -> Result<Output, TargetError> {
        command.run(&self.events).map_err(|error| failed("command.failed", &error.to_string()))
    }
}

fn failed(code: &'static str, message: &str) -> TargetError {
    TargetError { code, message: message.to_owned() }
}

impl Packages for AptGet {
    fn install(&self, names: &[String]) -> Result<(), TargetError> {
        if names.is_empty() {
            return Ok(());
        }
        let words: Vec<String> = ["install".to_owned()].into_iter().chain(names.iter().cloned()).collect();
        self.run(&format!("install {}", names.join(" ")), &words)
    }

    fn remove(&self, names: &[String]) -> Result<(), TargetError> {
        if names.is_empty() {
            return Ok(());
        }
        let words: Vec<String> = ["remove".to_owned()].into_iter().chain(names.iter().cloned()).collect();
        self.run(&format!("remove {}", names.join(" ")), &words)
    }

    fn update(&self) -> Result<(), TargetError> {
        self.run("update the installed packages", &["dist-upgrade".to_owned()])
    }

    fn version(&self, name: &str) -> Result<Option<String>, TargetError> {
        let argv = ["dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Version}\\n", name];
        let output = self.output(&command(&self.root, argv).quiet())?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().find_map(|line| line.strip_prefix("installed ")).map(str::to_owned))
    }

    fn repositories_changed(&self) {
        self.stale.store(true, Ordering::Relaxed);
    }
}
