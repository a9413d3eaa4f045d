//! A target in memory.
//!
//! In: calls of verbs, canned packages and commands. Out: an in-memory tree and a record of what was done. Elements' tests
//! run on it. Not here: who may call; what a real command would have done.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};

use super::outside::Outside;
use super::pretended::Pretended;
use super::{Attributes, FileKind, Packages, Run, RunOutput, Stat, Target, TargetError, owner, resolve};

/// Version that a canned package has when none is given.
const VERSION: &str = "1.0";
/// Bytes that one file of an image in memory may have.
const MEMORY: u64 = 64 << 20;

/// A small root tree, a package database and commands, all pretended. Cheap to clone; clones share their state.
#[derive(Clone, Default)]
pub struct FakeTarget {
    state: Arc<Mutex<State>>,
    outside: Arc<Pretended>,
}

/// One thing that was done to a [`FakeTarget`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// `write`, `run`, `install`, …
    pub verb: &'static str,
    /// Path, command line or package names.
    pub args: Vec<String>,
}

#[derive(Default)]
struct State {
    /// By path without symlinks; the root is always a folder and not in it.
    nodes: BTreeMap<Utf8PathBuf, Node>,
    done: Vec<Done>,
    commands: Vec<(Vec<String>, RunOutput)>,
    /// Empty: every package can be had.
    available: BTreeMap<String, String>,
    installed: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
struct Node {
    content: Content,
    mode: u32,
    uid: u32,
    gid: u32,
}

#[derive(Clone, Debug)]
enum Content {
    File(Vec<u8>),
    Directory,
    Symlink(Utf8PathBuf),
}

impl FakeTarget {
    /// A tree with `/etc/passwd`, `/etc/group` and the usual folders.
    pub fn new() -> Self {
        let fake = Self::default();
        {
            let mut state = fake.state();
            for folder in
                ["/boot", "/etc", "/home", "/root", "/run", "/srv", "/tmp", "/usr", "/usr/bin", "/usr/lib", "/var"]
            {
                state.put(Utf8Path::new(folder), Content::Directory, 0o755);
            }
            let root = b"root:x:0:0:root:/root:/bin/bash\n".to_vec();
            state.put(Utf8Path::new("/etc/passwd"), Content::File(root), 0o644);
            state.put(Utf8Path::new("/etc/group"), Content::File(b"root:x:0:\n".to_vec()), 0o644);
        }
        fake
    }

    /// What was done so far, in order.
    pub fn done(&self) -> Vec<Done> {
        self.state().done.clone()
    }

    /// Makes a package available. Until the first call every package is; after it, only those that were named.
    pub fn add_package(&self, name: &str, version: Option<&str>) {
        self.state().available.insert(name.to_owned(), version.unwrap_or(VERSION).to_owned());
    }

    /// Makes commands that begin with `argv` end like `output`; others succeed and print nothing.
    pub fn add_command(&self, argv: Vec<String>, output: RunOutput) {
        self.state().commands.push((argv, output));
    }

    /// Arranges what can be brought from outside.
    pub fn arrange(&self) -> &Pretended {
        &self.outside
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, verb: &'static str, args: Vec<String>) {
        self.state().done.push(Done { verb, args });
    }

    /// Why nothing is at the real path `at`.
    fn absent(&self, attempt: &str, path: &Utf8Path, at: &Utf8Path) -> TargetError {
        let state = self.state();
        let above = at.ancestors().skip(1).find_map(|folder| state.kind(folder));
        let kind = match above {
            Some(FileKind::Directory) | None => std::io::ErrorKind::NotFound,
            Some(_) => std::io::ErrorKind::NotADirectory,
        };
        TargetError::io(attempt, path, &kind.into())
    }

    fn parents(&self, path: &Utf8Path) -> Result<Utf8PathBuf, TargetError> {
        let at = self.resolve(path, false)?;
        let mut state = self.state();
        for parent in at.ancestors().skip(1) {
            match state.kind(parent) {
                None => state.put(parent, Content::Directory, 0o755),
                Some(FileKind::Directory) => {}
                Some(_) => {
                    let text = format!("cannot use `{path}` in the image: `{parent}` is not a folder");
                    return Err(TargetError::new("io.failed", text));
                }
            }
        }
        Ok(at)
    }

    fn number(&self, name: Option<&String>, file: &str) -> Result<Option<u32>, TargetError> {
        let Some(name) = name else { return Ok(None) };
        let text = self.read(Utf8Path::new(file)).unwrap_or_default();
        owner::number(name, file, &String::from_utf8_lossy(&text)).map(Some)
    }

    fn apply(&self, at: &Utf8Path, attributes: &Attributes) -> Result<(), TargetError> {
        let uid = self.number(attributes.owner.as_ref(), "/etc/passwd")?;
        let gid = self.number(attributes.group.as_ref(), "/etc/group")?;
        if let Some(node) = self.state().nodes.get_mut(at) {
            node.mode = attributes.mode.unwrap_or(node.mode);
            node.uid = uid.unwrap_or(node.uid);
            node.gid = gid.unwrap_or(node.gid);
        }
        Ok(())
    }
}

impl State {
    fn put(&mut self, path: &Utf8Path, content: Content, mode: u32) {
        if path != "/" {
            self.nodes.insert(path.to_owned(), Node { content, mode, uid: 0, gid: 0 });
        }
    }

    fn kind(&self, path: &Utf8Path) -> Option<FileKind> {
        if path == "/" {
            return Some(FileKind::Directory);
        }
        self.nodes.get(path).map(|node| match node.content {
            Content::File(_) => FileKind::File,
            Content::Directory => FileKind::Directory,
            Content::Symlink(_) => FileKind::Symlink,
        })
    }
}

impl Target for FakeTarget {
    fn stat(&self, path: &Utf8Path) -> Result<Option<Stat>, TargetError> {
        let at = self.resolve(path, false)?;
        let state = self.state();
        let Some(kind) = state.kind(&at) else { return Ok(None) };
        let root = Node { content: Content::Directory, mode: 0o755, uid: 0, gid: 0 };
        let node = state.nodes.get(&at).unwrap_or(&root);
        let size = match &node.content {
            Content::File(content) => content.len(),
            Content::Symlink(to) => to.as_str().len(),
            Content::Directory => 0,
        };
        Ok(Some(Stat { kind, mode: node.mode, uid: node.uid, gid: node.gid, size: size as u64 }))
    }

    fn read(&self, path: &Utf8Path) -> Result<Vec<u8>, TargetError> {
        let at = self.resolve(path, true)?;
        let node = self.state().nodes.get(&at).map(|node| node.content.clone());
        match node {
            Some(Content::File(content)) => Ok(content),
            Some(_) => Err(TargetError::new("io.failed", format!("cannot read `{path}` in the image: it is a folder"))),
            None => Err(self.absent("read", path, &at)),
        }
    }

    fn list(&self, path: &Utf8Path) -> Result<Vec<String>, TargetError> {
        let at = self.resolve(path, true)?;
        let state = self.state();
        match state.kind(&at) {
            Some(FileKind::Directory) => {}
            Some(_) => {
                let text = format!("cannot list `{path}` in the image: it is not a folder");
                return Err(TargetError::new("io.failed", text));
            }
            None => {
                drop(state);
                return Err(self.absent("list", path, &at));
            }
        }
        let names = state.nodes.keys().filter(|node| node.parent() == Some(&at));
        Ok(names.filter_map(|node| node.file_name()).map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect())
    }

    fn read_link(&self, path: &Utf8Path) -> Result<Utf8PathBuf, TargetError> {
        let at = self.resolve(path, false)?;
        match self.state().nodes.get(&at).map(|node| &node.content) {
            Some(Content::Symlink(to)) => Ok(to.clone()),
            _ => {
                Err(TargetError::new("io.failed", format!("cannot read the symlink `{path}` in the image: it is none")))
            }
        }
    }

    fn write(&self, path: &Utf8Path, content: &[u8], attributes: Attributes) -> Result<(), TargetError> {
        self.record("write", vec![path.to_string()]);
        let at = self.parents(path)?;
        {
            let mut state = self.state();
            match (state.kind(&at), state.nodes.get_mut(&at)) {
                (Some(FileKind::Directory), _) => {
                    let text = format!("cannot write `{path}` in the image: it is a folder");
                    return Err(TargetError::new("io.failed", text));
                }
                (Some(FileKind::File), Some(node)) => node.content = Content::File(content.to_vec()),
                _ => state.put(&at, Content::File(content.to_vec()), 0o644),
            }
        }
        self.apply(&at, &attributes)
    }

    fn write_stream(&self, path: &Utf8Path, from: &mut dyn Read, attributes: Attributes) -> Result<(), TargetError> {
        let mut content = Vec::new();
        let read = from.take(MEMORY + 1).read_to_end(&mut content);
        read.map_err(|error| TargetError::io("write", path, &error))?;
        if content.len() as u64 > MEMORY {
            let text = format!("cannot write `{path}` in the image in memory: it is larger than {} MiB", MEMORY >> 20);
            return Err(TargetError::new("io.too-large", text));
        }
        self.write(path, &content, attributes)
    }

    fn make_dir(&self, path: &Utf8Path, attributes: Attributes) -> Result<(), TargetError> {
        self.record("make_dir", vec![path.to_string()]);
        let at = self.parents(&self.resolve(path, true)?)?;
        {
            let mut state = self.state();
            match state.kind(&at) {
                None => state.put(&at, Content::Directory, 0o755),
                Some(FileKind::Directory) => {}
                Some(_) => {
                    let text = format!("cannot make the folder `{path}` in the image: a file is there");
                    return Err(TargetError::new("io.failed", text));
                }
            }
        }
        self.apply(&at, &attributes)
    }

    fn symlink(&self, points_to: &Utf8Path, path: &Utf8Path) -> Result<(), TargetError> {
        self.record("symlink", vec![points_to.to_string(), path.to_string()]);
        let at = self.parents(path)?;
        let mut state = self.state();
        if state.kind(&at) == Some(FileKind::Directory) {
            let text = format!("cannot make the symlink `{path}` in the image: a folder is there");
            return Err(TargetError::new("io.failed", text));
        }
        state.put(&at, Content::Symlink(points_to.to_owned()), 0o777);
        Ok(())
    }

    fn remove(&self, path: &Utf8Path) -> Result<(), TargetError> {
        self.record("remove", vec![path.to_string()]);
        let at = self.resolve(path, false)?;
        if at == "/" {
            return Err(TargetError::new("io.failed", "cannot remove the image's root"));
        }
        self.state().nodes.retain(|node, _| !node.starts_with(&at));
        Ok(())
    }

    fn set_attributes(&self, path: &Utf8Path, attributes: Attributes) -> Result<(), TargetError> {
        self.record("set_attributes", vec![path.to_string()]);
        let at = self.resolve(path, true)?;
        let kind = self.state().kind(&at);
        if kind.is_none() {
            return Err(self.absent("set owner or mode of", path, &at));
        }
        self.apply(&at, &attributes)
    }

    fn run(&self, run: &Run) -> Result<RunOutput, TargetError> {
        self.record("run", run.argv.clone());
        let state = self.state();
        // The last one wins, so that a test can change its mind.
        let canned = state.commands.iter().rev().find(|(argv, _)| run.argv.starts_with(argv));
        Ok(canned.map(|(_, output)| output.clone()).unwrap_or_default())
    }

    fn packages(&self) -> Arc<dyn Packages> {
        Arc::new(self.clone())
    }

    fn outside(&self) -> Arc<dyn Outside> {
        self.outside.clone()
    }

    fn is_pretended(&self) -> bool {
        true
    }

    /// Asks the nodes themselves: `stat` resolves its path, and would resolve the path of every part of it again.
    fn resolve(&self, path: &Utf8Path, follow_last: bool) -> Result<Utf8PathBuf, TargetError> {
        let state = self.state();
        resolve::resolve(path, follow_last, |at| {
            Ok(match state.nodes.get(at).map(|node| &node.content) {
                Some(Content::Symlink(to)) => Some(to.clone()),
                _ => None,
            })
        })
    }
}

impl Packages for FakeTarget {
    fn install(&self, names: &[String]) -> Result<(), TargetError> {
        self.record("install", names.to_vec());
        let mut state = self.state();
        for name in names {
            let version = match state.available.get(name) {
                Some(version) => version.clone(),
                None if state.available.is_empty() => VERSION.to_owned(),
                None => {
                    return Err(TargetError::new("packages.missing", format!("package `{name}` is not available")));
                }
            };
            state.installed.insert(name.clone(), version);
        }
        Ok(())
    }

    fn remove(&self, names: &[String]) -> Result<(), TargetError> {
        self.record("remove_packages", names.to_vec());
        let mut state = self.state();
        for name in names {
            state.installed.remove(name);
        }
        Ok(())
    }

    fn update(&self) -> Result<(), TargetError> {
        self.record("update", Vec::new());
        Ok(())
    }

    fn version(&self, name: &str) -> Result<Option<String>, TargetError> {
        Ok(self.state().installed.get(name).cloned())
    }
}
