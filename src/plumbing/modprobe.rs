//! `modprobe`: the elements' `modprobe.d/*.conf` go to `/etc/modprobe.d`.
//!
//! In: the elements' folders. Out: their settings in the image; of two files of one name the later element's stays. Not here:
//! `DIB_MODPROBE_BLACKLIST`, which the element writes after the packages, as one of them may bring the same file.

use camino::Utf8Path;

use super::copy::{self, Keep};
use super::install_bin::names;
use super::{PlumbingError, Site};
use crate::target::{Attributes, Target};

pub fn run(site: &Site<'_>) -> Result<(), PlumbingError> {
    let (tree, to) = (site.tree()?, Utf8Path::new("/etc/modprobe.d"));
    tree.make_dir(to, Attributes::default())?;
    for (element, folder) in site.elements {
        let from = folder.join("modprobe.d");
        if !from.is_dir() {
            continue;
        }
        for path in names(&from)?.iter().filter(|path| path.extension() == Some("conf")) {
            let at = to.join(path.file_name().unwrap_or_default());
            if tree.stat(&at)?.is_some() {
                site.events.warn(format!("{at} is there already and is replaced by that of element {element}"));
            }
            let metadata = path.metadata().map_err(PlumbingError::host("read", path.as_path()))?;
            copy::one(&tree, path, &metadata, &at, Keep::Mode, site.events)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;

    #[test]
    fn settings_of_every_element_are_copied() {
        let bench = Bench::new()
            .element("a", &[("modprobe.d/x.conf", "1"), ("modprobe.d/README", "no")])
            .element("b", &[("modprobe.d/x.conf", "2"), ("modprobe.d/y.conf", "3")]);
        bench.run("modprobe").unwrap();
        assert_eq!(
            (bench.image("etc/modprobe.d/x.conf"), bench.image("etc/modprobe.d/y.conf")),
            ("2".into(), "3".into())
        );
        assert!(!bench.exists("etc/modprobe.d/README"));
        assert!(bench.warnings()[0].contains("replaced by that of element b"));
    }
}
