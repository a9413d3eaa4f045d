//! An element in a temporary folder, for the tests of this room.

use std::sync::Arc;

use camino::Utf8PathBuf;

use super::testing;
use super::{Call, Effect, run};
use crate::diagnostic::Diagnostic;
use crate::event::Events;
use crate::plan::PlannedElement;
use crate::target::fake::FakeTarget;

/// An element called `vim`.
pub struct Fixture {
    folder: tempfile::TempDir,
    /// The element as planned; tests change its grants and options.
    pub element: PlannedElement,
    /// What its scripts act on.
    pub target: FakeTarget,
}

impl Fixture {
    /// An element with these grants.
    pub fn new(permissions: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let directory = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap().join("vim");
        std::fs::create_dir(&directory).unwrap();
        let element = PlannedElement {
            name: "vim".into(),
            directory,
            permissions: permissions.iter().map(|text| (*text).to_owned()).collect(),
            options: [("port".to_owned(), 80.into())].into(),
        };
        Self { folder, element, target: FakeTarget::new() }
    }

    /// Adds a file to the element.
    pub fn file(self, path: &str, text: &str) -> Self {
        let path = self.element.directory.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// The folder around the element's.
    pub fn outside(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Calls `install` of `element.rhai`.
    pub fn install(&self) -> Result<Vec<Effect>, Diagnostic> {
        let call = Call {
            element: self.element.clone(),
            file: self.element.directory.join("element.rhai"),
            function: "install".into(),
            facts: testing::facts(&self.element),
        };
        run(&call, Arc::new(self.target.clone()), &Events::none())
    }

    /// Calls `install` of this text.
    pub fn script(self, text: &str) -> Result<Vec<Effect>, Diagnostic> {
        self.file("element.rhai", text).install()
    }
}

/// What `install` with this body says when it fails; the element has these grants.
pub fn failure(permissions: &[&str], text: &str) -> String {
    Fixture::new(permissions).script(text).unwrap_err().render(false)
}
