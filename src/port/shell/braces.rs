//! `{a,b}` in words.
//!
//! In: a word. Out: the words that it stands for. Ranges (`{1..3}`) are left alone and found later.

use brush_parser::ParserOptions;
use brush_parser::word::{BraceExpressionMember, BraceExpressionOrText, parse_brace_expansions};

use super::{Word, words};

/// The words that `source` stands for.
pub fn expand(source: &str) -> Vec<Word> {
    let candidate = source.match_indices('{').any(|(at, _)| !source[..at].ends_with('$')) && source.contains(',');
    if candidate
        && let Ok(Some(parts)) = parse_brace_expansions(source, &ParserOptions::default())
        && let Some(all) = sequence(&parts)
    {
        return all.iter().map(|text| words::word(text)).collect();
    }
    vec![words::word(source)]
}

/// Every text that the parts stand for, in the shell's order.
fn sequence(parts: &[BraceExpressionOrText]) -> Option<Vec<String>> {
    let mut all = vec![String::new()];
    for part in parts {
        let choices = match part {
            BraceExpressionOrText::Text(text) => vec![text.clone()],
            BraceExpressionOrText::Expr(members) => {
                let mut choices = Vec::new();
                for member in members {
                    let BraceExpressionMember::Child(inner) = member else { return None };
                    choices.extend(sequence(inner)?);
                }
                choices
            }
        };
        all = all.iter().flat_map(|head| choices.iter().map(move |tail| format!("{head}{tail}"))).collect();
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    #[test]
    fn choices_become_words_and_variables_are_left_alone() {
        let expanded = |source: &str| super::expand(source).into_iter().map(|word| word.source).collect::<Vec<_>>();
        assert_eq!(expanded("/usr/{doc,a/{b,c}}/x"), ["/usr/doc/x", "/usr/a/b/x", "/usr/a/c/x"]);
        assert_eq!(expanded("f{.orig,}"), ["f.orig", "f"]);
        assert_eq!(expanded("${X},y"), ["${X},y"]);
        assert_eq!(expanded("plain"), ["plain"]);
    }
}
