//! Values of keys: what is written to what is meant, with the place where it is wrong.

use uuid::Uuid;

use crate::disk::config::flatten::Node;
use crate::disk::size;
use crate::disk::yaml::{Kind, Place, Problem, Value};

/// A text and its place.
pub(super) type Text<'a> = (&'a str, &'a Place);

pub(super) fn base(node: &Node<'_>, what: &str) -> Result<String, Problem> {
    node.base.clone().ok_or_else(|| {
        node.problem(&format!("`base` is missing: the name of a {what}; or nest the node inside it"), &node.place)
    })
}

pub(super) fn required<'a>(node: &Node<'a>, key: &str, what: &str) -> Result<Text<'a>, Problem> {
    node.text(key)?.ok_or_else(|| node.problem(&format!("`{key}` is missing: {what}"), &node.place))
}

/// A size in bytes.
pub(super) fn absolute(node: &Node<'_>, key: &str) -> Result<Option<u64>, Problem> {
    let Some((text, place)) = node.text(key)? else { return Ok(None) };
    size::absolute(text).map(Some).map_err(|error| node.problem(&format!("{key}: {error}"), place))
}

/// A whole number.
pub(super) fn number(node: &Node<'_>, key: &str) -> Result<Option<u32>, Problem> {
    let Some((text, place)) = node.text(key)? else { return Ok(None) };
    let number = text.parse().map_err(|_| node.problem(&format!("{key}: `{text}` is not a whole number"), place))?;
    Ok(Some(number))
}

/// Yes or no.
pub(super) fn flag(node: &Node<'_>, key: &str) -> Result<bool, Problem> {
    match node.text(key)? {
        None => Ok(false),
        Some((text, place)) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Ok(true),
            "false" | "no" | "off" => Ok(false),
            _ => Err(node.problem(&format!("{key}: `{text}` is neither `true` nor `false`"), place)),
        },
    }
}

pub(super) fn uuid(node: &Node<'_>, key: &str) -> Result<Option<Uuid>, Problem> {
    let Some((text, place)) = node.text(key)? else { return Ok(None) };
    let wrong =
        || node.problem(&format!("{key}: `{text}` is not a UUID, as in `0fc63daf-8483-4772-8e79-3d69d8477de4`"), place);
    match Uuid::try_parse(text) {
        Ok(uuid) if uuid.is_nil() => {
            Err(node.problem(&format!("{key}: a UUID of zeros means that there is none"), place))
        }
        Ok(uuid) => Ok(Some(uuid)),
        Err(_) => Err(wrong()),
    }
}

/// The label of a partition or container. Those of file systems are checked with their types.
pub(super) fn label<'a>(node: &Node<'a>) -> Result<Option<Text<'a>>, Problem> {
    match node.text("label")? {
        Some((text, place)) if text.contains(char::is_control) => {
            Err(node.problem(&format!("label `{}` has control characters", text.escape_debug()), place))
        }
        label => Ok(label),
    }
}

/// One of `choices`, else the first of them.
pub(super) fn choice<T: Copy>(node: &Node<'_>, key: &str, choices: &[(&str, T)]) -> Result<T, Problem> {
    let Some((text, place)) = node.text(key)? else { return Ok(choices[0].1) };
    let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
        node.problem(&format!("{key}: `{text}` is not one of {}", names.join(", ")), place)
    })
}

/// A hexadecimal number, with or without `0x` in front.
pub(super) fn hexadecimal(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    // from_str_radix would take a sign.
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
}

/// The words of a list of single values.
pub(super) fn words<'a>(node: &Node<'a>, key: &str, example: &str) -> Result<Vec<Text<'a>>, Problem> {
    let items = match node.get(key) {
        None => return Ok(Vec::new()),
        Some(Value { kind: Kind::List(items), .. }) => items,
        Some(other) => {
            return Err(node.problem(&format!("`{key}` must be a list, as in `{example}`"), &other.place));
        }
    };
    let word = |item: &'a Value| match &item.kind {
        Kind::Scalar(text) => Ok((text.as_str(), &item.place)),
        _ => Err(node.problem(&format!("`{key}` must be a list of words, as in `{example}`"), &item.place)),
    };
    items.iter().map(word).collect()
}
