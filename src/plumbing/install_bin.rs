//! `install-bin`: the programs in the elements' `bin/` go to `/usr/local/bin` of the image, where hooks find them.
//!
//! In: `bin/` of the hooks folder. Out: executables of root. They stay in the image, as in DIB.

use std::fs::{self, File};

use camino::Utf8Path;

use super::{PlumbingError, Site};
use crate::target::{Attributes, Target};

const TO: &str = "/usr/local/bin";

pub fn run(site: &Site<'_>) -> Result<(), PlumbingError> {
    let from = site.hooks.join("bin");
    if !from.is_dir() {
        return Ok(());
    }
    let tree = site.tree()?;
    tree.make_dir(Utf8Path::new(TO), Attributes::default())?;
    for path in names(&from)? {
        let name = path.file_name().unwrap_or_default();
        // A symlink stands for the program that it leads to.
        let metadata = fs::metadata(&path).map_err(PlumbingError::host("read", &*path))?;
        if !metadata.is_file() {
            return Err(PlumbingError::wrong(format!(
                "bin/{name} of an element is no file, and only files can be installed as programs; move it elsewhere"
            )));
        }
        let mut file = File::open(&path).map_err(PlumbingError::host("read", &*path))?;
        let root = || Some("0".to_owned());
        let attributes = Attributes { mode: Some(0o755), owner: root(), group: root() };
        tree.write_from(&Utf8Path::new(TO).join(name), &mut file, None, attributes)?;
    }
    Ok(())
}

/// Paths of what is in the folder, sorted, without hidden names, as a shell's `*` gives them.
pub(super) fn names(folder: &Utf8Path) -> Result<Vec<camino::Utf8PathBuf>, PlumbingError> {
    let mut paths = Vec::new();
    for entry in folder.read_dir_utf8().map_err(PlumbingError::host("read", folder))? {
        let entry = entry.map_err(PlumbingError::host("read", folder))?;
        if !entry.file_name().starts_with('.') {
            paths.push(entry.into_path());
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;

    #[test]
    fn programs_are_executable_and_hidden_files_stay_outside() {
        let bench = Bench::new().hook("bin/tool", "#!/bin/sh\n").hook("bin/.hidden", "").hook("bin/real", "x");
        std::os::unix::fs::symlink("real", bench.path("hooks/bin/alias")).unwrap();
        bench.run("install-bin").unwrap();
        assert_eq!(bench.image("usr/local/bin/tool"), "#!/bin/sh\n");
        assert_eq!(bench.mode("usr/local/bin/tool"), 0o755);
        assert_eq!(bench.image("usr/local/bin/alias"), "x");
        assert!(!bench.exists("usr/local/bin/.hidden"));
    }

    #[test]
    fn a_folder_of_the_image_that_leads_out_does_not() {
        let bench = Bench::new().hook("bin/tool", "x");
        bench.link(bench.path("outside").as_str(), "usr/local");
        bench.run("install-bin").unwrap();
        assert!(!bench.path("outside/bin").exists());
        // The link is read in the image.
        assert!(bench.path("root").join(bench.path("outside/bin/tool").as_str().trim_start_matches('/')).exists());
    }

    #[test]
    fn a_folder_is_no_program() {
        let bench = Bench::new().hook("bin/sub/tool", "x");
        assert!(bench.run("install-bin").unwrap_err().to_string().starts_with("bin/sub of an element is no file"));
    }
}
