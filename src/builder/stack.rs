//! The tree being made, as a stack of layers; under shell hooks also the build folder, as a second stack beside it.
//!
//! In: steps, one after another, each with the hash of its inputs. Out: for each a layer, taken from the store when its key is
//! known there, else made by running the step on the layers below. Not here: what steps do (`work`), keeping layers (`store/`),
//! steps that run on the attached disk (`ground`).

use std::fs;
use std::time::{Instant, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};

use super::child::elapsed;
use super::digest;
use super::error::BuildError;
use super::ground::Ground;
use crate::sandbox::overlay::{Overlay, Upper};
use crate::sandbox::{init, mount_table};
use crate::store::layers::{Halves, LayerNote, Layers};

/// Part of every key: layers that another version of the program made are unknown to this one.
const LAYER_FORMAT: &str = concat!("kiln layer 2 ", env!("KILN_SOURCES"));

/// A stack of layers.
pub struct Stack {
    layers: Layers,
    reuse: bool,
    work: Utf8PathBuf,
    /// DIB's build folder, when hooks want one: mounted here while a step runs, at the same place in every build.
    build: Option<Utf8PathBuf>,
    keys: Vec<String>,
    /// The disk that the tree has become.
    ground: Option<Ground>,
}

/// When a layer of an earlier build may stand in for running the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// When its key is known: the key tells all that the step depends on.
    ByKey,
    /// When its key is known and it is at most this many seconds old: the step may ask the network.
    Within(u64),
    /// Never; but what is above may be reused when the step wrote what it wrote before.
    ByContent,
}

/// Where a running step finds its tree.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The root tree, writable.
    pub root: &'a Utf8Path,
    /// For what the step makes beside the tree.
    pub files: &'a Utf8Path,
}

/// A layer that was put on the stack.
#[derive(Clone, Copy, Debug)]
pub struct Laid {
    /// Milliseconds it took now.
    pub milliseconds: u64,
    /// It came from the store.
    pub reused: bool,
}

impl Stack {
    /// An empty stack. `build` is where the build folder is mounted.
    pub fn new(layers: Layers, reuse: bool, work: &Utf8Path, build: Option<&Utf8Path>) -> Self {
        Self {
            layers,
            reuse,
            work: work.to_owned(),
            build: build.map(Utf8Path::to_owned),
            keys: Vec::new(),
            ground: None,
        }
    }

    /// The key of the layer that `inputs` would make on top of this stack: 24 hex digits of BLAKE3.
    fn key(&self, inputs: &[&str]) -> String {
        let mut hasher = blake3::Hasher::new();
        let below = self.keys.last().map_or(LAYER_FORMAT, String::as_str);
        for part in std::iter::once(&below).chain(inputs) {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex()[..24].to_owned()
    }

    /// A layer of the store that may stand in for running a step.
    fn known(&self, wish: &str, reuse: Reuse) -> Option<String> {
        if !self.reuse {
            return None;
        }
        match reuse {
            Reuse::ByKey => self.layers.find(wish).map(|_| wish.to_owned()),
            Reuse::Within(seconds) => {
                let (key, note) = self.layers.current(wish)?;
                (note.age() < seconds).then_some(key)
            }
            Reuse::ByContent => None,
        }
    }

    /// Puts the layer of a step on the stack.
    pub fn lay(
        &mut self,
        step: &str,
        inputs: &[&str],
        reuse: Reuse,
        run: impl FnOnce(Place<'_>) -> Result<(), BuildError>,
    ) -> Result<Laid, BuildError> {
        let begun = Instant::now();
        if let Some(ground) = &self.ground {
            let result = run(Place { root: ground.tree(), files: ground.files() });
            init::end_all_others();
            return result.map(|()| Laid { milliseconds: elapsed(begun), reused: false });
        }
        let wish = self.key(inputs);
        if let Some(key) = self.known(&wish, reuse) {
            self.keys.push(key);
            return Ok(Laid { milliseconds: elapsed(begun), reused: true });
        }
        let folder = self.work.join(format!("layer-{}", self.keys.len()));
        let [tree, files, build] = ["tree", "files", "build"].map(|name| folder.join(name));
        for path in [&tree, &files, &build] {
            fs::create_dir_all(path).map_err(BuildError::system(format!("make the folder {path}")))?;
        }
        let mounts = self.raise(&folder, &tree, &build)?;
        let result = run(Place { root: mounts.root(&tree), files: &files });
        init::end_all_others();
        result?;
        mounts.lower().map_err(BuildError::system(format!("unmount the tree after {step}")))?;
        let note = LayerNote::new(step, elapsed(begun));
        let changed = fs::read_dir(&build).is_ok_and(|mut entries| entries.next().is_some());
        let halves = Halves { tree: &tree, build: changed.then_some(build.as_path()), files: &files };
        let key = self.name(&wish, reuse, &halves)?;
        let keep = BuildError::system(format!("keep the layer of {step} in {}", self.layers.folder()));
        let kept = self.layers.insert(&key, halves, &note);
        let kept = kept.and_then(|()| match reuse {
            Reuse::Within(_) => self.layers.set_current(&wish, &key),
            _ => Ok(()),
        });
        kept.map_err(keep)?;
        self.keys.push(key);
        Ok(Laid { milliseconds: note.milliseconds, reused: false })
    }

    /// The key of a layer that was made for `wish`.
    fn name(&self, wish: &str, reuse: Reuse, halves: &Halves<'_>) -> Result<String, BuildError> {
        match reuse {
            Reuse::ByKey => Ok(wish.to_owned()),
            Reuse::Within(_) => {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                Ok(self.key(&[wish, &format!("{now:?} {}", self.work)]))
            }
            Reuse::ByContent => {
                let content = |folder| digest::of_layer(folder).map_err(BuildError::system("read what a step wrote"));
                let build = halves.build.map(content).transpose()?.unwrap_or_default();
                Ok(self.key(&[wish, &content(halves.tree)?, &build]))
            }
        }
    }

    /// Mounts what is below a step, with `tree` and `build` taking its changes.
    fn raise(&self, folder: &Utf8Path, tree: &Utf8Path, build: &Utf8Path) -> Result<Raised, BuildError> {
        let build = match &self.build {
            Some(at) => Some(self.mount_build(at, Some((build, &folder.join("build-scratch"))))?),
            None => None,
        };
        let at = match &build {
            Some(build) => build.path().join("mnt"),
            None => folder.join("root"),
        };
        if self.keys.is_empty() && build.is_none() {
            // Nothing is below the first layer: it is written straight.
            return Ok(Raised { tree: None, build });
        }
        let scratch = folder.join("scratch");
        for path in [&scratch, &at] {
            fs::create_dir_all(path).map_err(BuildError::system(format!("make the folder {path}")))?;
        }
        let failed = BuildError::system(format!("mount the layers of {} steps", self.keys.len()));
        let mounted = if self.keys.is_empty() {
            Overlay::bind(tree, &at)
        } else {
            Overlay::mount(self.layers.folder(), &self.keys, Some(Upper { layer: tree, scratch: &scratch }), &at)
        };
        Ok(Raised { tree: Some(mounted.map_err(failed)?), build })
    }

    /// Mounts the build folder at `at`; `upper` (layer and scratch) takes changes.
    pub fn mount_build(&self, at: &Utf8Path, upper: Option<(&Utf8Path, &Utf8Path)>) -> Result<Overlay, BuildError> {
        let failed = |error| BuildError::system(format!("mount the build folder at {at}"))(error);
        let bottom = self.layers.build_bottom().map_err(failed)?;
        let mut names = vec![bottom.to_owned()];
        names.extend(self.keys.iter().filter_map(|key| self.layers.build_half(key)));
        fs::create_dir_all(at).map_err(failed)?;
        if let Some((_, scratch)) = upper {
            fs::create_dir_all(scratch).map_err(failed)?;
        }
        let upper = upper.map(|(layer, scratch)| Upper { layer, scratch });
        Overlay::mount(self.layers.folder(), &names, upper, at).map_err(failed)
    }

    /// Steps run on the attached disk from now on.
    pub fn stand_on(&mut self, ground: Ground) {
        self.ground = Some(ground);
    }

    /// The attached disk, when steps ran on one.
    pub fn take_ground(&mut self) -> Option<Ground> {
        self.ground.take()
    }

    /// The keys, the lowest first.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// Whether steps run on the attached disk.
    pub fn is_grounded(&self) -> bool {
        self.ground.is_some()
    }

    /// The files that the topmost layer's step made beside the tree.
    pub fn files(&self) -> Option<Utf8PathBuf> {
        if let Some(ground) = &self.ground {
            return Some(ground.files().to_owned());
        }
        self.keys.last().map(|key| self.layers.files(key))
    }

    /// Mounts the finished tree at `at`, to be read.
    pub fn mount(&self, at: &Utf8Path) -> Result<Overlay, BuildError> {
        fs::create_dir_all(at).map_err(BuildError::system(format!("make the folder {at}")))?;
        Overlay::mount(self.layers.folder(), &self.keys, None, at)
            .map_err(BuildError::system("mount the finished tree"))
    }

    /// Mounts the finished tree at `at`; what is written to it goes to the folder `changes`, and into no layer.
    pub fn mount_apart(&self, at: &Utf8Path, changes: &Utf8Path) -> Result<Overlay, BuildError> {
        let (layer, scratch) = (changes.join("layer"), changes.join("scratch"));
        for folder in [&layer, &scratch, &at.to_owned()] {
            fs::create_dir_all(folder).map_err(BuildError::system(format!("make the folder {folder}")))?;
        }
        Overlay::mount(self.layers.folder(), &self.keys, Some(Upper { layer: &layer, scratch: &scratch }), at)
            .map_err(BuildError::system("mount the finished tree"))
    }
}

/// What is mounted for one step. Fields are unmounted in their order when a step fails.
struct Raised {
    tree: Option<Overlay>,
    build: Option<Overlay>,
}

impl Raised {
    fn root<'a>(&'a self, straight: &'a Utf8Path) -> &'a Utf8Path {
        self.tree.as_ref().map_or(straight, Overlay::path)
    }

    /// Unmounts all. Mounts that hooks made in the tree go first.
    fn lower(self) -> std::io::Result<()> {
        let Self { tree, build } = self;
        if let Some(tree) = tree {
            if build.is_some() {
                mount_table::clear_below(tree.path())?;
            }
            tree.unmount()?;
        }
        match build {
            Some(build) => {
                mount_table::clear_below(build.path())?;
                build.unmount()
            }
            None => Ok(()),
        }
    }
}
