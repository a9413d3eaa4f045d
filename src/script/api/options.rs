//! The map that may follow a verb's arguments.
//!
//! In: a Rhai map. Out: a struct; an unknown key is an error that names it. Also the attributes that all writing verbs share.

use rhai::{Dynamic, Map};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::host_error::HostError;
use crate::target::Attributes;

/// Reads a verb's options.
///
/// # Errors
/// `usage.option`.
pub fn read<T: DeserializeOwned>(verb: &str, map: Map) -> Result<T, HostError> {
    rhai::serde::from_dynamic(&Dynamic::from_map(map)).map_err(|mut error| {
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
