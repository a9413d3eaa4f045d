//! Where a command may write: below some folders and nowhere else.
//!
//! In: folders and files. Out: a [`Confinement`], which the forked child enters last, when its mounts are made. The kernel (Landlock,
//! since Linux 5.13; moving files between folders needs 5.19) then refuses it, and everything it starts, to make, change, move or
//! remove files elsewhere, and to mount; reading is not restricted. Not here: the network (`setup`), who is confined (`hook/`).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use camino::Utf8Path;
use landlock::{ABI, AccessFs, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr};

/// A set of rules that is ready to be entered.
#[derive(Clone, Debug)]
pub struct Confinement(Arc<OwnedFd>);

impl Confinement {
    /// Rules that leave only what is at or below `paths` to write; a path that does not exist is left out.
    ///
    /// # Errors
    /// The kernel has no Landlock, or refuses.
    pub fn writing_below<'a>(paths: impl IntoIterator<Item = &'a Utf8Path>) -> io::Result<Self> {
        let failed = |error: landlock::RulesetError| {
            let hint = "the kernel must have Landlock (Linux 5.19 or later, `landlock` among its security modules)";
            io::Error::new(io::ErrorKind::Unsupported, format!("cannot confine hooks: {error}; {hint}"))
        };
        let rights = AccessFs::from_write(ABI::V3);
        // Without the right to move files between folders (ABI 2) the kernel would forbid it everywhere; truncating came later
        // and is refused where the kernel can.
        let mut rules = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_write(ABI::V2))
            .map_err(failed)?
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(rights)
            .map_err(failed)?
            .create()
            .map_err(failed)?;
        for path in paths {
            let Ok(place) = PathFd::new(path.as_std_path()) else { continue };
            let rights = if path.is_dir() { rights } else { rights & AccessFs::from_file(ABI::V3) };
            rules = rules.add_rule(PathBeneath::new(place, rights)).map_err(failed)?;
        }
        let rules: Option<OwnedFd> = rules.into();
        let missing = || io::Error::new(io::ErrorKind::Unsupported, "the kernel keeps no Landlock rules");
        Ok(Self(Arc::new(rules.ok_or_else(missing)?)))
    }

    /// Confines the calling process. For a forked child: makes one system call and allocates nothing.
    pub(super) fn enter(&self) -> nix::Result<()> {
        // SAFETY: takes two numbers, of a descriptor that lives as long as `self`, and of no flags.
        #[expect(unsafe_code, reason = "no library enters rules without allocating")]
        let result = unsafe { nix::libc::syscall(nix::libc::SYS_landlock_restrict_self, self.0.as_raw_fd(), 0) };
        nix::errno::Errno::result(result).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::event::Events;
    use crate::sandbox::command::Command;

    #[test]
    fn a_confined_command_writes_below_its_folders_only_and_reads_everywhere() {
        let temp = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(temp.path()).unwrap();
        for folder in ["mine", "theirs"] {
            fs::create_dir(root.join(folder)).unwrap();
            fs::write(root.join(folder).join("file"), folder).unwrap();
        }
        let mine = root.join("mine");
        let null = Utf8Path::new("/dev/null");
        let Ok(confinement) = Confinement::writing_below([mine.as_path(), null, Utf8Path::new("/no/such")]) else {
            // This kernel has no Landlock.
            return;
        };
        let status = |script: &str| {
            let command = Command::new(["/bin/sh", "-c", script]).directory(root).confined(Some(&confinement));
            command.run(&Events::none()).unwrap().status
        };
        for allowed in [
            "echo x > mine/new",
            "cat theirs/file > mine/copy",
            "mkdir mine/a mine/b && mv mine/copy mine/a && mv mine/a/copy mine/b/other",
            "echo x > /dev/null",
            "rm mine/file",
        ] {
            assert_eq!(status(allowed), 0, "{allowed}");
        }
        for refused in [
            "echo x > theirs/new",
            "echo x >> theirs/file",
            "rm theirs/file",
            "mv mine/new theirs/",
            "ln -s x theirs/link",
            "mount -t tmpfs none mine/a",
            "sh -c 'mkdir theirs/folder'",
        ] {
            assert_ne!(status(refused), 0, "{refused}");
        }
        assert_eq!(fs::read_to_string(root.join("theirs/file")).unwrap(), "theirs");
    }
}
