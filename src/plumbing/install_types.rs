//! `install-types`: the hooks of the install type that was chosen join `install.d`.
//!
//! In: folders `install.d/PREFIX-TYPE-install` of the hooks folder, `DIB_INSTALLTYPE_PREFIX` and `DIB_DEFAULT_INSTALLTYPE`.
//! Out: symlinks in `install.d` of the hooks folder. The image is not touched.

use std::fs;
use std::os::unix::fs::symlink;

use super::install_bin::names;
use super::{PlumbingError, Site};

const VARIABLE: &str = "DIB_INSTALLTYPE_";

pub fn run(site: &Site<'_>) -> Result<(), PlumbingError> {
    let phase = site.hooks.join("install.d");
    if !phase.is_dir() {
        return Ok(());
    }
    for folder in names(&phase)? {
        let name = folder.file_name().unwrap_or_default();
        let Some(stem) = name.strip_suffix("-install").filter(|_| folder.is_dir()) else { continue };
        if !is_chosen(stem, site) {
            continue;
        }
        for hook in names(&folder)? {
            let file = hook.file_name().unwrap_or_default();
            let link = phase.join(file);
            if link.symlink_metadata().is_ok() {
                fs::remove_file(&link).map_err(PlumbingError::host("replace", &*link))?;
            }
            symlink(format!("{name}/{file}"), &link).map_err(PlumbingError::host("make the symlink", &*link))?;
        }
    }
    Ok(())
}

/// Whether `stem`, a prefix and a type, is what the variables chose: the prefix's own, else the default. A prefix may have
/// dashes, the name of a variable may not.
fn is_chosen(stem: &str, site: &Site<'_>) -> bool {
    let own = |prefix: &str| site.variable(&format!("{VARIABLE}{}", prefix.replace('-', "_")));
    let default = site.variable("DIB_DEFAULT_INSTALLTYPE").unwrap_or("source");
    stem.match_indices('-').any(|(at, _)| {
        let (prefix, kind) = (&stem[..at], &stem[at + 1..]);
        own(prefix).unwrap_or(default) == kind
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;

    #[test]
    fn the_chosen_type_or_else_the_default_is_linked() {
        let bench = Bench::new()
            .hook("install.d/a-b-package-install/10-p", "")
            .hook("install.d/a-b-source-install/10-s", "")
            .hook("install.d/c-package-install/20-p", "")
            .hook("install.d/c-source-install/20-s", "")
            .hook("install.d/30-plain", "")
            .set("DIB_INSTALLTYPE_a_b", "package");
        bench.run("install-types").unwrap();
        bench.run("install-types").unwrap();
        let link =
            |name: &str| bench.path("hooks/install.d").join(name).read_link_utf8().ok().map(|to| to.into_string());
        assert_eq!(link("10-p").as_deref(), Some("a-b-package-install/10-p"));
        assert_eq!(link("20-s").as_deref(), Some("c-source-install/20-s"));
        assert_eq!((link("10-s"), link("20-p")), (None, None));
    }
}
