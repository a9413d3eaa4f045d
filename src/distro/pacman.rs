//! pacman(8): Arch Linux.

use super::driver::Words;

/// How pacman is called.
pub const WORDS: Words = Words {
    name: "pacman",
    programs: &["pacman"],
    refresh: &["--sync", "--refresh", "--noconfirm", "--noprogressbar"],
    install: &["--sync", "--noconfirm", "--noprogressbar", "--needed"],
    remove: &["--remove", "--noconfirm", "--noprogressbar"],
    update: &["--sync", "--sysupgrade", "--noconfirm", "--noprogressbar"],
    query: &["pacman", "--query"],
    version,
    missing: &["target not found"],
};

/// `name version`.
fn version(output: &str, name: &str) -> Option<String> {
    output.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).map(str::to_owned)
}
