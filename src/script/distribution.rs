//! What a script is told when it runs on an image in memory that shall look like one of a distribution.
//!
//! In: a name. Out: family, release and package manager, as an image of that distribution would have them. Not here: how any
//! of them works (`distro/`).

use super::nearest::{close, suggestion};

/// A distribution that elements can be tried for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// `debian`
    pub name: &'static str,
    /// What package maps count it in: `debian`, `redhat`; its own name where they know no family.
    pub family: &'static str,
    /// A release that is current, as its users name it.
    pub release: &'static str,
    /// `apt`
    pub package_manager: &'static str,
    /// What DIB_INIT_SYSTEM would be: `systemd`
    pub init_system: &'static str,
}

impl Distribution {
    /// Variables that an operating-system element sets for the others.
    pub fn variables(&self) -> [(String, String); 2] {
        [("DISTRO_NAME", self.name), ("DIB_INIT_SYSTEM", self.init_system)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    }
}

const fn distribution(
    name: &'static str,
    family: &'static str,
    release: &'static str,
    package_manager: &'static str,
    init_system: &'static str,
) -> Distribution {
    Distribution { name, family, release, package_manager, init_system }
}

/// Every distribution that elements can be tried for.
pub const ALL: [Distribution; 8] = [
    distribution("debian", "debian", "bookworm", "apt", "systemd"),
    distribution("ubuntu", "debian", "noble", "apt", "systemd"),
    distribution("fedora", "redhat", "43", "dnf", "systemd"),
    distribution("centos", "redhat", "9-stream", "dnf", "systemd"),
    distribution("opensuse", "suse", "15.6", "zypper", "systemd"),
    distribution("arch", "arch", "rolling", "pacman", "systemd"),
    distribution("alpine", "alpine", "3.22", "apk", "openrc"),
    distribution("gentoo", "gentoo", "rolling", "emerge", "openrc"),
];

/// The one called `name`.
///
/// # Errors
/// There is none; the text names those that are near, or all.
pub fn find(name: &str) -> Result<&'static Distribution, String> {
    ALL.iter().find(|known| known.name == name).ok_or_else(|| {
        let names = ALL.map(|known| known.name);
        let near = close(name, names);
        let help = if near.is_empty() { format!("; there are {}", names.join(", ")) } else { suggestion(&near) };
        format!("there is no distribution `{name}`{help}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_and_a_misspelt_one_is_answered_with_the_nearest() {
        assert_eq!(find("fedora").unwrap().family, "redhat");
        assert_eq!(find("fedroa").unwrap_err(), "there is no distribution `fedroa`; did you mean `fedora`?");
        assert!(find("plan9").unwrap_err().ends_with("arch, alpine, gentoo"));
    }
}
