//! Words for LVM's commands, which DIB hands on: those that say something about what is made, and those that do not matter.
//!
//! kiln runs no such command, so a word that it does not know cannot be obeyed, and is refused.

use super::keys::words;
use crate::disk::config::flatten::Node;
use crate::disk::yaml::{Place, Problem};

/// An option with a size: its long name and its letter.
type Known = (&'static str, Option<char>);

pub(super) const PHYSICAL_VOLUME: [Known; 2] = [("dataalignment", None), ("metadatasize", None)];
pub(super) const VOLUME_GROUP: [Known; 1] = [("physicalextentsize", Some('s'))];
pub(super) const LOGICAL_VOLUME: [Known; 2] = [("chunksize", Some('c')), ("poolmetadatasize", None)];

/// Answers to questions that nobody asks while an image is written.
const IRRELEVANT: [&str; 9] = ["-f", "-ff", "--force", "-y", "--yes", "-q", "--quiet", "-v", "--verbose"];

/// The options of one node with their values in bytes.
pub(super) struct Options<'a>(Vec<(&'static str, u64, &'a Place)>);

impl<'a> Options<'a> {
    /// The last value given for the option `name`, and where.
    pub fn size(&self, name: &str) -> Option<(u64, &'a Place)> {
        self.0.iter().rev().find(|(known, ..)| *known == name).map(|(_, bytes, place)| (*bytes, *place))
    }
}

/// Reads `options` of `node`, words for `command`.
pub(super) fn read<'a>(node: &Node<'a>, command: &str, known: &[Known]) -> Result<Options<'a>, Problem> {
    let mut found = Vec::new();
    // DIB's words may hold several: `-s 8M` is one argument that LVM takes apart.
    let words = words(node, "options", "[--force]")?;
    let mut words = words.iter().flat_map(|(text, place)| text.split_whitespace().map(|word| (word, *place)));
    while let Some((word, place)) = words.next() {
        if IRRELEVANT.contains(&word) {
            continue;
        }
        let (given, inline) = match word.strip_prefix("--") {
            Some(long) => {
                let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
                (known.iter().find(|(known, _)| *known == name), value)
            }
            None => {
                let mut letters = word.strip_prefix('-').unwrap_or_default().chars();
                let letter = letters.next();
                let rest = Some(letters.as_str()).filter(|rest| !rest.is_empty());
                (known.iter().find(|(_, known)| known.is_some() && *known == letter), rest)
            }
        };
        let Some((name, _)) = given else {
            let names: Vec<_> = known.iter().map(|(name, _)| format!("--{name} SIZE")).collect();
            let text = format!(
                "options: kiln writes LVM itself and does not know `{word}` of {command}; it knows {}, and passes over {}",
                names.join(", "),
                IRRELEVANT.join(", ")
            );
            return Err(node.problem(&text, place));
        };
        let Some(value) = inline.or_else(|| words.next().map(|(word, _)| word)) else {
            return Err(node.problem(&format!("options: `{word}` needs a size, as in `--{name}=8M`"), place));
        };
        let Some(bytes) = bytes(value) else {
            return Err(node.problem(&format!("options: `{value}` is not a size for --{name}, as in `8M`"), place));
        };
        found.push((*name, bytes, place));
    }
    Ok(Options(found))
}

/// LVM's own way to write sizes: a whole number and a letter, always powers of 1024, MiB without a letter.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "b" => 0,
        "s" => 9,
        "k" | "kib" => 10,
        "" | "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift).filter(|bytes| *bytes < 1 << 60)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_are_lvms() {
        for (text, expected) in [
            ("8", Some(8 << 20)),
            ("8M", Some(8 << 20)),
            ("64k", Some(64 << 10)),
            ("512s", Some(512 * 512)),
            ("1g", Some(1 << 30)),
            ("", None),
            ("M", None),
            ("-8", None),
            ("8X", None),
            ("99999999999999999999", None),
            ("99999999999t", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
