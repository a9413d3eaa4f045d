//! The entries of an element's `package-installs.json` and `.yaml`.
//!
//! In: an element's folder. Out: its [`Wish`]es, and whether one holds for an image. Not here: what the wishes of all elements
//! come to (`packages`).
//!
//! Unlike DIB, `arch` lists are trimmed, a flag that is false does not count, and a condition on a variable that is not set
//! is an error that names the file. [`read`] in strict mode is DIB in the first two.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use super::ElementError;
use super::packages::PackageFacts;
use crate::plan::Phase;

/// A wish in a `package-installs` file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Name of the package.
    pub package: String,
    /// Phase in which it is installed; `None` for a phase that installs no packages.
    pub(super) phase: Option<Phase>,
    /// It is to go at the end of the phase.
    pub(super) uninstall: bool,
    /// It is to come, and to go at the end of the phase.
    pub(super) build_only: bool,
    install_type: Option<String>,
    arch: Option<Vec<String>>,
    not_arch: Option<Vec<String>>,
    python_version: Option<String>,
    when: Vec<String>,
    /// The file that it stands in.
    file: Utf8PathBuf,
}

/// Wishes, and what a user should know about their files.
pub type Read = (Vec<Wish>, Vec<String>);

/// Reads the wishes of the element in `folder`; `strict`: as DIB reads them.
///
/// # Errors
/// A file cannot be read or holds something else.
pub fn read(folder: &Utf8Path, strict: bool) -> Result<Read, ElementError> {
    let (mut wishes, mut warnings) = Read::default();
    for name in ["package-installs.json", "package-installs.yaml"] {
        let path = folder.join(name);
        if !path.is_file() {
            continue;
        }
        let text =
            std::fs::read_to_string(&path).map_err(|source| ElementError::Read { path: path.clone(), source })?;
        let (more, about) = parse(&text, &path, strict)?;
        wishes.extend(more);
        warnings.extend(about);
    }
    Ok((wishes, warnings))
}

/// The wishes in `text`, the content of `path`.
pub(super) fn parse(text: &str, path: &Utf8Path, strict: bool) -> Result<Read, ElementError> {
    let wrong = |message: String| ElementError::File { path: path.into(), message };
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(_) => serde_saphyr::from_str_with_options(
            text,
            serde_saphyr::options! { duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins },
        )
        .map_err(|error| wrong(error.to_string()))?,
    };
    let packages = match value {
        Value::Null => return Ok(Read::default()),
        Value::Object(packages) => packages,
        _ => return Err(wrong("a map from package names to conditions was expected".into())),
    };
    let (mut wishes, mut warnings) = Read::default();
    for (package, value) in packages {
        let entries = match value {
            // as DIB: no entry is one without conditions
            Value::Array(entries) if entries.is_empty() => vec![Value::Null],
            Value::Array(entries) => entries,
            other => vec![other],
        };
        for entry in entries {
            let (wish, about) = wish(&package, &entry, path, strict)
                .map_err(|message| wrong(format!("package {package}: {message}")))?;
            wishes.push(wish);
            warnings.extend(about.map(|text| format!("{path}: package {package}: {text}")));
        }
    }
    Ok((wishes, warnings))
}

fn wish(package: &str, entry: &Value, path: &Utf8Path, strict: bool) -> Result<(Wish, Option<String>), String> {
    let mut wish = Wish { package: package.into(), phase: Some(Phase::Install), file: path.into(), ..Wish::default() };
    let mut warning = None;
    let entry = match entry {
        Value::Object(entry) => entry,
        other if is_empty(other) => return Ok((wish, None)),
        other => return Err(format!("a map was expected, not {other}")),
    };
    let list = |value| list(value, strict);
    let flag = |value| strict || flag(value);
    for (key, value) in entry {
        match key.as_str() {
            "phase" => {
                let name = text(value);
                wish.phase = installing(&name);
                if wish.phase.is_none() {
                    // DIB accepts any text here and never acts on it.
                    warning = Some(format!(
                        "phase {name} installs no packages, so this entry does nothing; pre-install.d, install.d or \
                         post-install.d do"
                    ));
                }
            }
            "uninstall" => wish.uninstall = flag(value),
            "build-only" => wish.build_only = flag(value),
            "installtype" => wish.install_type = (!value.is_null()).then(|| text(value)),
            "arch" => wish.arch = (!is_empty(value)).then(|| list(value)),
            "not-arch" => wish.not_arch = (!is_empty(value)).then(|| list(value)),
            "dib_python_version" => wish.python_version = (!is_empty(value)).then(|| text(value)),
            "when" => {
                wish.when = match value {
                    Value::Null => Vec::new(),
                    Value::Array(lines) => lines.iter().map(text).collect(),
                    line => vec![text(line)],
                }
            }
            _ => {}
        }
    }
    if wish.arch.is_some() && wish.not_arch.is_some() {
        return Err(format!(
            "package-installs configuration error: arch and not_arch given for package [{package}]; keep one of the two"
        ));
    }
    Ok((wish, warning))
}

/// The phase that DIB installs packages in whose folder is called `name`.
fn installing(name: &str) -> Option<Phase> {
    [Phase::PreInstall, Phase::Install, Phase::PostInstall].into_iter().find(|phase| phase.directory() == name)
}

impl Wish {
    /// Whether a condition looks at variables.
    pub fn looks_at_variables(&self) -> bool {
        self.install_type.is_some() || self.python_version.is_some() || !self.when.is_empty()
    }

    /// Whether every condition but the flags holds for a wish of `element`. Looked at in DIB's order: a later one may not make
    /// sense when an earlier one does not hold.
    ///
    /// # Errors
    /// A condition is malformed or looks at a variable that is not set.
    pub(super) fn holds(&self, element: &str, facts: &PackageFacts) -> Result<bool, ElementError> {
        let variable = |name: &str| facts.variables.get(name);
        if let Some(wanted) = &self.install_type {
            let own = format!("DIB_INSTALLTYPE_{}", element.replace('-', "_"));
            let actual =
                variable(&own).or_else(|| variable("DIB_DEFAULT_INSTALLTYPE")).map_or("source", String::as_str);
            if actual != wanted {
                return Ok(false);
            }
        }
        if self.arch.as_ref().is_some_and(|list| !list.contains(&facts.arch))
            || self.not_arch.as_ref().is_some_and(|list| list.contains(&facts.arch))
        {
            return Ok(false);
        }
        if let Some(wanted) = &self.python_version
            && variable("DIB_PYTHON_VERSION").map_or("", String::as_str) != wanted
        {
            return Ok(false);
        }
        let mut all = true;
        // All of them are looked at: a malformed one is one wherever it stands.
        for line in &self.when {
            all &= condition(line, &facts.variables).map_err(|message| ElementError::File {
                path: self.file.clone(),
                message: format!("package {}: {message}", self.package),
            })?;
        }
        Ok(all)
    }
}

/// Whether the condition `VARIABLE = value` or `VARIABLE != value` holds. The value is all that follows, as it stands.
fn condition(line: &str, variables: &BTreeMap<String, String>) -> Result<bool, String> {
    let malformed =
        || format!("malformed condition: Malformed when line: <{line}>; write VARIABLE = value or VARIABLE != value");
    let (left, right) = line.split_once('=').ok_or_else(malformed)?;
    let (name, negated) = left.strip_suffix('!').map_or((left, false), |name| (name, true));
    let name = name.trim();
    if name.is_empty() || !name.chars().all(|character| character.is_alphanumeric() || character == '_') {
        return Err(malformed());
    }
    let value = variables.get(name).ok_or_else(|| {
        format!(
            "the condition '{line}' looks at {name}, which is not set; set it, or let the element give it a default"
        )
    })?;
    let wanted = right.trim_start().lines().next().unwrap_or_default();
    Ok((value == wanted) != negated)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn flag(value: &Value) -> bool {
    match value {
        Value::Bool(value) => *value,
        Value::Null => false,
        other => !matches!(text(other).to_ascii_lowercase().as_str(), "" | "false" | "no" | "off" | "0"),
    }
}

fn list(value: &Value, strict: bool) -> Vec<String> {
    let item = |text: &str| if strict { text.to_owned() } else { text.trim().to_owned() };
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        other => text(other).split(',').map(item).collect(),
    }
}
