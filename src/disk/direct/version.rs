//! Versions of the machine's tools.

use std::fmt;

use crate::event::Events;
use crate::sandbox::command::Command;

/// A tool's version: its first two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// The version that the command `words` prints; `None` when it cannot be run or says none.
pub(super) fn of(words: &[&str]) -> Option<Version> {
    let output = Command::new(words.iter().copied()).quiet().run(&Events::none()).ok()?;
    let text = [output.stdout, output.stderr].concat();
    read(&String::from_utf8_lossy(&text))
}

/// The first number with a point in it.
fn read(text: &str) -> Option<Version> {
    let words = text.split(|c: char| !c.is_ascii_digit() && c != '.');
    words
        .map(|word| word.split('.'))
        .find_map(|mut parts| Some(Version(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tools_way_to_say_it_is_understood() {
        assert_eq!(read("mkfs.xfs version 6.1.0\n"), Some(Version(6, 1)));
        assert_eq!(read("mkfs.btrfs, part of btrfs-progs v6.12\n"), Some(Version(6, 12)));
        assert_eq!(read("mkfs.erofs 1.5\n"), Some(Version(1, 5)));
        assert_eq!(read("mksquashfs version 4.5.1 (2022/03/17)\n"), Some(Version(4, 5)));
        assert_eq!(read("no. such tool"), None);
        assert!(Version(6, 12) > Version(6, 2));
    }

    #[test]
    fn a_missing_tool_has_no_version() {
        assert_eq!(of(&["mkfs.kilnfs", "-V"]), None);
    }
}
