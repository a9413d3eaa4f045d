//! From a choice of packages to a tree.
//!
//! In: a [`Choice`], an empty folder. Out: a tree in which every package is configured. Two stages: the base (Essential, required,
//! apt, and what must be configured before something else is unpacked) is unpacked whole and then configured; the rest has its
//! `preinst` scripts run, is unpacked and configured in one go. Downloads run beside all of this. Not here: which packages.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use camino::Utf8Path;
use crossbeam_channel::{Receiver, Sender, unbounded};

use super::ahead::{Ahead, WORTH};
use super::configure::{self, Quiet};
use super::deb::{Control, Deb};
use super::dpkg_database::Database;
use super::index::Package;
use super::signature;
use super::tree::{Attributes, Tree};
use super::unpack::{Unpacked, Unpacker};
use super::{Apt, Choice};
use crate::distro::DistroError;
use crate::event::{Event, Events, Level, Unit};
use crate::store::packages::sha256;

/// Connections at once.
const DOWNLOADS: usize = 8;

/// Links of the tree's top that lead into `/usr`.
const MERGED: [&str; 3] = ["bin", "lib", "sbin"];

/// How long to wait for another archive to arrive.
const ARRIVAL: Duration = Duration::from_millis(50);

type Arrival = Result<usize, DistroError>;

/// Installs `choice` into `root`.
///
/// # Errors
/// The first thing that went wrong.
pub fn install(apt: &Apt, choice: &Choice, root: &Utf8Path, events: &Events) -> Result<(), DistroError> {
    std::fs::create_dir_all(root).map_err(|source| DistroError::File {
        action: "make",
        path: root.to_owned(),
        source,
    })?;
    let work = Work { apt, choice, root, events, stop: AtomicBool::new(false) };
    let (base_sender, base) = unbounded();
    let (rest_sender, rest) = unbounded();
    let (next, done, order) = (AtomicUsize::new(0), AtomicU64::new(0), work.download_order());
    std::thread::scope(|scope| {
        for _ in 0..DOWNLOADS {
            let (base, rest) = (base_sender.clone(), rest_sender.clone());
            scope.spawn(|| {
                let (base, rest) = (base, rest);
                work.download(&order, &next, &done, &base, &rest);
            });
        }
        drop((base_sender, rest_sender));
        let outcome = work.stages(&base, &rest);
        work.stop.store(true, Ordering::Relaxed);
        outcome
    })
}

struct Work<'a> {
    apt: &'a Apt,
    choice: &'a Choice,
    root: &'a Utf8Path,
    events: &'a Events,
    stop: AtomicBool,
}

impl Work<'_> {
    /// The base first; within a stage the largest first, so that no thread ends with the kernel alone.
    fn download_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.choice.packages.len()).collect();
        order.sort_by_key(|at| (*at >= self.choice.base, std::cmp::Reverse(self.choice.packages[*at].size)));
        order
    }

    fn download(
        &self,
        order: &[usize],
        next: &AtomicUsize,
        done: &AtomicU64,
        base: &Sender<Arrival>,
        rest: &Sender<Arrival>,
    ) {
        let total = self.choice.packages.iter().map(|package| package.size).sum();
        loop {
            let Some(at) = order.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let package = &self.choice.packages[*at];
            let progress = |bytes| {
                let done = done.fetch_add(bytes, Ordering::Relaxed) + bytes;
                self.events.progress("download", done, total, Unit::Bytes);
            };
            let urls = std::slice::from_ref(&package.url);
            let arrival = self
                .apt
                .store
                .fetch(&self.apt.fetcher, urls, &package.sha256, Some(package.size), &progress)
                .map(|_| *at)
                .map_err(DistroError::from);
            let sender = if *at < self.choice.base { base } else { rest };
            if sender.send(arrival).is_err() {
                return;
            }
        }
    }

    fn stages(&self, base: &Receiver<Arrival>, rest: &Receiver<Arrival>) -> Result<(), DistroError> {
        let clock = Clock::new(self.events);
        self.merge_usr()?;
        let mut unpacker = Unpacker::new(self.root, &self.choice.packages);
        let (first, second) = self.choice.packages.split_at(self.choice.base);
        let mut unpacked = self.parallel(base, first.len(), |at, bytes| Ok((at, unpacker.unpack(at, bytes, None)?)))?;
        unpacked.sort_by_key(|(at, _)| *at);
        let database = Database::open(self.root)?;
        database.add_unpacked(&unpacked, &unpacker.finish()?)?;
        clock.lap("base: download and unpack");
        let quiet = Quiet::new(self.root)?;
        let ahead = Ahead::default();
        std::thread::scope(|scope| {
            scope.spawn(|| self.decompress(&ahead));
            let outcome = self
                .settle(&unpacked, first)
                .map(|()| clock.lap("base: configure"))
                .and_then(|()| self.unpack_rest(rest, &mut unpacker, &database, &ahead, &clock));
            if outcome.is_err() {
                self.stop.store(true, Ordering::Relaxed);
            }
            ahead.stop();
            outcome
        })?;
        configure::configure(self.root, &second.iter().collect::<Vec<_>>(), self.events)?;
        drop(quiet);
        clock.lap("rest: configure");
        self.finish(&database)
    }

    /// Runs the `preinst` scripts of what is not in the base, unpacks it and records it.
    fn unpack_rest(
        &self,
        rest: &Receiver<Arrival>,
        unpacker: &mut Unpacker<'_>,
        database: &Database,
        ahead: &Ahead,
        clock: &Clock<'_>,
    ) -> Result<(), DistroError> {
        let count = self.choice.packages.len() - self.choice.base;
        let mut controls = self.parallel(rest, count, |at, bytes| {
            let package = &self.choice.packages[at];
            Ok((at, Deb::new(&package.url, bytes)?.control_of(package)?))
        })?;
        controls.sort_by_key(|(at, _)| *at);
        for (_, control) in &controls {
            database.add_control(control)?;
        }
        clock.lap("rest: download");
        self.preinst(controls.iter().map(|(at, control)| (*at, control)))?;
        clock.lap("rest: preinst");
        ahead.stop();
        unpacker.read_diversions();
        let (sender, again) = unbounded();
        for at in self.rest_order() {
            let _ = sender.send(Ok(at));
        }
        let unpack = |at, bytes: &[u8]| Ok((at, unpacker.unpack(at, bytes, ahead.take(at))?));
        let mut unpacked = self.parallel(&again, count, unpack)?;
        unpacked.sort_by_key(|(at, _)| *at);
        database.add_unpacked(&unpacked, &unpacker.finish()?)?;
        clock.lap("rest: unpack");
        Ok(())
    }

    /// What is not in the base, the largest first.
    fn rest_order(&self) -> Vec<usize> {
        self.download_order().into_iter().filter(|at| *at >= self.choice.base).collect()
    }

    /// Decompresses what is large and has arrived, beside the base's configuration.
    fn decompress(&self, ahead: &Ahead) {
        let folder = self.root.parent().unwrap_or(self.root);
        let mut order = self.rest_order();
        order.retain(|at| self.choice.packages[*at].size >= WORTH);
        let mut ready = 0;
        while ahead.goes_on() && !self.stop.load(Ordering::Relaxed) && Ahead::has_room(ready) {
            let here = |at: &usize| self.apt.store.has_package(&self.choice.packages[*at].sha256);
            let Some(next) = order.iter().position(here) else {
                if order.is_empty() {
                    return;
                }
                std::thread::sleep(ARRIVAL);
                continue;
            };
            let at = order.remove(next);
            ready += ahead.prepare(at, folder, &self.stop, |sink| {
                let url = &self.choice.packages[at].url;
                let Ok(bytes) = self.bytes(at) else { return };
                if let Ok(mut data) = Deb::new(url, &bytes).and_then(|deb| deb.data()) {
                    let _ = sink(&mut data);
                }
            });
        }
    }

    /// Runs the base's scripts.
    fn settle(&self, unpacked: &[(usize, Unpacked)], packages: &[Package]) -> Result<(), DistroError> {
        // What base packages' scripts expect before anything is configured; the packages' own scripts replace it.
        let awk = || {
            let tree = Tree::open(self.root)?;
            if !tree.has("usr/bin/awk") && tree.has("usr/bin/mawk") {
                tree.symlink(b"mawk", b"usr/bin/awk", Attributes::default())?;
            }
            Ok(())
        };
        awk().map_err(|source| self.failed("make", "usr/bin/awk", source))?;
        self.preinst(unpacked.iter().map(|(at, package)| (*at, &package.control)))?;
        configure::configure(self.root, &packages.iter().collect::<Vec<_>>(), self.events)
    }

    fn preinst<'b>(&self, packages: impl Iterator<Item = (usize, &'b Control)>) -> Result<(), DistroError> {
        let packages: Vec<(&Package, &Control)> =
            packages.map(|(at, control)| (&self.choice.packages[at], control)).collect();
        let dpkg = self.choice.packages.iter().find(|package| package.name == "dpkg");
        configure::preinst(self.root, &packages, dpkg.map_or("1", |package| &package.version), self.events)
    }

    /// Calls `work` with each of `count` arrived archives, on every core.
    fn parallel<T: Send>(
        &self,
        arrivals: &Receiver<Arrival>,
        count: usize,
        work: impl Fn(usize, &[u8]) -> Result<T, DistroError> + Sync,
    ) -> Result<Vec<T>, DistroError> {
        let results = Mutex::new(Vec::with_capacity(count));
        let failure = Mutex::new(None);
        let tickets = AtomicUsize::new(0);
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while tickets.fetch_add(1, Ordering::Relaxed) < count {
                        let Ok(arrival) = arrivals.recv() else { return };
                        match arrival.and_then(|at| work(at, &self.bytes(at)?)) {
                            Ok(result) => {
                                let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                                results.push(result);
                                self.events.progress("packages", results.len() as u64, count as u64, Unit::Items);
                            }
                            Err(error) => {
                                self.stop.store(true, Ordering::Relaxed);
                                tickets.store(count, Ordering::Relaxed);
                                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                                return;
                            }
                        }
                    }
                });
            }
        });
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(results.into_inner().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// The verified bytes of a package's archive. A file that rotted in the store is fetched anew.
    fn bytes(&self, at: usize) -> Result<Vec<u8>, DistroError> {
        let package = &self.choice.packages[at];
        let store = &self.apt.store;
        for _ in 0..2 {
            let urls = std::slice::from_ref(&package.url);
            let path = store.fetch(&self.apt.fetcher, urls, &package.sha256, Some(package.size), &|_| {})?;
            let bytes = std::fs::read(&path).map_err(|source| DistroError::File {
                action: "read",
                path: path.clone(),
                source,
            })?;
            if sha256(&bytes) == package.sha256 {
                return Ok(bytes);
            }
            store.forget_package(&package.sha256);
        }
        Err(DistroError::Format { file: package.url.clone(), reason: "the store damages it; check the disk".into() })
    }

    /// Makes the links of a merged `/usr` before anything is unpacked through them.
    fn merge_usr(&self) -> Result<(), DistroError> {
        let mut names: Vec<&str> = MERGED.to_vec();
        if self.apt.arch == "amd64" {
            names.push("lib64");
        }
        for name in names {
            let make = || {
                let tree = Tree::open(self.root)?;
                tree.make_dir(format!("usr/{name}").as_bytes())?;
                if !tree.has(name) {
                    tree.symlink(format!("usr/{name}").as_bytes(), name.as_bytes(), Attributes::default())?;
                }
                Ok(())
            };
            make().map_err(|source| self.failed("make", name, source))?;
        }
        Ok(())
    }

    /// What no package brings: apt's sources and memory, a few devices.
    fn finish(&self, database: &Database) -> Result<(), DistroError> {
        database.mark_automatic(&self.choice.packages, &self.choice.manual, &self.apt.arch)?;
        let tree = Tree::open(self.root).map_err(|source| self.failed("open", "", source))?;
        let write = |path: &str, content: &[u8]| {
            tree.put(path, content, 0o644).map_err(|source| self.failed("write", path, source))
        };
        for source in &self.choice.sources {
            write(&format!("etc/apt/sources.list.d/{}.list", source.name), (source.line() + "\n").as_bytes())?;
        }
        if let Some(path) = &self.apt.settings.keyring {
            let keys = std::fs::read(path).map_err(|source| DistroError::File {
                action: "read the keyring",
                path: path.clone(),
                source,
            })?;
            // apt-key(8): the ending says which form the file has.
            let ending = if signature::is_armored(&keys) { "asc" } else { "gpg" };
            write(&format!("etc/apt/trusted.gpg.d/kiln.{ending}"), &keys)?;
        }
        if !tree.has("etc/fstab") {
            write("etc/fstab", b"")?;
        }
        self.devices().map_err(|source| DistroError::File {
            action: "make devices in",
            path: self.root.join("dev"),
            source,
        })
    }

    fn failed(&self, action: &'static str, path: &str, source: std::io::Error) -> DistroError {
        DistroError::File { action, path: self.root.join(path), source }
    }

    fn devices(&self) -> std::io::Result<()> {
        let tree = Tree::open(self.root)?;
        for (name, major, minor, mode, gid) in [
            ("null", 1, 3, 0o666, 0),
            ("zero", 1, 5, 0o666, 0),
            ("full", 1, 7, 0o666, 0),
            ("random", 1, 8, 0o666, 0),
            ("urandom", 1, 9, 0o666, 0),
            ("tty", 5, 0, 0o666, 5),
            ("console", 5, 1, 0o600, 5),
            ("ptmx", 5, 2, 0o666, 5),
        ] {
            let attributes = Attributes { mode, uid: 0, gid, mtime: 0 };
            let path = format!("dev/{name}");
            match tree.node(path.as_bytes(), rustix::fs::FileType::CharacterDevice, (major, minor), attributes) {
                // In a user namespace there are no devices to make; the booted system makes its own.
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Ok(()),
                other => other?,
            }
        }
        for (link, to) in [("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")] {
            tree.symlink(to.as_bytes(), format!("dev/{link}").as_bytes(), Attributes::default())?;
        }
        for folder in ["dev/pts", "dev/shm"] {
            tree.make_dir(folder.as_bytes())?;
        }
        Ok(())
    }
}

/// Says how long each part took.
struct Clock<'a> {
    events: &'a Events,
    last: std::cell::Cell<Instant>,
}

impl<'a> Clock<'a> {
    fn new(events: &'a Events) -> Self {
        Self { events, last: std::cell::Cell::new(Instant::now()) }
    }

    fn lap(&self, what: &str) {
        let elapsed = self.last.replace(Instant::now()).elapsed();
        let text = format!("{what}: {:.2} s", elapsed.as_secs_f64());
        self.events.send(Event::Message { level: Level::Debug, text });
    }
}
