//! `install-static`: the elements' `static/` is laid over the image.
//!
//! In: `static/` of the hooks folder. Out: its files in the image, root's, without what a version control system or an editor
//! leaves behind (the list of rsync's `-C`). Unlike rsync, a folder that is a symlink in the image stays one.

use camino::Utf8Path;

use super::copy::{self, Keep};
use super::{PlumbingError, Site};

/// Names that are not copied, in whole.
const NAMES: &[&str] =
    &["RCS", "SCCS", "CVS", "CVS.adm", "RCSLOG", "tags", "TAGS", ".make.state", ".nse_depinfo", "core"];
/// Folders that are not copied.
const FOLDERS: &[&str] = &[".svn", ".git", ".hg", ".bzr"];
/// Ends of names that are not copied.
const ENDS: &[&str] = &[
    "~", "$", ".old", ".bak", ".BAK", ".orig", ".rej", ".a", ".olb", ".o", ".obj", ".so", ".exe", ".Z", ".elc", ".ln",
];
/// Beginnings of names that are not copied.
const BEGINNINGS: &[&str] = &["cvslog.", "#", ".#", ",", "_$", ".del-"];

pub fn run(site: &Site<'_>) -> Result<(), PlumbingError> {
    let from = site.hooks.join("static");
    if !from.is_dir() {
        return Ok(());
    }
    let tree = site.tree()?;
    let skip = |name: &str, is_folder: bool| {
        let skip = is_ignored(name, is_folder);
        if skip {
            site.events
                .warn(format!("static/ has `{name}`, which is not copied into the image: rename it if it is needed"));
        }
        skip
    };
    copy::folder(&tree, &from, Utf8Path::new("/"), Keep::Mode, site.events, skip)
}

fn is_ignored(name: &str, is_folder: bool) -> bool {
    NAMES.contains(&name)
        || (is_folder && FOLDERS.contains(&name))
        || ENDS.iter().any(|end| name.ends_with(end))
        || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;

    #[test]
    fn files_are_roots_and_an_existing_one_keeps_its_mode() {
        let bench = Bench::new().hook("static/etc/new", "n").hook("static/etc/old", "o").hook("static/opt/x/run", "r");
        bench.chmod("hooks/static/etc/new", 0o666);
        bench.chmod("hooks/static/opt/x/run", 0o775);
        bench.write("etc/old", "before");
        bench.chmod("root/etc/old", 0o600);
        std::os::unix::fs::symlink("new", bench.path("hooks/static/etc/link")).unwrap();
        bench.run("install-static").unwrap();
        assert_eq!((bench.image("etc/new").as_str(), bench.mode("etc/new")), ("n", 0o644));
        assert_eq!((bench.image("etc/old").as_str(), bench.mode("etc/old")), ("o", 0o600));
        assert_eq!(bench.mode("opt/x/run"), 0o755);
        assert_eq!(bench.path("root/etc/link").read_link_utf8().unwrap(), "new");
    }

    #[test]
    fn what_version_control_ignores_is_not_copied() {
        let mut bench =
            Bench::new().hook("static/lib.so.1", "y").hook("static/.gitignore", "y").hook("static/score", "y");
        let ignored = ["core", "a.o", "x~", "#x#", ".#x", "b.bak", "CVS/Entries", ".git/config", "tags", "l.so"];
        for name in ignored {
            bench = bench.hook(&format!("static/{name}"), "n");
        }
        bench.run("install-static").unwrap();
        for name in ["lib.so.1", ".gitignore", "score"] {
            assert!(bench.exists(name), "{name}");
        }
        for name in ignored {
            assert!(!bench.exists(name), "{name}");
        }
    }

    #[test]
    fn a_merged_usr_stays_merged_and_no_link_leads_out() {
        let bench = Bench::new().hook("static/lib/systemd/x", "s").hook("static/out/secret", "image");
        bench.write("usr/lib/y", "");
        bench.link("usr/lib", "lib");
        bench.link(bench.path("outside").as_str(), "out");
        std::fs::write(bench.path("outside/secret"), "host").unwrap();
        bench.run("install-static").unwrap();
        assert_eq!(bench.image("usr/lib/systemd/x"), "s");
        assert!(bench.path("root/lib").is_symlink());
        assert_eq!(std::fs::read_to_string(bench.path("outside/secret")).unwrap(), "host");
    }
}
