//! The map that may follow a verb's arguments.
//!
//! In: a Rhai map. Out: a struct; an unknown key is an error that names it. Also the attributes that all writing verbs share.

use rhai::{Dynamic, Map};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::host_error::HostError;
use crate::target::Attributes;

/// Levels that a value handed to a verb may nest; whatever walks through it then needs little of the stack.
const DEPTH: usize = 32;

/// Refuses a value that nests deeper than any that means something.
///
/// # Errors
/// `usage.nesting`.
pub fn check_depth(value: &Dynamic) -> Result<(), HostError> {
    fn fits(value: &Dynamic, left: usize) -> bool {
        if let Some(array) = value.read_lock::<rhai::Array>() {
            return left > 0 && array.iter().all(|item| fits(item, left - 1));
        }
        if let Some(map) = value.read_lock::<Map>() {
            return left > 0 && map.values().all(|item| fits(item, left - 1));
        }
        true
    }
    if fits(value, DEPTH) {
        return Ok(());
    }
    Err(HostError::usage("nesting", format!("a list or a map nests deeper than {DEPTH} levels")))
}

/// Reads a verb's options.
///
/// # Errors
/// `usage.option`.
pub fn read<T: DeserializeOwned>(verb: &str, map: Map) -> Result<T, HostError> {
    let map = Dynamic::from_map(map);
    check_depth(&map)?;
    rhai::serde::from_dynamic(&map).map_err(|mut error| {
        let _ = error.take_position();
        let text = error.to_string();
        let text = ["Syntax error: ", "Runtime error: "]
            .iter()
            .fold(text.as_str(), |text, head| text.strip_prefix(head).unwrap_or(text));
        HostError::usage("option", format!("`{verb}`: {text}"))
    })
}

/// `#{mode: 0o644, owner: "root", group: "root"}`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileOptions {
    mode: Option<i64>,
    owner: Option<Name>,
    group: Option<Name>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Name {
    Number(i64),
    Text(String),
}

impl Name {
    fn text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

/// Reads mode, owner and group.
///
/// # Errors
/// `usage.option`, `usage.mode`.
pub fn attributes(verb: &str, map: Map) -> Result<Attributes, HostError> {
    let options: FileOptions = read(verb, map)?;
    Ok(Attributes {
        mode: options.mode.map(mode).transpose()?,
        owner: options.owner.map(Name::text),
        group: options.group.map(Name::text),
    })
}

/// Permission bits from a number.
///
/// # Errors
/// `usage.mode`.
pub fn mode(number: i64) -> Result<u32, HostError> {
    let mode = u32::try_from(number).ok().filter(|mode| *mode <= 0o7777);
    mode.ok_or_else(|| {
        HostError::usage("mode", format!("{number} is no file mode")).help("write modes in octal: `0o644`")
    })
}
