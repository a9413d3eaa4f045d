//! apk(8): Alpine Linux.

use super::driver::Words;

/// How apk is called.
pub const WORDS: Words = Words {
    name: "apk",
    programs: &["apk"],
    refresh: &["--no-progress", "update"],
    install: &["--no-progress", "add"],
    remove: &["--no-progress", "del"],
    update: &["--no-progress", "upgrade"],
    query: &["apk", "info", "--installed", "--verbose"],
    version,
    missing: &["no such package", "unable to select packages"],
};

/// `name-version-rN`. A name may hold dashes too, so it is cut off as a whole.
fn version(output: &str, name: &str) -> Option<String> {
    let mut found = output.lines().filter_map(|line| line.trim().strip_prefix(name)?.strip_prefix('-'));
    found.find(|version| version.starts_with(|c: char| c.is_ascii_digit())).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn a_version_is_what_follows_the_whole_name() {
        assert_eq!(version("busybox-1.37.0-r12", "busybox").as_deref(), Some("1.37.0-r12"));
        assert_eq!(version("py3-pip-pyc-25.1-r0\npy3-pip-25.1-r0", "py3-pip").as_deref(), Some("25.1-r0"));
        assert_eq!(version("", "x"), None);
    }
}
