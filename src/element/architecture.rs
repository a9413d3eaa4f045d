//! Names of architectures.
//!
//! In: a name as Debian or a kernel (`uname -m`) spells it. Out: Debian's spelling, which is the only one after the command
//! line. Not here: what an architecture can do.

/// The architectures that Debian builds or has a port of, in its spelling; the usual ones first.
pub const KNOWN: [&str; 14] = [
    "amd64", "arm64", "armel", "armhf", "i386", "loong64", "mips64el", "powerpc", "ppc64", "ppc64el", "riscv64",
    "s390x", "sparc64", "x32",
];

/// Spellings of `uname -m` that are not Debian's.
const UNAME: [(&str, &str); 12] = [
    ("x86_64", "amd64"),
    ("aarch64", "arm64"),
    ("armv5tel", "armel"),
    ("armv6l", "armel"),
    ("armv7l", "armhf"),
    ("i486", "i386"),
    ("i586", "i386"),
    ("i686", "i386"),
    ("x86", "i386"),
    ("loongarch64", "loong64"),
    ("ppc", "powerpc"),
    ("ppc64le", "ppc64el"),
];

/// Debian's name for `name`, `None` when nobody calls an architecture so.
pub fn debian(name: &str) -> Option<&'static str> {
    let translated = UNAME.iter().find(|(kernel, _)| *kernel == name).map_or(name, |(_, debian)| *debian);
    KNOWN.into_iter().find(|known| *known == translated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_leads_to_debians() {
        for (kernel, debian_name) in UNAME {
            assert_eq!(debian(kernel), Some(debian_name));
        }
        for name in KNOWN {
            assert_eq!(debian(name), Some(name));
        }
        assert_eq!(debian("amd46"), None);
    }
}
