//! YAML with every scalar as it was written.
//!
//! In: a text. Out: a [`Value`] tree with places. DIB reads YAML 1.1, in which `8e00` is a number and `0x83` is 131; partition
//! types and sizes mean their spelling, so nothing is resolved here. Not here: what the values mean (`config`).

use std::collections::HashMap;
use std::ops::Range;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span};

/// No description nests deeper; a text that does is an attack on the stack.
const DEPTH_LIMIT: usize = 64;
/// Aliases multiply: no description has more values than this.
const VALUE_LIMIT: usize = 100_000;

/// A value and where it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Value {
    pub kind: Kind,
    pub place: Place,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Null,
    Scalar(String),
    List(Vec<Value>),
    Map(Vec<(Scalar, Value)>),
}

/// A key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scalar {
    pub text: String,
    pub place: Place,
}

/// Where something is in the text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Place {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    pub bytes: Range<usize>,
}

impl Value {
    /// What a person calls such a value.
    pub fn what(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Scalar(_) => "a single value",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }
}

/// A problem and its place.
pub(super) type Problem = (String, Place);

/// Reads the only document of `text`; an empty text is null.
pub(super) fn parse(text: &str) -> Result<Value, Problem> {
    let mut reader = Reader { events: Parser::new_from_str(text), anchors: HashMap::new(), values: 0 };
    let mut document = None;
    loop {
        match reader.next()? {
            (Event::StreamEnd, span) => {
                return Ok(document.unwrap_or_else(|| Value { kind: Kind::Null, place: place(&span) }));
            }
            (Event::StreamStart | Event::DocumentEnd, _) => {}
            (Event::DocumentStart(..), span) if document.is_some() => {
                return Err(("a second document begins here; a description is one".into(), place(&span)));
            }
            (Event::DocumentStart(..), _) => {}
            (event, span) => document = Some(reader.value(event, &span, 0)?),
        }
    }
}

/// The key whose value is merged into the mapping (<https://yaml.org/type/merge.html>).
const MERGE: &str = "<<";

struct Reader<I> {
    events: I,
    anchors: HashMap<usize, Value>,
    values: usize,
}

impl<'t, I, E> Reader<I>
where
    I: Iterator<Item = Result<(Event<'t>, Span), E>>,
    E: std::fmt::Display + Locate,
{
    fn next(&mut self) -> Result<(Event<'t>, Span), Problem> {
        loop {
            match self.events.next() {
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(event)) => return Ok(event),
                Some(Err(error)) => return Err((format!("not valid YAML: {error}"), error.place())),
                None => return Ok((Event::StreamEnd, Span::default())),
            }
        }
    }

    fn value(&mut self, event: Event<'t>, span: &Span, depth: usize) -> Result<Value, Problem> {
        let place = place(span);
        self.count(1, depth, &place)?;
        let (kind, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => (scalar(text.into_owned(), style), anchor),
            Event::SequenceStart(_, anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => items.push(self.value(event, &span, depth + 1)?),
                    }
                }
                (Kind::List(items), anchor)
            }
            Event::MappingStart(_, anchor, _) => (self.map(depth)?, anchor),
            Event::Alias(id) => {
                let known = self.anchors.get(&id).cloned();
                let value = known.ok_or_else(|| ("alias of something that is not complete".into(), place.clone()))?;
                self.count(size(&value), depth, &place)?;
                return Ok(value);
            }
            _ => return Err(("a value is missing here".into(), place)),
        };
        let value = Value { kind, place };
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn map(&mut self, depth: usize) -> Result<Kind, Problem> {
        let mut entries: Vec<(Scalar, Value)> = Vec::new();
        let mut merged: Vec<(Scalar, Value)> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                // What the mapping says itself counts, and of what is merged the first.
                for (key, value) in merged {
                    if !entries.iter().any(|(other, _)| other.text == key.text) {
                        entries.push((key, value));
                    }
                }
                return Ok(Kind::Map(entries));
            }
            let is_plain = matches!(event, Event::Scalar(_, ScalarStyle::Plain, ..));
            let key = self.value(event, &span, depth + 1)?;
            let Kind::Scalar(text) = key.kind else {
                return Err((format!("a key must be a single value, not {}", key.what()), key.place));
            };
            if entries.iter().any(|(other, _)| other.text == text) {
                return Err((format!("the key `{text}` is given twice"), key.place));
            }
            let (event, span) = self.next()?;
            let value = self.value(event, &span, depth + 1)?;
            if is_plain && text == MERGE {
                merged.extend(mappings(value)?);
            } else {
                entries.push((Scalar { text, place: key.place }, value));
            }
        }
    }

    fn count(&mut self, more: usize, depth: usize, place: &Place) -> Result<(), Problem> {
        self.values += more;
        if depth > DEPTH_LIMIT || self.values > VALUE_LIMIT {
            return Err(("nested too deeply, or too many values".into(), place.clone()));
        }
        Ok(())
    }
}

/// The entries of a mapping, or of each mapping of a list, to be merged into another.
fn mappings(value: Value) -> Result<Vec<(Scalar, Value)>, Problem> {
    match value.kind {
        Kind::Map(entries) => Ok(entries),
        Kind::List(items) => Ok(items.into_iter().map(mappings).collect::<Result<Vec<_>, _>>()?.concat()),
        _ => Err((format!("`{MERGE}` merges a mapping or a list of mappings, not {}", value.what()), value.place)),
    }
}

/// The place of a scanner's error.
trait Locate {
    fn place(&self) -> Place;
}

impl Locate for serde_saphyr::granit_parser::ScanError {
    fn place(&self) -> Place {
        let marker = self.marker();
        let at = marker.byte_offset().unwrap_or(marker.index());
        Place { line: marker.line(), column: marker.col() + 1, bytes: at..at }
    }
}

fn size(value: &Value) -> usize {
    1 + match &value.kind {
        Kind::List(items) => items.iter().map(size).sum(),
        Kind::Map(entries) => entries.iter().map(|(_, value)| 1 + size(value)).sum(),
        _ => 0,
    }
}

fn scalar(text: String, style: ScalarStyle) -> Kind {
    let plain = matches!(style, ScalarStyle::Plain);
    if plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") { Kind::Null } else { Kind::Scalar(text) }
}

fn place(span: &Span) -> Place {
    Place {
        line: span.start.line(),
        column: span.start.col() + 1,
        bytes: span.byte_range().unwrap_or_else(|| span.start.index()..span.end.index()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_no_values() {
        let value = parse("# first\n- a # second\n# third\n- b: 1 # fourth\n  # fifth\n").unwrap();
        let Kind::List(items) = value.kind else { panic!("no list") };
        assert_eq!(items.len(), 2);
    }

    #[test]
    fn mappings_are_merged_and_what_is_written_counts() {
        let text = "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {<<: [*a, *b], x: 5}\nd: {\"<<\": 6}\n";
        let Kind::Map(entries) = parse(text).unwrap().kind else { panic!("no map") };
        let pairs = |index: usize| {
            let Kind::Map(inner) = &entries[index].1.kind else { panic!("no map") };
            let text = |value: &Value| if let Kind::Scalar(text) = &value.kind { text.clone() } else { String::new() };
            inner.iter().map(|(key, value)| format!("{}={}", key.text, text(value))).collect::<Vec<_>>()
        };
        assert_eq!(pairs(2), ["x=5", "y=2", "z=4"]);
        assert_eq!(pairs(3), ["<<=6"]);
        assert!(parse("a: {<<: 1}").unwrap_err().0.contains("not a single value"));
    }

    #[test]
    fn a_text_is_one_document() {
        assert!(parse("---\n[a]\n...\n").is_ok());
        for text in ["[a]\n---\n[b]\n", "[a] garbage ]]", "[a]\n- foo: bar\n", "- a\n---\n- b: {{{\n"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_keep_their_spelling() {
        let value = parse("[0x83, 8e00, 010, 1_000, EF00, yes, ~]").unwrap();
        let Kind::List(items) = value.kind else { panic!("no list") };
        let texts: Vec<_> =
            items.iter().map(|item| if let Kind::Scalar(text) = &item.kind { text } else { "" }).collect();
        assert_eq!(texts, ["0x83", "8e00", "010", "1_000", "EF00", "yes", ""]);
    }

    #[test]
    fn places_are_those_of_the_text() {
        let Kind::Map(entries) = parse("a: 1\nb:\n  - ö: x\n").unwrap().kind else { panic!("no map") };
        let Kind::List(items) = &entries[1].1.kind else { panic!("no list") };
        let Kind::Map(inner) = &items[0].kind else { panic!("no map") };
        let place = &inner[0].1.place;
        assert_eq!((place.line, place.column, place.bytes.clone()), (3, 8, 16..17));
    }

    #[test]
    fn attacks_with_depth_and_aliases_are_refused() {
        assert!(parse(&"[".repeat(5000)).is_err());
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let aliases = vec![format!("*a{}", level - 1); 9].join(",");
            bomb += &format!("a{level}: &a{level} [{aliases}]\n");
        }
        assert!(parse(&bomb).is_err());
    }
}
