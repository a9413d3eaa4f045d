//! Layers: what a step wrote, kept under the step's key.
//!
//! `layers/KEY` is an overlay layer (a plain tree for the first), `layers/KEY.json` says that it is complete, `layers/KEY.files`
//! holds what the step made beside the tree, and `layers/KEY.build` is an overlay layer of the build folder, when the step changed
//! that. Nothing is synced when a layer is made; a layer of an earlier boot of the machine counts
//! only when it was found to be on disk before that boot ended (`settle`): a power cut leaves names without content. A key is the chain of everything that can change the layer (`plan::key`), so equal
//! keys mean equal layers. Not here: computing keys, mounting.

use std::fs::{self, File};
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

/// The layers of a store. As long as one lives, no other build removes layers.
#[derive(Clone, Debug)]
pub struct Layers {
    folder: Utf8PathBuf,
    /// Held shared by every build that uses the store.
    use_lock: Arc<File>,
    boot: String,
}

/// What is known about a complete layer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LayerNote {
    /// The step that made it.
    pub step: String,
    /// Milliseconds the step took.
    pub milliseconds: u64,
    /// When it was made, in seconds since the epoch.
    pub made: u64,
}

/// The halves of a finished layer, on the store's file system.
#[derive(Clone, Copy, Debug)]
pub struct Halves<'a> {
    /// What the step changed in the tree.
    pub tree: &'a Utf8Path,
    /// What it changed in the build folder, if it did.
    pub build: Option<&'a Utf8Path>,
    /// What it made beside them.
    pub files: &'a Utf8Path,
}

impl LayerNote {
    /// A note made now.
    pub fn new(step: &str, milliseconds: u64) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { step: step.to_owned(), milliseconds, made: now.as_secs() }
    }

    /// Seconds since it was made.
    pub fn age(&self) -> u64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        now.as_secs().saturating_sub(self.made)
    }
}

/// A note as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    note: LayerNote,
    /// The boot of the machine that the layer was made in; empty once it is known to be on disk.
    boot: String,
}

/// The layer at the bottom of every build folder.
const BUILD_BOTTOM: &str = "build-bottom";

/// Seconds after which the kernel has written a layer by itself, so that making sure costs little.
const SETTLED_AFTER: Duration = Duration::from_secs(60);

impl Layers {
    /// The layers in the store at `root`.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(root: &Utf8Path) -> io::Result<Self> {
        let folder = root.join("layers");
        fs::create_dir_all(&folder)?;
        let use_lock = lock_file(&folder.join("lock"))?;
        use_lock.lock_shared()?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned();
        Ok(Self { folder, use_lock: Arc::new(use_lock), boot })
    }

    /// The folder that holds the layers; a layer's name in it is its key.
    pub fn folder(&self) -> &Utf8Path {
        &self.folder
    }

    /// The note of the layer `key`, when it is complete. Marks it as used now.
    pub fn find(&self, key: &str) -> Option<LayerNote> {
        let note = self.note(key);
        let kept = self.kept(&note)?;
        if !kept.boot.is_empty() && kept.boot != self.boot {
            return None;
        }
        if let Ok(file) = File::options().append(true).open(&note) {
            let _ = file.set_modified(SystemTime::now());
        }
        self.folder.join(key).is_dir().then_some(kept.note)
    }

    fn kept(&self, note: &Utf8Path) -> Option<Kept> {
        serde_json::from_slice(&fs::read(note).ok()?).ok()
    }

    /// Notes that layers made a while ago are on disk, after `sync` has made sure of it.
    ///
    /// # Errors
    /// When `sync` fails or a note cannot be written.
    pub fn settle(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut due = Vec::new();
        for entry in self.folder.read_dir_utf8()?.flatten() {
            let note = entry.path();
            let Some(kept) = (note.extension() == Some("json")).then(|| self.kept(note)).flatten() else { continue };
            let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
            if kept.boot == self.boot && age >= SETTLED_AFTER {
                due.push((note.to_owned(), kept.note));
            }
        }
        if due.is_empty() {
            return Ok(());
        }
        sync()?;
        due.into_iter().try_for_each(|(path, note)| write_note(&path, &Kept { note, boot: String::new() }))
    }

    /// The layer that stands for `wish` now: of a step whose result may differ from one run to the next, each run makes a layer of
    /// its own, and the latest stands for what the step can be known by.
    pub fn current(&self, wish: &str) -> Option<(String, LayerNote)> {
        let key = fs::read_to_string(self.folder.join(format!("{wish}.current"))).ok()?;
        self.find(&key).map(|note| (key, note))
    }

    /// Makes the layer `key` stand for `wish`.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn set_current(&self, wish: &str, key: &str) -> io::Result<()> {
        let path = self.folder.join(format!("{wish}.current"));
        let unfinished = self.folder.join(format!("{wish}.{key}.unfinished"));
        fs::write(&unfinished, key)?;
        fs::rename(unfinished, path)
    }

    /// The folder of what the step made beside the tree.
    pub fn files(&self, key: &str) -> Utf8PathBuf {
        self.folder.join(format!("{key}.files"))
    }

    /// The name, in [`Self::folder`], of the layer's half of the build folder; nothing when the step did not change that.
    pub fn build_half(&self, key: &str) -> Option<String> {
        let name = format!("{key}.build");
        self.folder.join(&name).is_dir().then_some(name)
    }

    /// The name, in [`Self::folder`], of the layer at the bottom of every build folder: empty but for the places of mounts. Made when
    /// it is not there.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn build_bottom(&self) -> io::Result<&'static str> {
        for name in ["mnt", "built", "block-device", "states/block-device"] {
            fs::create_dir_all(self.folder.join(BUILD_BOTTOM).join(name))?;
        }
        Ok(BUILD_BOTTOM)
    }

    /// Moves a finished layer and its side files in. When another build was faster, its layer stays and ours is dropped.
    ///
    /// # Errors
    /// When the store cannot be written, or `tree` is on another file system.
    pub fn insert(&self, key: &str, halves: Halves<'_>, note: &LayerNote) -> io::Result<()> {
        // One at a time: another build's half-moved layer must not be taken for a leftover.
        let turn = lock_file(&self.folder.join("insert.lock"))?;
        turn.lock()?;
        if self.find(key).is_some() {
            return Ok(());
        }
        // Leftovers without a note belong to nobody.
        let build = self.folder.join(format!("{key}.build"));
        for stale in [&self.folder.join(key), &self.files(key), &build] {
            if stale.exists() {
                fs::remove_dir_all(stale)?;
            }
        }
        fs::rename(halves.files, self.files(key))?;
        if let Some(half) = halves.build {
            fs::rename(half, build)?;
        }
        fs::rename(halves.tree, self.folder.join(key))?;
        write_note(&self.note(key), &Kept { note: note.clone(), boot: self.boot.clone() })
    }

    /// Removes the layers used longest ago until at most `limit` bytes are left; never one in `keep`, and none while another
    /// build uses the store. Says how many went.
    pub fn prune(&self, limit: u64, keep: &[String]) -> usize {
        // A failed attempt to make a shared lock exclusive loses it: this is a build's last act on its layers.
        if self.use_lock.try_lock().is_err() {
            return 0;
        }
        let mut layers: Vec<(SystemTime, String, u64)> = Vec::new();
        for entry in self.folder.read_dir_utf8().into_iter().flatten().flatten() {
            let Some(key) = entry.file_name().strip_suffix(".json") else { continue };
            let used = entry.metadata().and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
            layers.push((used, key.to_owned(), size(&self.folder.join(key))));
        }
        let mut total: u64 = layers.iter().map(|layer| layer.2).sum();
        layers.sort();
        let mut removed = 0;
        for (_, key, size) in layers {
            if total <= limit {
                break;
            }
            if keep.contains(&key) {
                continue;
            }
            let _ = fs::remove_file(self.note(&key));
            let _ = fs::remove_dir_all(self.folder.join(&key));
            let _ = fs::remove_dir_all(self.files(&key));
            let _ = fs::remove_dir_all(self.folder.join(format!("{key}.build")));
            total = total.saturating_sub(size);
            removed += 1;
        }
        for entry in self.folder.read_dir_utf8().into_iter().flatten().flatten() {
            let is_pointer = entry.path().extension() == Some("current");
            let led_to = fs::read_to_string(entry.path()).unwrap_or_default();
            if is_pointer && !self.note(&led_to).exists() {
                let _ = fs::remove_file(entry.path());
            }
        }
        removed
    }

    fn note(&self, key: &str) -> Utf8PathBuf {
        self.folder.join(format!("{key}.json"))
    }
}

fn lock_file(path: &Utf8Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(path)
}

fn write_note(path: &Utf8Path, kept: &Kept) -> io::Result<()> {
    let unfinished = path.with_extension("note");
    fs::write(&unfinished, serde_json::to_vec(kept)?)?;
    fs::rename(unfinished, path)
}

/// Bytes of the regular files below `folder`.
fn size(folder: &Utf8Path) -> u64 {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_type().is_file())
        .filter_map(|entry| entry.metadata().ok())
        .map(|data| data.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers() -> (tempfile::TempDir, Utf8PathBuf, Layers) {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        let layers = Layers::open(&root).unwrap();
        (folder, root, layers)
    }

    fn insert(layers: &Layers, root: &Utf8Path, key: &str, bytes: usize) {
        let (tree, files) = (root.join("tree"), root.join("files"));
        fs::create_dir(&tree).unwrap();
        fs::create_dir(&files).unwrap();
        fs::write(tree.join("data"), vec![1; bytes]).unwrap();
        layers.insert(key, Halves { tree: &tree, build: None, files: &files }, &LayerNote::new(key, 1)).unwrap();
    }

    #[test]
    fn a_layer_is_found_under_its_key_only_when_complete() {
        let (_keep, root, layers) = layers();
        assert!(layers.find("aa").is_none());
        insert(&layers, &root, "aa", 10);
        assert_eq!(layers.find("aa").unwrap().step, "aa");
        fs::remove_file(layers.note("aa")).unwrap();
        assert!(layers.find("aa").is_none());
        insert(&layers, &root, "aa", 10);
        assert!(layers.find("aa").is_some());
    }

    #[test]
    fn pruning_takes_the_layer_used_longest_ago_and_spares_the_ones_in_use() {
        let (_keep, root, layers) = layers();
        for (age, key) in [(300, "aa"), (200, "bb"), (100, "cc")] {
            insert(&layers, &root, key, 1000);
            let file = File::options().append(true).open(layers.note(key)).unwrap();
            file.set_modified(SystemTime::now() - std::time::Duration::from_secs(age)).unwrap();
        }
        assert_eq!(layers.prune(2000, &["aa".into()]), 1);
        let left: Vec<bool> = ["aa", "bb", "cc"].iter().map(|key| layers.folder().join(key).exists()).collect();
        assert_eq!(left, [true, false, true]);
    }

    #[test]
    fn a_layer_of_an_earlier_boot_counts_only_when_it_was_settled() {
        let (_keep, root, layers) = layers();
        insert(&layers, &root, "aa", 10);
        insert(&layers, &root, "bb", 10);
        let file = File::options().append(true).open(layers.note("aa")).unwrap();
        file.set_modified(SystemTime::now() - 2 * SETTLED_AFTER).unwrap();
        let mut synced = 0;
        layers
            .settle(|| {
                synced += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!(synced, 1);
        let next_boot = Layers { boot: "another".into(), ..layers.clone() };
        assert!(next_boot.find("aa").is_some());
        assert!(next_boot.find("bb").is_none());
        assert!(layers.find("bb").is_some());
        layers.settle(|| panic!("nothing is due")).unwrap();
    }

    #[test]
    fn nothing_is_pruned_while_another_build_uses_the_store() {
        let (_keep, root, layers) = layers();
        insert(&layers, &root, "aa", 1000);
        let other = Layers::open(&root).unwrap();
        assert_eq!(layers.prune(0, &[]), 0);
        drop(other);
        // A process that another test forks holds every lock until it executes its program.
        let pruned = (0..250).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            layers.prune(0, &[]) == 1
        });
        assert!(pruned);
    }
}
