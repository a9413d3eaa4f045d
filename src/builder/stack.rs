//! The tree being made, as a stack of layers.
//!
//! In: steps, one after another, each with the hash of its inputs. Out: for each a layer, taken from the store when its key is
//! known there, else made by running the step on the layers below. Not here: what steps do (`work`), keeping layers (`store/`).

use std::fs;
use std::time::Instant;

use camino::{Utf8Path, Utf8PathBuf};

use super::child::elapsed;
use super::error::BuildError;
use crate::sandbox::init;
use crate::sandbox::overlay::{Overlay, Upper};
use crate::store::layers::{LayerNote, Layers};

/// Part of every key: layers that another version of the program made are unknown to this one.
const LAYER_FORMAT: &str = concat!("kiln layer 1 ", env!("KILN_SOURCES"));

/// A stack of layers.
#[derive(Debug)]
pub struct Stack {
    layers: Layers,
    reuse: bool,
    work: Utf8PathBuf,
    keys: Vec<String>,
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
    /// An empty stack.
    pub fn new(layers: Layers, reuse: bool, work: &Utf8Path) -> Self {
        Self { layers, reuse, work: work.to_owned(), keys: Vec::new() }
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

    /// Puts the layer of a step on the stack.
    pub fn lay(
        &mut self,
        step: &str,
        inputs: &[&str],
        run: impl FnOnce(Place<'_>) -> Result<(), BuildError>,
    ) -> Result<Laid, BuildError> {
        let begun = Instant::now();
        let key = self.key(inputs);
        if self.reuse && self.layers.find(&key).is_some() {
            self.keys.push(key);
            return Ok(Laid { milliseconds: elapsed(begun), reused: true });
        }
        let folder = self.work.join(format!("layer-{}", self.keys.len()));
        let [tree, files, scratch, mounted] = ["tree", "files", "scratch", "root"].map(|name| folder.join(name));
        for path in [&tree, &files, &scratch, &mounted] {
            fs::create_dir_all(path).map_err(BuildError::system(format!("make the folder {path}")))?;
        }
        if self.keys.is_empty() {
            // Nothing is below the first layer: it is written straight.
            run(Place { root: &tree, files: &files })?;
            init::end_all_others();
        } else {
            let upper = Upper { layer: &tree, scratch: &scratch };
            let overlay = Overlay::mount(self.layers.folder(), &self.keys, Some(upper), &mounted)
                .map_err(BuildError::system(format!("mount the layers of {} steps", self.keys.len())))?;
            let result = run(Place { root: &mounted, files: &files });
            init::end_all_others();
            result?;
            overlay.unmount().map_err(BuildError::system(format!("unmount the tree after {step}")))?;
        }
        let note = LayerNote { step: step.to_owned(), milliseconds: elapsed(begun) };
        self.layers
            .insert(&key, &tree, &files, &note)
            .map_err(BuildError::system(format!("keep the layer of {step} in {}", self.layers.folder())))?;
        self.keys.push(key);
        Ok(Laid { milliseconds: note.milliseconds, reused: false })
    }

    /// The files that the topmost layer's step made beside the tree.
    pub fn files(&self) -> Option<Utf8PathBuf> {
        self.keys.last().map(|key| self.layers.files(key))
    }

    /// Mounts the finished tree, to be read.
    pub fn mount(&self) -> Result<Overlay, BuildError> {
        let at = self.work.join("root");
        fs::create_dir_all(&at).map_err(BuildError::system(format!("make the folder {at}")))?;
        Overlay::mount(self.layers.folder(), &self.keys, None, &at)
            .map_err(BuildError::system("mount the finished tree"))
    }

    /// The keys, the lowest first.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }
}
