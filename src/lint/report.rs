//! Where a rule puts what it finds.

use std::ops::Range;

use super::file::File;
use super::finding::Finding;
use super::rule::Rule;
use super::subject::{Script, Subject};
use crate::diagnostic::{Diagnostic, Label};

/// Findings of one rule in one element: more are no news, and each holds the text of its file.
const LIMIT: usize = 50;

/// The findings of one rule in one element.
pub struct Report<'a> {
    rule: &'static Rule,
    subject: &'a Subject,
    /// What was found so far.
    pub findings: Vec<Finding>,
}

impl<'a> Report<'a> {
    /// An empty report.
    pub const fn new(rule: &'static Rule, subject: &'a Subject) -> Self {
        Self { rule, subject, findings: Vec::new() }
    }

    /// Something about the element as a whole.
    pub fn element(&mut self, message: impl Into<String>) -> &mut Finding {
        self.push(None, Diagnostic::new(self.rule.name, message))
    }

    /// Something about a file as a whole; the message need not name it.
    pub fn file(&mut self, file: &File, message: impl Into<String>) -> &mut Finding {
        let name = format!("{}/{}", self.subject.name, file.path);
        let message = format!("{name} {}", message.into());
        self.push(Some(file.path.clone()), Diagnostic::new(self.rule.name, message))
    }

    /// Something at a place of a file.
    pub fn at(&mut self, file: &File, span: Range<usize>, message: impl Into<String>, label: &str) -> &mut Finding {
        let name = format!("{}/{}", self.subject.name, file.path);
        let label = Label::new(&name, file.source(), span, label);
        self.push(Some(file.path.clone()), Diagnostic::new(self.rule.name, message).label(label))
    }

    /// Something at a place of a script.
    pub fn script(
        &mut self,
        script: &Script,
        span: Range<usize>,
        message: impl Into<String>,
        label: &str,
    ) -> &mut Finding {
        let (name, text) = match &script.source {
            Ok(source) => (source.file.as_str(), source.text.as_str()),
            Err(_) => ("", ""),
        };
        let label = Label::new(name, text, span, label);
        self.push(Some(script.path.clone()), Diagnostic::new(self.rule.name, message).label(label))
    }

    /// What somebody else found; the rule's name becomes its code.
    pub fn diagnostic(&mut self, diagnostic: &Diagnostic) -> &mut Finding {
        let label = diagnostic.labels.first();
        let file = label.and_then(|label| label.file.strip_prefix(&format!("{}/", self.subject.name)));
        let file = file.map(Into::into);
        self.push(file, Diagnostic { code: self.rule.name.to_owned(), ..diagnostic.clone() })
    }

    /// More would not be told.
    pub const fn is_full(&self) -> bool {
        self.findings.len() >= LIMIT
    }

    fn push(&mut self, file: Option<camino::Utf8PathBuf>, diagnostic: Diagnostic) -> &mut Finding {
        if self.is_full() {
            self.findings.pop();
        }
        let at = self.findings.len();
        self.findings.push(Finding { rule: self.rule, diagnostic, file, fix: None });
        &mut self.findings[at]
    }
}
