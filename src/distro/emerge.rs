//! emerge(1): Gentoo. Packages are compiled unless the image's settings name a host of binary ones.

use super::driver::Words;

/// How emerge is called.
pub const WORDS: Words = Words {
    name: "emerge",
    programs: &["emerge"],
    refresh: &["--sync", "--quiet"],
    install: &["--ask=n", "--quiet", "--noreplace"],
    remove: &["--ask=n", "--quiet", "--unmerge"],
    update: &["--ask=n", "--quiet", "--update", "--deep", "--newuse", "@world"],
    query: &["portageq", "match", "/"],
    version,
    missing: &["there are no ebuilds to satisfy", "no ebuilds to satisfy"],
};

/// `category/name-version`; a version begins with a digit after the last dash that a digit follows, but `-r1` belongs to it.
fn version(output: &str, _name: &str) -> Option<String> {
    let line = output.lines().next()?;
    let mut dashes = line.match_indices('-').filter(|(at, _)| line[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
    dashes.next_back().map(|(at, _)| line[at + 1..].to_owned())
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn a_version_is_what_follows_the_name() {
        assert_eq!(version("app-editors/vim-9.1.0-r2", "vim").as_deref(), Some("9.1.0-r2"));
        assert_eq!(version("x11-libs/gtk+-3-3.24.1", "x").as_deref(), Some("3.24.1"));
        assert_eq!(version("", "x"), None);
    }
}
