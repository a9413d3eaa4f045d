//! A file of an element, as rules look at it.

use std::ops::Range;

use camino::{Utf8Path, Utf8PathBuf};

use crate::plan::Phase;

/// Larger files are data.
const TEXT: u64 = 256 << 10;

/// A regular file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path from the element's folder.
    pub path: Utf8PathBuf,
    /// Permission bits.
    pub mode: u32,
    /// Its text; `None` when it is none.
    pub text: Option<String>,
}

/// A line of a file, without its line feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its text.
    pub text: &'a str,
    /// Where it begins in the file, in bytes.
    pub start: usize,
}

impl Line<'_> {
    /// The byte range of the whole line.
    pub fn span(&self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }
}

impl File {
    /// Reads the file at `folder`/`path`.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(folder: &Utf8Path, path: &Utf8Path) -> std::io::Result<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        let at = folder.join(path);
        let metadata = at.metadata()?;
        let text = if metadata.len() <= TEXT { String::from_utf8(std::fs::read(&at)?).ok() } else { None };
        // A text may hold anything but this.
        let text = text.filter(|text| !text.contains('\0'));
        Ok(Self { path: path.to_owned(), mode: metadata.permissions().mode() & 0o7777, text })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.path.file_name().unwrap_or_default()
    }

    /// Somebody may execute it.
    pub const fn is_executable(&self) -> bool {
        self.mode & 0o111 != 0
    }

    /// Its text, empty when it is none.
    pub fn source(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    /// Its lines.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let mut start = 0;
        self.source().split_inclusive('\n').map(move |text| {
            let line = Line { text: text.strip_suffix('\n').unwrap_or(text), start };
            start += text.len();
            line
        })
    }

    /// Its lines without the bodies of here-documents: what a shell runs.
    pub fn code_lines(&self) -> impl Iterator<Item = Line<'_>> {
        let mut until: Option<(&str, bool)> = None;
        self.lines().filter(move |line| {
            if let Some((word, indented)) = until {
                let text = if indented { line.text.trim_start_matches('\t') } else { line.text };
                until = until.filter(|_| text != word);
                return false;
            }
            until = here_document(line.text);
            true
        })
    }

    /// Its first line when that names an interpreter.
    pub fn interpreter(&self) -> Option<Line<'_>> {
        self.lines().next().filter(|line| line.text.starts_with("#!"))
    }

    /// bash runs it.
    pub fn is_bash(&self) -> bool {
        self.interpreter().is_some_and(|line| line.text.contains("bash"))
    }

    /// The shell or bash runs it.
    pub fn is_shell(&self) -> bool {
        let program = |text: &str| text.split_whitespace().any(|word| word.rsplit(['/', '!']).next() == Some("sh"));
        self.is_bash() || self.interpreter().is_some_and(|line| program(line.text))
    }

    /// The phase whose folder it stands in.
    pub fn phase(&self) -> Option<Phase> {
        let mut parts = self.path.components();
        let folder = parts.next()?.as_str().strip_suffix(".d")?;
        let (_, None) = (parts.next()?, parts.next()) else { return None };
        Phase::ALL.into_iter().find(|phase| phase.as_str() == folder)
    }

    /// It stands in this folder of the element, or below it.
    pub fn is_in(&self, folder: &str) -> bool {
        self.path.starts_with(folder) && self.path != folder
    }
}

/// The word that ends the here-document that a line begins, and whether tabs may stand before it.
fn here_document(line: &str) -> Option<(&str, bool)> {
    let (before, rest) = line.split_once("<<")?;
    // `<<<` is a word, a comment begins nothing, and `$((1 << 2))` shifts.
    if rest.starts_with('<') || before.trim_start().starts_with('#') || before.contains("((") {
        return None;
    }
    let (rest, indented) = rest.strip_prefix('-').map_or((rest, false), |rest| (rest, true));
    let rest = rest.trim_start().trim_start_matches(['\'', '"', '\\']);
    let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
    rest.get(..end).filter(|word| !word.is_empty()).map(|word| (word, indented))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.into(), mode: 0o644, text: Some(text.into()) }
    }

    #[test]
    fn the_shell_is_recognised_by_the_first_line() {
        for (line, bash, shell) in [
            ("#!/bin/bash", true, true),
            ("#!/usr/bin/env bash", true, true),
            ("#!/bin/sh -e", false, true),
            ("#!/usr/bin/env python3", false, false),
            ("#!/usr/bin/fish", false, false),
            ("set -e", false, false),
        ] {
            let file = file("bin/x", &format!("{line}\n"));
            assert_eq!((file.is_bash(), file.is_shell()), (bash, shell), "{line}");
        }
    }

    #[test]
    fn a_file_belongs_to_a_phase_when_it_stands_right_in_its_folder() {
        assert_eq!(file("pre-install.d/10-x", "").phase(), Some(Phase::PreInstall));
        assert_eq!(file("install.d/x-source-install/10-x", "").phase(), None);
        assert_eq!(file("environment.d/10-x", "").phase(), None);
        assert_eq!(file("README.md", "").phase(), None);
    }

    #[test]
    fn a_here_document_is_no_code() {
        let text = "cat <<EOF >x\n  a\nEOF\nb <<-'END'\n\tc\n\tEND\nd <<< e\n# <<F\nf\ng $((1 << 2))\nh\n";
        let file = file("x", text);
        let code: Vec<_> = file.code_lines().map(|line| line.text).collect();
        assert_eq!(code, ["cat <<EOF >x", "b <<-'END'", "d <<< e", "# <<F", "f", "g $((1 << 2))", "h"]);
    }

    #[test]
    fn lines_know_where_they_begin() {
        let file = file("x", "a\nbb\n\nc");
        let lines: Vec<_> = file.lines().map(|line| (line.text, line.span())).collect();
        assert_eq!(lines, [("a", 0..1), ("bb", 2..4), ("", 5..5), ("c", 6..7)]);
    }
}
