//! Typed access to the literal maps of a manifest, with a diagnostic for every mistake.

use std::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::script::nearest;
use crate::script::syntax::{Key, Literal, LiteralValue, Source};

/// A map of a manifest and the file that it stands in.
pub struct Fields<'a> {
    source: &'a Source,
    what: String,
    span: Range<usize>,
    entries: &'a [(Key, Literal)],
}

impl<'a> Fields<'a> {
    /// The map `literal`, which messages call `what`.
    pub fn new(source: &'a Source, what: &str, literal: &'a Literal) -> Result<Self, Diagnostic> {
        match &literal.value {
            LiteralValue::Map(entries) => Ok(Self { source, what: what.into(), span: literal.span.clone(), entries }),
            _ => Err(expected(source, what, "a map", literal)),
        }
    }

    /// Refuses keys other than `known`.
    pub fn only(&self, known: &[&str]) -> Result<(), Diagnostic> {
        match self.entries.iter().find(|(key, _)| !known.contains(&key.name.as_str())) {
            None => Ok(()),
            Some((key, _)) => {
                let close = nearest::close(&key.name, known.iter().copied());
                let message = format!("{} has no field `{}`{}", self.what, key.name, nearest::suggestion(&close));
                let mut diagnostic =
                    self.source.diagnostic("manifest.field", message, key.span.clone(), "unknown field");
                diagnostic.help.push(format!("its fields are {}", known.join(", ")));
                Err(diagnostic)
            }
        }
    }

    /// Keys and values in the order of the source.
    pub fn entries(&self) -> impl Iterator<Item = (&'a Key, &'a Literal)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&'a Literal> {
        self.entries.iter().find(|(key, _)| key.name == name).map(|(_, value)| value)
    }

    /// The text `name`, when given.
    pub fn text(&self, name: &str) -> Result<Option<String>, Diagnostic> {
        self.get(name).map(|literal| text(self.source, name, literal)).transpose()
    }

    /// The text `name`, which must be given.
    pub fn required(&self, name: &str) -> Result<String, Diagnostic> {
        self.text(name)?.ok_or_else(|| {
            let message = format!("{} lacks the field `{name}`", self.what);
            self.source.diagnostic("manifest.field", message, self.span.clone(), &format!("add `{name}: \"…\"`"))
        })
    }

    /// The list of texts `name`, when given.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Diagnostic> {
        let Some(literal) = self.get(name) else { return Ok(None) };
        match &literal.value {
            LiteralValue::Array(items) => items.iter().map(|item| text(self.source, name, item)).collect(),
            _ => Err(expected(self.source, &format!("`{name}`"), "an array of strings", literal)),
        }
        .map(Some)
    }

    /// The boolean `name`, when given.
    pub fn flag(&self, name: &str) -> Result<bool, Diagnostic> {
        match self.get(name) {
            None => Ok(false),
            Some(Literal { value: LiteralValue::Bool(value), .. }) => Ok(*value),
            Some(literal) => Err(expected(self.source, &format!("`{name}`"), "true or false", literal)),
        }
    }
}

/// The text of `literal`.
pub fn text(source: &Source, name: &str, literal: &Literal) -> Result<String, Diagnostic> {
    match &literal.value {
        LiteralValue::String(text) => Ok(text.clone()),
        _ => Err(expected(source, &format!("`{name}`"), "a string", literal)),
    }
}

/// A value of the wrong type.
pub fn expected(source: &Source, what: &str, wanted: &str, literal: &Literal) -> Diagnostic {
    let message = format!("{what} must be {wanted}");
    source.diagnostic("manifest.type", message, literal.span.clone(), &format!("this is {}", literal.value.kind()))
}
