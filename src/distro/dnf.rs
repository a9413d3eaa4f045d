//! dnf and its relatives (dnf(8), rpm(8)): Fedora, CentOS and those that derive from them.

use super::driver::Words;

/// How dnf is called.
pub const WORDS: Words = Words {
    name: "dnf",
    programs: &["dnf", "dnf5", "microdnf", "yum"],
    refresh: &["--assumeyes", "makecache"],
    install: &["--assumeyes", "--setopt=install_weak_deps=False", "install"],
    remove: &["--assumeyes", "remove"],
    update: &["--assumeyes", "upgrade"],
    query: QUERY,
    version: first_line,
    missing: &["Unable to find a match", "No match for argument", "No package "],
};

/// rpm's word for an installed package; several versions may be installed at once.
pub const QUERY: &[&str] = &["rpm", "--query", "--queryformat", "%{VERSION}-%{RELEASE}\\n"];

/// The first of the versions that rpm prints.
pub fn first_line(output: &str, _name: &str) -> Option<String> {
    output.lines().next().map(str::to_owned)
}
