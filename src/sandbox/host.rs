//! Facts about the machine and the process that need a system call.
//!
//! In: nothing, or a path. Out: one fact. Not here: what follows from it.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};

/// Whether this process has root's rights (in its user namespace).
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Bytes that an unprivileged process may still write on the file system of `path`, which must exist.
///
/// # Errors
/// When the file system does not tell.
pub fn free_space(path: &Utf8Path) -> io::Result<u64> {
    let facts = rustix::fs::statvfs(path.as_std_path())?;
    Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
}

/// Bytes of memory that a process here may still use without others being pushed out: what the kernel estimates (`MemAvailable`,
/// proc_meminfo(5)), or what its control group leaves it (`memory.max` of cgroup v2, of it and those above), whichever is less.
///
/// # Errors
/// When the kernel does not tell.
pub fn free_memory() -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let available =
        text.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.trim().strip_suffix(" kB")?.parse().ok());
    let available: u64 = available.ok_or_else(|| io::Error::other("/proc/meminfo does not tell what is available"))?;
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let number = |path: Utf8PathBuf| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let left = Utf8Path::new("/sys/fs/cgroup")
        .join(own)
        .ancestors()
        .filter_map(|group| {
            let (most, used) = (number(group.join("memory.max"))?, number(group.join("memory.current"))?);
            Some(most.saturating_sub(used))
        })
        .min();
    Ok(left.unwrap_or(u64::MAX).min(available << 10))
}

/// Whether the file at `path` cannot be changed until somebody takes its immutable flag away (chattr(1)). A file that does not
/// exist, or whose file system has no flags, can.
pub fn is_immutable(path: &Utf8Path) -> bool {
    let file = std::fs::File::open(path);
    let flags = file.and_then(|file| rustix::fs::ioctl_getflags(file).map_err(io::Error::from));
    flags.is_ok_and(|flags| flags.contains(rustix::fs::IFlags::IMMUTABLE))
}

/// What kind of file system `path` is on, in the words of mount(8); `unknown` when it has no well-known number (statfs(2)).
///
/// # Errors
/// When `path` does not exist or the file system does not tell.
pub fn filesystem_kind(path: &Utf8Path) -> io::Result<&'static str> {
    let facts = rustix::fs::statfs(path.as_std_path())?;
    // The field's type differs between architectures; the numbers all have 32 bits.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
    let number = facts.f_type as u32;
    Ok(match number {
        0x794c_7630 => "overlay",
        0x6969 => "nfs",
        0x6573_5546 => "fuse",
        0x0102_1994 => "tmpfs",
        0x8584_58f6 => "ramfs",
        0xef53 => "ext4",
        0x5846_5342 => "xfs",
        0x9123_683e => "btrfs",
        0xca45_1a4e => "bcachefs",
        0x2fc1_2fc1 => "zfs",
        0xf2f5_2010 => "f2fs",
        0xff53_4d42 => "cifs",
        0xfe53_4d42 => "smb3",
        0x0102_1997 => "9p",
        0x00c3_6400 => "ceph",
        0x4d44 => "vfat",
        0x2011_bab0 => "exfat",
        0x7366_746e => "ntfs",
        0x7371_7368 => "squashfs",
        0xe0f5_e1e2 => "erofs",
        0x9fa0 => "proc",
        0x6265_6572 => "sysfs",
        _ => "unknown",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_have_the_names_that_mount_gives_them() {
        assert_eq!(filesystem_kind(Utf8Path::new("/proc")).unwrap(), "proc");
        assert_eq!(filesystem_kind(Utf8Path::new("/dev/shm")).unwrap(), "tmpfs");
        assert!(filesystem_kind(Utf8Path::new("/no/such/path")).is_err());
    }

    #[test]
    fn free_space_is_told_for_what_exists() {
        assert!(free_space(Utf8Path::new("/tmp")).unwrap() > 0);
        assert!(free_space(Utf8Path::new("/tmp/no-such-image.raw")).is_err());
    }
}
