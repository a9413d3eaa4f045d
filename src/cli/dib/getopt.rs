//! Options in the manner of util-linux `getopt`, which DIB's commands use.
//!
//! In: words and the options that there are. Out: options in their order and operands in theirs, or every complaint at once.
//! Options may follow operands; `--` ends them; a long option may be cut short as long as it stays unambiguous; values follow
//! `=` or are the next word, or stick to a short option; short options without values may be joined. Not here: meanings.

use crate::script::nearest;

/// The options that there are.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Letters, and whether each takes a value.
    pub short: &'static [(char, bool)],
    /// Long names as DIB knows them, and whether each takes a value.
    pub long: &'static [(&'static str, bool)],
    /// Long names that DIB does not know. A short form that DIB understands keeps its meaning beside them.
    pub more: &'static [(&'static str, bool)],
}

/// Words, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Each option by its full name without dashes, and its value.
    pub options: Vec<(String, Option<String>)>,
    /// What is not an option.
    pub operands: Vec<String>,
}

/// Takes `words` apart. With `posixly_correct` the first operand ends the options.
///
/// # Errors
/// Every word that is wrong, each with its own text.
pub fn parse(words: &[String], spec: &Spec, posixly_correct: bool) -> Result<Parsed, Vec<String>> {
    let mut parsed = Parsed::default();
    let mut complaints = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if word == "--" {
            break;
        }
        if let Some(text) = word.strip_prefix("--") {
            match long(text, spec, &mut rest) {
                Ok(option) => parsed.options.push(option),
                Err(complaint) => complaints.push(complaint),
            }
        } else if let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            short(letters, spec, &mut rest, &mut parsed.options, &mut complaints);
        } else {
            parsed.operands.push(word.clone());
            if posixly_correct {
                break;
            }
        }
    }
    parsed.operands.extend(rest.cloned());
    if complaints.is_empty() { Ok(parsed) } else { Err(complaints) }
}

type Found = (String, Option<String>);

/// The long option `text` (without its dashes), with a value that may be the next word.
fn long<'a>(text: &str, spec: &Spec, rest: &mut impl Iterator<Item = &'a String>) -> Result<Found, String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    let (name, takes_value) = find(name, text, spec)?;
    let value = match (takes_value, value) {
        (true, None) => Some(rest.next().cloned().ok_or_else(|| format!("option '--{name}' requires an argument"))?),
        (false, Some(_)) => return Err(format!("option '--{name}' doesn't allow an argument")),
        (_, value) => value,
    };
    Ok((name.to_owned(), value))
}

/// The option that `name` names or begins; `text` is what the user wrote.
fn find(name: &str, text: &str, spec: &Spec) -> Result<(&'static str, bool), String> {
    let all = || spec.long.iter().chain(spec.more).copied();
    if let Some(exact) = all().find(|(known, _)| *known == name) {
        return Ok(exact);
    }
    let begins = |(known, _): &(&str, bool)| known.starts_with(name);
    for group in [spec.long, spec.more] {
        let candidates: Vec<_> = group.iter().copied().filter(begins).collect();
        match candidates.as_slice() {
            [] => {}
            [only] => return Ok(*only),
            _ => {
                let names: String = all().filter(begins).map(|(known, _)| format!(" '--{known}'")).collect();
                return Err(format!("option '--{text}' is ambiguous; possibilities:{names}"));
            }
        }
    }
    let near = nearest::close(name, all().map(|(known, _)| known));
    let hint = near.first().map(|near| format!("; did you mean '--{near}'?")).unwrap_or_default();
    Err(format!("unrecognized option '--{text}'{hint}"))
}

/// Short options in one word.
fn short<'a>(
    letters: &str,
    spec: &Spec,
    rest: &mut impl Iterator<Item = &'a String>,
    options: &mut Vec<Found>,
    complaints: &mut Vec<String>,
) {
    for (at, letter) in letters.char_indices() {
        match spec.short.iter().find(|(known, _)| *known == letter) {
            None => complaints.push(format!("invalid option -- '{letter}'")),
            Some((_, false)) => options.push((letter.to_string(), None)),
            Some((_, true)) => {
                let attached = &letters[at + letter.len_utf8()..];
                let value = if attached.is_empty() { rest.next().cloned() } else { Some(attached.to_owned()) };
                match value {
                    Some(value) => options.push((letter.to_string(), Some(value))),
                    None => complaints.push(format!("option requires an argument -- '{letter}'")),
                }
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: Spec = Spec {
        short: &[('o', true), ('x', false), ('n', false)],
        long: &[
            ("checksum", false),
            ("no-tmpfs", false),
            ("image-size", true),
            ("image-cache", true),
            ("mkfs-options", true),
        ],
        more: &[("no-cache", false), ("image-extra-size", true), ("mkfs-journal-size", true), ("store", true)],
    };

    fn words(text: &str) -> Vec<String> {
        text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    /// Options as `name` or `name=value`, a bar, operands; or the complaints.
    fn shown(text: &str) -> String {
        show(parse(&words(text), &SPEC, false))
    }

    fn show(parsed: Result<Parsed, Vec<String>>) -> String {
        match parsed {
            Ok(parsed) => {
                let option =
                    |(name, value): &Found| value.as_ref().map_or(name.clone(), |value| format!("{name}={value}"));
                let options: Vec<String> = parsed.options.iter().map(option).collect();
                format!("{} | {}", options.join(" "), parsed.operands.join(" "))
            }
            Err(complaints) => complaints.join("\n"),
        }
    }

    #[test]
    fn options_may_follow_elements() {
        assert_eq!(shown("vm -o i debian --checksum -n"), "o=i checksum n | vm debian");
        assert_eq!(show(parse(&words("-x vm -o i"), &SPEC, true)), "x | vm -o i");
    }

    #[test]
    fn values_follow_an_equals_sign_or_are_the_next_word_or_stick_to_a_letter() {
        assert_eq!(
            shown("--image-size=3 --image-cache c -oname -xno i"),
            "image-size=3 image-cache=c o=name x n o=i | "
        );
        assert_eq!(shown("-o=i --image-size="), "o==i image-size= | ");
        assert_eq!(shown("-o --checksum"), "o=--checksum | ");
    }

    #[test]
    fn letters_may_be_joined_and_repeated() {
        assert_eq!(shown("-xx -xn"), "x x x n | ");
    }

    #[test]
    fn two_dashes_end_the_options_and_one_is_a_word() {
        assert_eq!(shown("- -x -- -o --checksum"), "x | - -o --checksum");
    }

    #[test]
    fn names_may_be_cut_short_while_they_are_unambiguous() {
        assert_eq!(shown("--check --image-s 3 --st=x"), "checksum image-size=3 store=x | ");
        assert_eq!(
            shown("--im 3"),
            "option '--im' is ambiguous; possibilities: '--image-size' '--image-cache' '--image-extra-size'"
        );
    }

    #[test]
    fn what_is_unambiguous_for_dib_stays_so_beside_new_options() {
        assert_eq!(shown("--no --mkfs x"), "no-tmpfs mkfs-options=x | ");
        assert_eq!(shown("--no-cache --mkfs-j 5 --image-e 6"), "no-cache mkfs-journal-size=5 image-extra-size=6 | ");
    }

    #[test]
    fn every_wrong_word_is_told() {
        assert_eq!(
            shown("-q --checksum=1 --bogus --image-size"),
            "invalid option -- 'q'\noption '--checksum' doesn't allow an argument\nunrecognized option '--bogus'\n\
             option '--image-size' requires an argument"
        );
        assert_eq!(shown("-xo"), "option requires an argument -- 'o'");
        assert_eq!(shown("--chekcsum"), "unrecognized option '--chekcsum'; did you mean '--checksum'?");
    }

    proptest::proptest! {
        #[test]
        fn any_words_are_taken_apart_or_refused(words in proptest::collection::vec("[-=a-zöx]{0,8}", 0..8)) {
            let count = words.len();
            if let Ok(parsed) = parse(&words, &SPEC, false) {
                proptest::prop_assert!(parsed.operands.len() <= count);
            }
        }
    }
}
