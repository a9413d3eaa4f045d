//! What a target in memory holds, to be compared.
//!
//! In: a [`FakeTarget`]. Out: a value that is equal when the trees and the installed packages are. Not here: how it came about.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;

use super::{Content, FakeTarget};

/// Characters of a line that a description shows.
const SHOWN: usize = 80;

/// A tree and its packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// What is at each path.
    pub files: BTreeMap<Utf8PathBuf, Entry>,
    /// Installed packages and their versions.
    pub packages: BTreeMap<String, String>,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Content of a file, or where a symlink points; `None` for a folder.
    pub content: Option<Vec<u8>>,
    /// It is a symlink.
    pub is_link: bool,
    /// Permission bits.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
}

impl FakeTarget {
    /// Everything that it holds now.
    pub fn contents(&self) -> Contents {
        let state = self.state();
        let entry = |node: &super::Node| Entry {
            content: match &node.content {
                Content::File(bytes) => Some(bytes.clone()),
                Content::Symlink(to) => Some(to.as_str().into()),
                Content::Directory => None,
            },
            is_link: matches!(node.content, Content::Symlink(_)),
            mode: node.mode,
            owner: (node.uid, node.gid),
        };
        Contents {
            files: state.nodes.iter().map(|(path, node)| (path.clone(), entry(node))).collect(),
            packages: state.installed.clone(),
        }
    }
}

impl Contents {
    /// Paths at which `other` holds something else, or nothing, or this one nothing.
    pub fn changed<'a>(&'a self, other: &'a Self) -> Vec<&'a Utf8PathBuf> {
        let gone = self.files.keys().filter(|path| !other.files.contains_key(*path));
        let new = other.files.iter().filter(|(path, entry)| self.files.get(*path) != Some(entry));
        let mut paths: Vec<&Utf8PathBuf> = gone.chain(new.map(|(path, _)| path)).collect();
        paths.sort();
        paths
    }

    /// What is different in `other`, a line for each path and package.
    pub fn difference(&self, other: &Self) -> Vec<String> {
        let mut lines: Vec<String> = self
            .changed(other)
            .into_iter()
            .map(|path| match (self.files.get(path), other.files.get(path)) {
                (Some(_), None) => format!("{path} is gone"),
                (None, _) => format!("{path} is new"),
                (Some(before), Some(after)) => format!("{path}: {}", change(before, after)),
            })
            .collect();
        for name in self.packages.keys().chain(other.packages.keys()) {
            let line = match (self.packages.contains_key(name), other.packages.contains_key(name)) {
                (true, false) => format!("package {name} is gone"),
                (false, true) => format!("package {name} is new"),
                _ => continue,
            };
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        lines
    }
}

fn change(before: &Entry, after: &Entry) -> String {
    if before.content == after.content {
        return format!("mode {:o} became {:o}, or its owner changed", before.mode, after.mode);
    }
    let text = |entry: &Entry| String::from_utf8_lossy(entry.content.as_deref().unwrap_or_default()).into_owned();
    let (before, after) = (text(before), text(after));
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let at = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let line = |lines: &[&str]| {
        lines
            .get(at)
            .map_or_else(|| "nothing".to_owned(), |line| format!("`{}`", line.chars().take(SHOWN).collect::<String>()))
    };
    format!("line {} was {} and became {}", at + 1, line(&old), line(&new))
}

#[cfg(test)]
mod tests {
    use super::super::super::{Attributes, Packages, Target};
    use super::*;

    #[test]
    fn equal_trees_are_equal_and_every_difference_is_told() {
        let (one, other) = (FakeTarget::new(), FakeTarget::new());
        assert_eq!(one.contents(), other.contents());
        one.write("/etc/a".into(), b"x\ny\n", Attributes::default()).unwrap();
        let before = one.contents();
        one.write("/etc/a".into(), b"x\nz\n", Attributes::default()).unwrap();
        one.write("/etc/b".into(), b"", Attributes::default()).unwrap();
        Target::remove(&one, "/srv".into()).unwrap();
        one.set_attributes("/tmp".into(), Attributes { mode: Some(0o700), ..Attributes::default() }).unwrap();
        one.install(&["vim".to_owned()]).unwrap();
        assert_eq!(
            before.difference(&one.contents()),
            [
                "/etc/a: line 2 was `y` and became `z`",
                "/etc/b is new",
                "/srv is gone",
                "/tmp: mode 755 became 700, or its owner changed",
                "package vim is new"
            ]
        );
    }
}
