//! A place to try stages in: a small tree, a hooks folder, elements, a folder outside.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::{Arc, Mutex};

use camino::{Utf8Path, Utf8PathBuf};

use super::{PlumbingError, Site, run};
use crate::event::{Event, Events, Level};

pub struct Bench {
    folder: tempfile::TempDir,
    elements: Vec<(String, Utf8PathBuf)>,
    variables: BTreeMap<String, String>,
    said: Arc<Mutex<Vec<Event>>>,
    pub offline: bool,
}

impl Bench {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["root/etc", "root/tmp", "hooks", "elements", "outside", "here"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned();
        let variables = [("PATH".to_owned(), path), ("HOME".to_owned(), folder.path().to_str().unwrap().to_owned())];
        Self { folder, elements: Vec::new(), variables: variables.into(), said: Arc::default(), offline: false }
    }

    pub fn path(&self, below: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.folder.path()).unwrap().join(below)
    }

    fn put(&self, path: &Utf8Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn hook(self, path: &str, text: &str) -> Self {
        self.put(&self.path("hooks").join(path), text);
        self
    }

    pub fn write(&self, path: &str, text: &str) {
        self.put(&self.path("root").join(path), text);
    }

    pub fn element(mut self, name: &str, files: &[(&str, &str)]) -> Self {
        let folder = self.path("elements").join(name);
        fs::create_dir_all(&folder).unwrap();
        for (path, text) in files {
            self.put(&folder.join(path), text);
        }
        self.elements.push((name.to_owned(), folder));
        self
    }

    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn link(&self, to: &str, path: &str) {
        let path = self.path("root").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(to, path).unwrap();
    }

    pub fn chmod(&self, below: &str, mode: u32) {
        fs::set_permissions(self.path(below), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn image(&self, path: &str) -> String {
        let path = self.path("root").join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub fn exists(&self, path: &str) -> bool {
        self.path("root").join(path).symlink_metadata().is_ok()
    }

    pub fn mode(&self, path: &str) -> u32 {
        self.path("root").join(path).metadata().unwrap().permissions().mode() & 0o7777
    }

    pub fn warnings(&self) -> Vec<String> {
        let said = self.said.lock().unwrap();
        said.iter()
            .filter_map(|event| match event {
                Event::Message { level: Level::Warning, text } => Some(text.clone()),
                _ => None,
            })
            .collect()
    }

    pub fn run(&self, stage: &str) -> Result<(), PlumbingError> {
        let said = Arc::clone(&self.said);
        let events = Events::new(move |event| said.lock().unwrap().push(event));
        run(
            stage,
            &Site {
                root: &self.path("root"),
                hooks: &self.path("hooks"),
                elements: &self.elements,
                variables: &self.variables,
                distribution: "debian",
                family: "debian",
                release: "bookworm",
                arch: "amd64",
                image_name: "demo",
                directory: &self.path("here"),
                offline: self.offline,
                events: &events,
            },
        )
    }
}
