//! Package repositories and their keys, as files of the image.
//!
//! In: a repository, and whose package manager reads it. Out: the files that name it. Pure.
//! Formats: sources.list(5) (deb822), dnf.conf(5), zypper's `.repo`, pacman.conf(5), apk-repositories(5), Gentoo's `repos.conf`.
//! Not here: who may add one, fetching its index.

use std::fmt::Write as _;

/// Package managers, as far as their repositories' files differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    /// Debian's.
    Apt,
    /// Fedora's and its relatives', yum too.
    Dnf,
    /// openSUSE's.
    Zypper,
    /// Arch Linux's.
    Pacman,
    /// Alpine's.
    Apk,
    /// Gentoo's.
    Emerge,
}

/// A repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repository {
    /// What its files are called: letters, digits, `-`, `_`.
    pub name: String,
    /// Its address.
    pub url: String,
    /// For apt: `bookworm`, or a path ending in `/`.
    pub suite: String,
    /// For apt: `main`.
    pub components: Vec<String>,
    /// The name of the key that signs it, as added before; without one it is not trusted to be anybody's.
    pub key: Option<String>,
    /// Its packages are taken although nobody signed them.
    pub unsigned: bool,
}

/// How a repository enters the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A file of its own.
    File {
        /// Its path.
        path: String,
        /// Its text.
        text: String,
    },
    /// Lines of a shared file, between marks that bear the repository's name.
    Block {
        /// The file's path.
        path: String,
        /// The lines, with a line feed after each.
        text: String,
    },
}

impl Manager {
    /// The manager of a distribution's family.
    pub fn of_family(family: &str, distribution: &str) -> Option<Self> {
        match (family, distribution) {
            ("debian", _) | (_, "debian" | "ubuntu") => Some(Self::Apt),
            ("suse", _) | (_, "opensuse" | "sles" | "suse") => Some(Self::Zypper),
            ("redhat", _) | (_, "fedora" | "centos" | "rhel" | "rocky" | "almalinux" | "openeuler") => Some(Self::Dnf),
            ("arch", _) | (_, "arch" | "archlinux") => Some(Self::Pacman),
            ("alpine", _) | (_, "alpine") => Some(Self::Apk),
            ("gentoo", _) | (_, "gentoo") => Some(Self::Emerge),
            _ => None,
        }
    }

    /// The folder that shows that an image has it; the order matters where an image has several.
    pub const MARKS: [(&'static str, Self); 6] = [
        ("/etc/apt", Self::Apt),
        ("/etc/zypp", Self::Zypper),
        ("/etc/yum.repos.d", Self::Dnf),
        ("/etc/pacman.conf", Self::Pacman),
        ("/etc/apk", Self::Apk),
        ("/etc/portage", Self::Emerge),
    ];

    /// Where the key called `name` is kept; `armoured` when it is text. `None` where the manager has a keyring of its own.
    pub fn key_path(self, name: &str, armoured: bool) -> String {
        match self {
            // apt tells the two forms by the suffix.
            Self::Apt => format!("/etc/apt/keyrings/{name}.{}", if armoured { "asc" } else { "gpg" }),
            Self::Dnf | Self::Zypper => format!("/etc/pki/rpm-gpg/RPM-GPG-KEY-{name}"),
            Self::Pacman => format!("/usr/share/pacman/keyrings/{name}.gpg"),
            Self::Apk => format!("/etc/apk/keys/{name}.rsa.pub"),
            Self::Emerge => format!("/usr/share/openpgp-keys/{name}.asc"),
        }
    }

    /// Commands inside the image that make the manager trust a key that was put at `path`.
    pub fn trust(self, name: &str, path: &str) -> Vec<Vec<String>> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
        match self {
            // `gpgkey=` of the repository names it, but an image may check packages before it has one.
            Self::Dnf | Self::Zypper => vec![words(&["rpm", "--import", path])],
            Self::Pacman => vec![words(&["pacman-key", "--add", path]), words(&["pacman-key", "--populate", name])],
            Self::Apt | Self::Apk | Self::Emerge => Vec::new(),
        }
    }

    /// The file that makes `repository` known. `key_path` is where its key is, when it has one.
    pub fn entry(self, repository: &Repository, key_path: Option<&str>) -> Entry {
        let Repository { name, url, suite, components, unsigned, .. } = repository;
        let file = |path: String, text: String| Entry::File { path, text };
        match self {
            Self::Apt => {
                let mut text = format!("Types: deb\nURIs: {url}\nSuites: {suite}\n");
                if !components.is_empty() {
                    let _ = writeln!(text, "Components: {}", components.join(" "));
                }
                if let Some(key) = key_path {
                    let _ = writeln!(text, "Signed-By: {key}");
                }
                if *unsigned {
                    text.push_str("Trusted: yes\n");
                }
                file(format!("/etc/apt/sources.list.d/{name}.sources"), text)
            }
            Self::Dnf | Self::Zypper => {
                let check = u8::from(!unsigned);
                let mut text = format!("[{name}]\nname={name}\nbaseurl={url}\nenabled=1\ngpgcheck={check}\n");
                if let Some(key) = key_path {
                    let _ = writeln!(text, "gpgkey=file://{key}");
                }
                if self == Self::Zypper {
                    text.push_str("autorefresh=1\ntype=rpm-md\n");
                }
                let folder = if self == Self::Dnf { "/etc/yum.repos.d" } else { "/etc/zypp/repos.d" };
                file(format!("{folder}/{name}.repo"), text)
            }
            Self::Pacman => {
                let trust = if *unsigned { "SigLevel = Never\n" } else { "" };
                Entry::Block { path: "/etc/pacman.conf".into(), text: format!("[{name}]\n{trust}Server = {url}\n") }
            }
            Self::Apk => Entry::Block { path: "/etc/apk/repositories".into(), text: format!("{url}\n") },
            Self::Emerge => {
                let kind = if url.starts_with("rsync:") { "rsync" } else { "git" };
                let text = format!(
                    "[{name}]\nlocation = /var/db/repos/{name}\nsync-type = {kind}\nsync-uri = {url}\nauto-sync = yes\n"
                );
                file(format!("/etc/portage/repos.conf/{name}.conf"), text)
            }
        }
    }
}

/// The text of a shared file with `block` in it, once: what stands between the marks of `name` is replaced.
pub fn with_block(text: &str, name: &str, block: &str) -> String {
    let (begin, end) = (format!("# begin {name}"), format!("# end {name}"));
    let mut result = String::new();
    let mut inside = false;
    for line in text.lines() {
        if line == begin {
            inside = true;
        }
        if !inside {
            result.push_str(line);
            result.push('\n');
        }
        if line == end {
            inside = false;
        }
    }
    let _ = write!(result, "{begin}\n{block}{end}\n");
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(manager: Manager) -> String {
        let repository = Repository {
            name: "extra".into(),
            url: "http://packages.example/x".into(),
            suite: "stable".into(),
            components: vec!["main".into(), "more".into()],
            key: Some("extra".into()),
            unsigned: false,
        };
        let path = manager.key_path("extra", true);
        let (Entry::File { path, text } | Entry::Block { path, text }) = manager.entry(&repository, Some(&path));
        format!("{path}\n{text}")
    }

    #[test]
    fn each_manager_reads_its_own_form() {
        insta::assert_snapshot!(text(Manager::Apt), @r"
        /etc/apt/sources.list.d/extra.sources
        Types: deb
        URIs: http://packages.example/x
        Suites: stable
        Components: main more
        Signed-By: /etc/apt/keyrings/extra.asc
        ");
        insta::assert_snapshot!(text(Manager::Dnf), @r"
        /etc/yum.repos.d/extra.repo
        [extra]
        name=extra
        baseurl=http://packages.example/x
        enabled=1
        gpgcheck=1
        gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-extra
        ");
        insta::assert_snapshot!(text(Manager::Zypper), @r"
        /etc/zypp/repos.d/extra.repo
        [extra]
        name=extra
        baseurl=http://packages.example/x
        enabled=1
        gpgcheck=1
        gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-extra
        autorefresh=1
        type=rpm-md
        ");
        insta::assert_snapshot!(text(Manager::Pacman), @r"
        /etc/pacman.conf
        [extra]
        Server = http://packages.example/x
        ");
        insta::assert_snapshot!(text(Manager::Apk), @r"
        /etc/apk/repositories
        http://packages.example/x
        ");
        insta::assert_snapshot!(text(Manager::Emerge), @r"
        /etc/portage/repos.conf/extra.conf
        [extra]
        location = /var/db/repos/extra
        sync-type = git
        sync-uri = http://packages.example/x
        auto-sync = yes
        ");
    }

    #[test]
    fn a_block_is_replaced_and_not_added_twice() {
        let once = with_block("[core]\nServer = x\n", "extra", "[extra]\nServer = a\n");
        let again = with_block(&once, "extra", "[extra]\nServer = b\n");
        assert_eq!(again, "[core]\nServer = x\n# begin extra\n[extra]\nServer = b\n# end extra\n");
    }
}
