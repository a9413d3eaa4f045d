//! A line of a `source-repository-*` file, and what the user's variables make of it.
//!
//! In: the file, read by a real bash: variables, quotes and `$(…)` in it mean what they mean there, as DIB evaluates each line.
//! Out: a [`Source`]. Not here: fetching.

use std::sync::LazyLock;

use camino::Utf8Path;
use regex::Regex;

use super::super::{PlumbingError, Site};

/// What is to be fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Name of the source.
    pub name: String,
    /// `git`, `tar`, `file`, `package`.
    pub kind: String,
    /// Where in the image it goes.
    pub path: String,
    /// Where it comes from.
    pub location: String,
    /// The location was given by the user's variable.
    pub location_is_overridden: bool,
    /// Which revision, or which folder of an archive.
    pub reference: String,
}

/// Prints each line that bash makes of the file's, with a NUL after it. `*` must not become names of files.
const EVALUATE: &str = r#"set -eu -o pipefail
while read line || [ -n "$line" ]; do
    set -f
    line=$(eval echo $line)
    printf '%s\0' "$line"
done < "$1""#;

/// The lines of `file` that name a source.
pub fn read(site: &Site<'_>, file: &Utf8Path) -> Result<Vec<String>, PlumbingError> {
    let output = site.command(["bash", "-c", EVALUATE, "source-repositories", file.as_str()]).quiet();
    let output = output.check(site.events).map_err(|error| {
        PlumbingError::wrong(format!("cannot evaluate {}: {error}", file.file_name().unwrap_or_default()))
    })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.split('\0').filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect())
}

impl Source {
    /// What `line` says, and what `DIB_REPOTYPE_NAME`, `DIB_REPOLOCATION_NAME` and `DIB_REPOREF_NAME` say instead. `None` for a
    /// line of blanks.
    pub fn parse(line: &str, site: &Site<'_>) -> Result<Option<Self>, PlumbingError> {
        if line.trim().is_empty() {
            return Ok(None);
        }
        let parts = GRAMMAR.as_ref().and_then(|grammar| grammar.captures(line));
        let parts = parts.ok_or_else(|| {
            PlumbingError::wrong(format!(
                "Couldn't parse '{line}' as a source repository; write NAME TYPE /PATH LOCATION [REF], with the type git, tar, \
                 file or package"
            ))
        })?;
        let part = |index| parts.get(index).map_or("", |found| found.as_str()).to_owned();
        let mut source = Self { name: part(1), kind: part(2), path: part(3), location: part(4), ..Self::default() };
        let default = match (source.kind.as_str(), part(5).is_empty()) {
            (_, false) => part(5),
            ("git", true) => "master".to_owned(),
            ("tar", true) => {
                site.events.warn(format!(
                    "the archive {} has no REF: `*`, the content of its folders, is taken, which is deprecated; write `*` or `.`",
                    source.name
                ));
                "*".to_owned()
            }
            _ => String::new(),
        };
        let given = |what: &str| site.variable(&source.variable(what)).map(str::to_owned);
        let (kind, location, reference) = (given("DIB_REPOTYPE_"), given("DIB_REPOLOCATION_"), given("DIB_REPOREF_"));
        source.kind = kind.unwrap_or(source.kind);
        source.location_is_overridden = location.is_some();
        source.location = location.unwrap_or(source.location);
        source.reference = reference.unwrap_or(default);
        Ok(Some(source))
    }

    /// The variable about this source that begins with `prefix`.
    fn variable(&self, prefix: &str) -> String {
        format!("{prefix}{}", self.plain_name())
    }

    /// The name with `_` for all but letters and digits.
    pub fn plain_name(&self) -> String {
        self.name.chars().map(|character| if character.is_ascii_alphanumeric() { character } else { '_' }).collect()
    }

    /// Whether its install type is `source`: its own, else the default.
    pub fn is_wanted(&self, site: &Site<'_>) -> bool {
        let own = site.variable(&self.variable("DIB_INSTALLTYPE_"));
        own.or_else(|| site.variable("DIB_DEFAULT_INSTALLTYPE")).unwrap_or("source") == "source"
    }
}

static GRAMMAR: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("^([^ ]+) (git|tar|file|package) ?(/[^ ]+)? ?([^ ]+)? ?([^ ]*)$").ok());
