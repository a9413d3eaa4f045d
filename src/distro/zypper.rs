//! zypper(8): openSUSE and SUSE Linux Enterprise.

use super::dnf::{QUERY, first_line};
use super::driver::Words;

/// How zypper is called.
pub const WORDS: Words = Words {
    name: "zypper",
    programs: &["zypper"],
    refresh: &["--non-interactive", "--gpg-auto-import-keys", "refresh"],
    install: &["--non-interactive", "install", "--no-recommends", "--auto-agree-with-licenses"],
    remove: &["--non-interactive", "remove"],
    update: &["--non-interactive", "update", "--no-recommends", "--auto-agree-with-licenses"],
    query: QUERY,
    version: first_line,
    missing: &["not found in package names", "No provider of"],
};
