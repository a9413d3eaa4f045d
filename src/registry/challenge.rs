//! How a registry wants to be told who asks: the header `WWW-Authenticate` (RFC 9110, section 11.6.1).
//!
//! In: its text. Out: the schemes in it with their parameters. Not here: answering.

use std::collections::BTreeMap;

/// One way to say who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Challenge {
    /// `basic` or `bearer`, in small letters.
    pub scheme: String,
    /// `realm`, `service`, `scope` …, names in small letters.
    pub parameters: BTreeMap<String, String>,
}

impl Challenge {
    /// The challenges of a header. What is no challenge is skipped.
    pub fn parse(header: &str) -> Vec<Self> {
        let mut challenges: Vec<Self> = Vec::new();
        let mut rest = header;
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            let length = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
            if rest.is_empty() {
                return challenges;
            }
            let (word, after) = rest.split_at(length);
            match (after.strip_prefix('='), challenges.last_mut()) {
                (Some(after), Some(challenge)) => {
                    let (value, after) = value(after);
                    challenge.parameters.entry(word.to_lowercase()).or_insert(value);
                    rest = after;
                }
                // A parameter of nothing.
                (Some(after), None) => rest = after,
                (None, _) => {
                    challenges.push(Self { scheme: word.to_lowercase(), ..Self::default() });
                    rest = after;
                }
            }
        }
    }
}

/// A word, or a text in quotation marks; and what follows it.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (word, rest) = text.split_at(text.find([' ', '\t', ',']).unwrap_or(text.len()));
        return (word.to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, next)| next)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn schemes_and_their_parameters_are_told_apart() {
        let header = r#"Basic realm="a \"quoted\", one", Bearer realm="https://a.example/t?x=1",service=registry,scope="repository:a:pull,push""#;
        let [basic, bearer] = &Challenge::parse(header)[..] else { panic!("not two") };
        assert_eq!((basic.scheme.as_str(), basic.parameters["realm"].as_str()), ("basic", "a \"quoted\", one"));
        let words: Vec<_> = bearer.parameters.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(words, ["realm: https://a.example/t?x=1", "scope: repository:a:pull,push", "service: registry"]);
        assert_eq!(Challenge::parse("Negotiate")[0].scheme, "negotiate");
        assert!(Challenge::parse(" , ").is_empty());
    }

    proptest! {
        #[test]
        fn any_header_is_read_to_its_end(header in "[ -~é,\"=\\\\]{0,60}") {
            Challenge::parse(&header);
        }
    }
}
