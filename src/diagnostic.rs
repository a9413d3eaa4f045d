//! An error that points into a user's file.
//!
//! In: a message and places in source texts. Out: text in the manner of rustc (`render`). Not here: deciding what is wrong.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It does not work.
    Error,
    /// It works, and should be changed.
    Warning,
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// An error or warning with the places in the user's files that explain it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Stable dotted code: `permission.denied`, `manifest.field`. Empty when there is none.
    pub code: String,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// The places, the most important first.
    pub labels: Vec<Label>,
    /// What to do about it.
    pub help: Vec<String>,
}

/// A place in a source text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The file as the user knows it: `vim/element.rhai`, `std/packages.rhai`.
    pub file: String,
    /// The whole text of that file.
    pub source: String,
    /// Byte range in `source`.
    pub span: Range<usize>,
    /// What to say at the place; may be empty.
    pub text: String,
}

impl Diagnostic {
    /// An error of this code without a place yet.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), ..Self::default() }
    }

    /// Adds a place; the first one added is the most important.
    pub fn label(mut self, label: Label) -> Self {
        self.labels.push(label);
        self
    }

    /// Adds what the user can do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// The whole error as text of several lines, without a final line feed; with escapes for colour when `colour`.
    pub fn render(&self, colour: bool) -> String {
        self.render_as(Severity::Error, colour)
    }

    /// As [`Self::render`], with another word at the head.
    pub fn render_as(&self, severity: Severity, colour: bool) -> String {
        let level = match severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut title = level.primary_title(self.message.as_str());
        if !self.code.is_empty() {
            title = title.id(self.code.as_str());
        }
        // One snippet a file, in the order in which the files first come up: the place itself, then who called it.
        let mut snippets: Vec<(&str, Snippet<'_, _>)> = Vec::new();
        for (index, label) in self.labels.iter().enumerate() {
            let kind = if index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            let mut annotation = kind.span(whole(&label.source, &label.span));
            if !label.text.is_empty() {
                annotation = annotation.label(label.text.as_str());
            }
            match snippets.iter_mut().find(|(file, _)| *file == label.file) {
                Some((_, snippet)) => *snippet = snippet.clone().annotation(annotation),
                None => {
                    let snippet = Snippet::source(label.source.as_str()).path(label.file.as_str());
                    snippets.push((&label.file, snippet.annotation(annotation)));
                }
            }
        }
        let mut group = title.elements(snippets.into_iter().map(|(_, snippet)| snippet));
        for help in &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.decor_style(DecorStyle::Ascii).render(&[group])
    }
}

impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl Label {
    /// The place at a byte range.
    pub fn new(file: &str, source: &str, span: Range<usize>, text: impl Into<String>) -> Self {
        Self { file: file.to_owned(), source: source.to_owned(), span, text: text.into() }
    }

    /// The place at a line and a column, both counted from 1, the column in characters; it covers the word there.
    pub fn at(file: &str, source: &str, line: usize, column: usize, text: impl Into<String>) -> Self {
        Self::new(file, source, word(source, line, column), text)
    }

    /// The number of the line that the place begins in, from 1.
    pub fn line(&self) -> usize {
        self.position(self.span.start).0
    }

    /// Line and column of a byte of the source, both from 1, the column in characters.
    pub fn position(&self, byte: usize) -> (usize, usize) {
        let before = self.source.get(..whole(&self.source, &(byte..byte)).start).unwrap_or_default();
        let start_of_line = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        (line, before.get(start_of_line..).unwrap_or_default().chars().count() + 1)
    }
}

/// Byte range of the word (identifier, number, string or single sign) at a line and a character column, from 1.
pub fn word(source: &str, line: usize, column: usize) -> Range<usize> {
    let start_of_line = match line.saturating_sub(1) {
        0 => 0,
        feeds => source.match_indices('\n').nth(feeds - 1).map_or(source.len(), |(at, _)| at + 1),
    };
    let rest = source.get(start_of_line..).unwrap_or_default();
    let rest = rest.split('\n').next().unwrap_or_default();
    let start = rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
    let tail = rest.get(start..).unwrap_or_default();
    let mut letters = tail.chars();
    let length = match letters.next() {
        None => 0,
        Some('"') => match letters.as_str().find('"') {
            Some(end) => end + 2,
            None => 1,
        },
        Some(first) if is_word(first) => tail.find(|letter| !is_word(letter)).unwrap_or(tail.len()),
        Some(first) => first.len_utf8(),
    };
    start_of_line + start..start_of_line + start + length
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// `span` on whole characters inside `source`: the renderer panics on anything else.
fn whole(source: &str, span: &Range<usize>) -> Range<usize> {
    let snap = |mut at: usize| {
        at = at.min(source.len());
        while !source.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = snap(span.start);
    start..snap(span.end).max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ELEMENT: &str = "fn install(image) {\n    let größe = 1; image.fly(\"a b\");\n}\n";

    #[test]
    fn columns_count_characters_and_spans_count_bytes() {
        assert_eq!(&ELEMENT[word(ELEMENT, 2, 26)], "fly");
        assert_eq!(&ELEMENT[word(ELEMENT, 2, 9)], "größe");
        assert_eq!(&ELEMENT[word(ELEMENT, 2, 30)], "\"a b\"");
        assert_eq!(word(ELEMENT, 99, 1), ELEMENT.len()..ELEMENT.len());
        assert_eq!(word("", 1, 1), 0..0);
    }

    #[test]
    fn a_place_and_its_caller_are_shown_like_rustc_shows_them() {
        let diagnostic = Diagnostic::new("packages.missing", "package `x` is not available")
            .label(Label::at("std/p.rhai", "fn all(i) {\n    i.install_packages([\"x\"]);\n}\n", 2, 7, ""))
            .label(Label::at("vim/element.rhai", ELEMENT, 2, 26, "in this call to `fly`"))
            .help("check the spelling");
        insta::assert_snapshot!(diagnostic.render(false), @r#"
        error[packages.missing]: package `x` is not available
         --> std/p.rhai:2:7
          |
        2 |     i.install_packages(["x"]);
          |       ^^^^^^^^^^^^^^^^
          |
         ::: vim/element.rhai:2:26
          |
        2 |     let größe = 1; image.fly("a b");
          |                          --- in this call to `fly`
          |
          = help: check the spelling
        "#);
    }

    #[test]
    fn a_span_that_does_not_fit_is_no_reason_to_panic() {
        for span in [0..1000, 500..1000, Range { start: 7, end: 3 }, 30..31] {
            let label = Label::new("a", ELEMENT, span, "here");
            assert!(Diagnostic::new("", "m").label(label).render(false).contains("error: m"));
        }
    }

    proptest::proptest! {
        #[test]
        fn every_line_and_column_of_every_text_can_be_shown(source in "(?s).{0,60}", line in 0_usize..9, column in 0_usize..90) {
            let span = word(&source, line, column);
            proptest::prop_assert!(source.get(span.clone()).is_some());
            let shown = Diagnostic::new("a.b", "m").label(Label::new("f", &source, span, "x")).render(false);
            proptest::prop_assert!(shown.contains("error[a.b]: m"));
        }
    }
}
