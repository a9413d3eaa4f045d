//! `init-scripts`: init scripts of elements go to where the image's init system looks for them.
//!
//! In: `init-scripts/SYSTEM/` of the hooks folder and `DIB_INIT_SYSTEM`. Out: the scripts in the image; OpenRC, which starts
//! nothing unasked, gets them in its default runlevel, too. Not here: enabling services of other init systems.

use camino::Utf8Path;

use super::copy::{self, Keep};
use super::install_bin::names;
use super::{PlumbingError, Site};
use crate::target::Target;

pub fn run(site: &Site<'_>) -> Result<(), PlumbingError> {
    let system = site.variable("DIB_INIT_SYSTEM").ok_or_else(|| {
        PlumbingError::wrong(
            "DIB_INIT_SYSTEM is not set: the operating system element should set it in its environment",
        )
    })?;
    let to = match system {
        "systemd" => "/usr/lib/systemd/system",
        "upstart" => "/etc/init",
        "openrc" | "sysv" => "/etc/init.d",
        _ => {
            return Err(PlumbingError::wrong(format!(
                "DIB_INIT_SYSTEM is `{system}`, which is unknown; use systemd, upstart, openrc or sysv"
            )));
        }
    };
    let from = site.hooks.join("init-scripts").join(system);
    if !from.is_dir() {
        return Ok(());
    }
    let (tree, to) = (site.tree()?, Utf8Path::new(to));
    copy::folder(&tree, &from, to, Keep::Mode, site.events, |_, _| false)?;
    if system == "openrc" {
        for script in names(&from)? {
            let name = script.file_name().unwrap_or_default();
            tree.symlink(&to.join(name), &Utf8Path::new("/etc/runlevels/default").join(name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;

    #[test]
    fn each_init_system_has_its_folder() {
        for (system, path) in [
            ("systemd", "usr/lib/systemd/system/a"),
            ("upstart", "etc/init/a"),
            ("openrc", "etc/init.d/a"),
            ("sysv", "etc/init.d/a"),
        ] {
            let bench = Bench::new().hook(&format!("init-scripts/{system}/a"), "x").set("DIB_INIT_SYSTEM", system);
            bench.run("init-scripts").unwrap();
            assert_eq!(bench.image(path), "x");
            assert_eq!(bench.path("root/etc/runlevels/default/a").is_symlink(), system == "openrc");
        }
    }

    #[test]
    fn an_unknown_init_system_is_refused() {
        let failed = |bench: Bench| bench.run("init-scripts").unwrap_err().to_string();
        assert!(failed(Bench::new()).starts_with("DIB_INIT_SYSTEM is not set"));
        assert!(failed(Bench::new().set("DIB_INIT_SYSTEM", "launchd")).contains("`launchd`, which is unknown"));
    }
}
