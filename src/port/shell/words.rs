//! Words in their pieces.
//!
//! In: the text of a word or here-document. Out: a [`Word`]. Also the sole reader of expansions of brush-parser.

use brush_parser::ParserOptions;
use brush_parser::word::{
    self, Parameter, ParameterExpr, ParameterTestType, SpecialParameter, SubstringMatchKind, TildeExpr, WordPiece,
    WordPieceWithSource,
};

use super::{Form, Piece, Word};

/// A word as it stands in a script.
pub fn word(source: &str) -> Word {
    let parsed = word::parse(source, &ParserOptions::default());
    whole(source, parsed.ok().map(|pieces| read(&pieces, true)))
}

/// The text of a here-document whose variables are expanded: quotes mean themselves.
pub fn document(source: &str) -> Word {
    let parsed = word::parse_heredoc(source, &ParserOptions::default());
    whole(source, parsed.ok().map(|pieces| read(&pieces, false)))
}

/// Text in which nothing is expanded.
pub fn verbatim(text: &str) -> Word {
    Word { source: text.into(), pieces: vec![Piece::Text { text: text.into(), bare: false }] }
}

fn whole(source: &str, pieces: Option<Vec<Piece>>) -> Word {
    let pieces = pieces.unwrap_or_else(|| vec![Piece::Other("a word that the parser does not understand".into())]);
    Word { source: source.into(), pieces }
}

fn read(pieces: &[WordPieceWithSource], bare: bool) -> Vec<Piece> {
    let mut all: Vec<Piece> = Vec::new();
    for piece in pieces.iter().flat_map(|piece| one(&piece.piece, bare)) {
        match (all.last_mut(), piece) {
            (Some(Piece::Text { text, bare: before }), Piece::Text { text: more, bare }) if *before == bare => {
                text.push_str(&more);
            }
            (_, piece) => all.push(piece),
        }
    }
    all
}

fn one(piece: &WordPiece, bare: bool) -> Vec<Piece> {
    let other = |what: &str| vec![Piece::Other(what.into())];
    let text = |text: &str, bare: bool| vec![Piece::Text { text: text.into(), bare }];
    match piece {
        WordPiece::Text(value) => text(value, bare),
        WordPiece::SingleQuotedText(value) => text(value, false),
        WordPiece::DoubleQuotedSequence(inner) => {
            // Empty quotes are a word of their own.
            if inner.is_empty() { text("", false) } else { read(inner, false) }
        }
        WordPiece::EscapeSequence(value) => match value.strip_prefix('\\').unwrap_or(value) {
            "\n" => Vec::new(),
            escaped => text(escaped, false),
        },
        WordPiece::CommandSubstitution(value) | WordPiece::BackquotedCommandSubstitution(value) => {
            vec![Piece::Command { text: value.clone(), bare }]
        }
        WordPiece::TildeExpansion(TildeExpr::Home) => vec![Piece::Home],
        WordPiece::TildeExpansion(_) => other("the home folder of a user (`~name`)"),
        WordPiece::AnsiCQuotedText(_) => other("a string in `$'…'`"),
        WordPiece::GettextDoubleQuotedSequence(_) => other("a translated string"),
        WordPiece::ArithmeticExpression(_) => other("arithmetic (`$((…))`)"),
        WordPiece::ParameterExpansion(expression) => vec![parameter(expression, bare)],
    }
}

/// A text that means itself as a pattern.
fn is_plain(text: &str) -> bool {
    !text.contains(['*', '?', '[', '\\', '"', '\'', '$', '`', '&', '~', '{', '}'])
}

/// The function that does what `${X/pattern/replacement}` does, and its texts.
fn replaced(pattern: &str, replacement: &str, kind: &SubstringMatchKind) -> Option<(&'static str, Vec<String>)> {
    if pattern.is_empty() || !is_plain(replacement) {
        return None;
    }
    let function = match kind {
        SubstringMatchKind::Anywhere => "replaced",
        SubstringMatchKind::FirstOccurrence => "replaced_once",
        _ => return None,
    };
    // `${X/:*/}`: what begins at the first colon goes.
    if let Some(mark) = pattern.strip_suffix('*').filter(|mark| !mark.is_empty() && replacement.is_empty()) {
        return is_plain(mark).then(|| ("before", vec![mark.to_owned()]));
    }
    is_plain(pattern).then(|| (function, vec![pattern.to_owned(), replacement.to_owned()]))
}

/// The function that does what `${X#pattern}` and its like do, and its text.
fn taken(expression: &ParameterExpr, pattern: &str) -> Option<(&'static str, String)> {
    let (start, end) = (pattern.strip_prefix('*'), pattern.strip_suffix('*'));
    let (function, text) = match (expression, start, end) {
        (
            ParameterExpr::RemoveSmallestPrefixPattern { .. } | ParameterExpr::RemoveLargestPrefixPattern { .. },
            None,
            None,
        ) => ("without_start", pattern),
        (
            ParameterExpr::RemoveSmallestSuffixPattern { .. } | ParameterExpr::RemoveLargestSuffixPattern { .. },
            None,
            None,
        ) => ("without_end", pattern),
        (ParameterExpr::RemoveSmallestPrefixPattern { .. }, Some(mark), None) => ("after", mark),
        (ParameterExpr::RemoveLargestPrefixPattern { .. }, Some(mark), None) => ("after_last", mark),
        (ParameterExpr::RemoveSmallestSuffixPattern { .. }, None, Some(mark)) => ("before_last", mark),
        (ParameterExpr::RemoveLargestSuffixPattern { .. }, None, Some(mark)) => ("before", mark),
        _ => return None,
    };
    (!text.is_empty() && is_plain(text)).then(|| (function, text.to_owned()))
}

fn parameter(expression: &ParameterExpr, bare: bool) -> Piece {
    let named = |parameter: &Parameter, indirect: bool, form: Form| match parameter {
        Parameter::Named(name) if !indirect => Piece::Variable { name: name.clone(), bare, form },
        Parameter::Special(SpecialParameter::ShellName) | Parameter::Positional(0) => {
            Piece::Other("the hook's own name (`$0`)".into())
        }
        Parameter::Positional(_) | Parameter::Special(_) => Piece::Other(format!("the special variable `{parameter}`")),
        _ => Piece::Other("an array or indirect variable".into()),
    };
    let or_empty = |text: &Option<String>| word(text.as_deref().unwrap_or_default());
    match expression {
        ParameterExpr::Parameter { parameter, indirect } => named(parameter, *indirect, Form::Plain),
        ParameterExpr::UseDefaultValues { parameter, indirect, test_type, default_value } => {
            let default = or_empty(default_value);
            let form = match test_type {
                ParameterTestType::UnsetOrNull => Form::Default(default),
                ParameterTestType::Unset => Form::DefaultUnset(default),
            };
            named(parameter, *indirect, form)
        }
        ParameterExpr::IndicateErrorIfNullOrUnset {
            parameter,
            indirect,
            test_type: ParameterTestType::UnsetOrNull,
            ..
        } => named(parameter, *indirect, Form::Required),
        ParameterExpr::ReplaceSubstring { parameter, indirect, pattern, replacement, match_kind } => {
            let replacement = replacement.clone().unwrap_or_default();
            match replaced(pattern, &replacement, match_kind) {
                Some((function, texts)) => named(parameter, *indirect, Form::Changed(function, texts)),
                None => Piece::Other("a replacement in a variable (`${X/…}`)".into()),
            }
        }
        ParameterExpr::AssignDefaultValues { parameter, .. } => match parameter {
            Parameter::Named(name) => {
                Piece::Variable { name: name.clone(), bare, form: Form::Other("an assignment in `${X:=…}`".into()) }
            }
            _ => Piece::Other("an assignment in `${X:=…}`".into()),
        },
        ParameterExpr::RemoveSmallestSuffixPattern { parameter, indirect, pattern }
        | ParameterExpr::RemoveLargestSuffixPattern { parameter, indirect, pattern }
        | ParameterExpr::RemoveSmallestPrefixPattern { parameter, indirect, pattern }
        | ParameterExpr::RemoveLargestPrefixPattern { parameter, indirect, pattern } => {
            match taken(expression, pattern.as_deref().unwrap_or_default()) {
                Some((function, text)) => named(parameter, *indirect, Form::Changed(function, vec![text])),
                None => Piece::Other("a prefix or suffix taken from a variable (`${X#…}`)".into()),
            }
        }
        _ => Piece::Other("an expansion of a variable that Rhai lacks (`${…}`)".into()),
    }
}
