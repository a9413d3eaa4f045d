//! What a target in memory brings from outside: what a test arranged.
//!
//! In: contents by address. Out: files in a temporary folder that goes with the target. What nobody arranged is empty, so that
//! the effects of any element can be looked at without a network.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use camino::Utf8PathBuf;
use tempfile::TempDir;

use super::TargetError;
use super::outside::{Material, Outside};

/// Pretended downloads, checkouts and secrets.
#[derive(Default)]
pub struct Pretended(Mutex<State>);

#[derive(Default)]
struct State {
    /// Contents by address; of a checkout its tar archive.
    contents: BTreeMap<String, Vec<u8>>,
    secrets: BTreeMap<String, String>,
    /// Made when something is fetched.
    folder: Option<TempDir>,
}

impl Pretended {
    /// Arranges what is at `url`; of a repository, a tar archive of its tree.
    pub fn content(&self, url: &str, content: Vec<u8>) {
        self.state().contents.insert(url.to_owned(), content);
    }

    /// Arranges the secret called `id`.
    pub fn add_secret(&self, id: &str, text: &str) {
        self.state().secrets.insert(id.to_owned(), text.to_owned());
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn material(&self, url: &str) -> Result<Material, TargetError> {
        let mut state = self.state();
        let fail = |error: std::io::Error| TargetError::new("fetch.failed", format!("cannot pretend {url}: {error}"));
        if state.folder.is_none() {
            state.folder = Some(tempfile::tempdir().map_err(fail)?);
        }
        let folder = state.folder.as_ref().map(|folder| folder.path().to_owned()).unwrap_or_default();
        let content = state.contents.get(url);
        // By its place among the names: a URL holds slashes.
        let number =
            state.contents.keys().position(|known| known == url).map_or("none".to_owned(), |at| at.to_string());
        let file = Utf8PathBuf::from_path_buf(folder.join(number))
            .map_err(|path| fail(std::io::Error::other(format!("{} is not UTF-8", path.display()))))?;
        std::fs::write(&file, content.map(Vec::as_slice).unwrap_or_default()).map_err(fail)?;
        Ok(Material { file, name: url.to_owned(), pretended: content.is_none() })
    }
}

impl Outside for Pretended {
    fn fetch(&self, url: &str, _sha256: &str) -> Result<Material, TargetError> {
        self.material(url)
    }

    fn checkout(&self, url: &str, _commit: &str) -> Result<Material, TargetError> {
        self.material(url)
    }

    fn secret(&self, id: &str) -> Result<String, TargetError> {
        Ok(self.state().secrets.get(id).cloned().unwrap_or_else(|| format!("secret {id}")))
    }
}
