//! Why elements could not be found, read or joined.

use camino::Utf8PathBuf;

use crate::diagnostic::Diagnostic;
use crate::script::nearest::suggestion;

/// What went wrong, with what the user can do about it.
#[derive(Debug, thiserror::Error)]
pub enum ElementError {
    /// A file of an element is wrong at a known place.
    #[error("{}", .0.message)]
    Source(Box<Diagnostic>),
    /// An entry of the search path is no folder.
    #[error("ELEMENTS_PATH entry '{0}' is not a directory")]
    NotADirectory(Utf8PathBuf),
    /// A file or folder could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file or folder.
        path: Utf8PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of an element is wrong at no single place.
    #[error("{path}: {message}")]
    File {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong.
        message: String,
    },
    /// Nobody offers an element.
    #[error("Element '{name}' not found{}{}", asked_for(.asked_by), suggestion(.nearest))]
    NotFound {
        /// The name.
        name: String,
        /// The element that depends on it; `None` when the user named it.
        asked_by: Option<String>,
        /// Close names, nearest first.
        nearest: Vec<String>,
    },
    /// No element provides `operating-system`.
    #[error(
        "Please include an operating system element: there is no operating system among the elements; name one, for example \
         debian-minimal{}",
        among(.candidates)
    )]
    NoOperatingSystem {
        /// The elements on the search path that provide one.
        candidates: Vec<String>,
    },
    /// Two elements of the image provide the same thing.
    #[error("{what}: already provided by ['{first}'], but '{second}' provides it too; use only one of the two")]
    ProvidedTwice {
        /// What they provide.
        what: String,
        /// One.
        first: String,
        /// The other.
        second: String,
    },
    /// The user named an element that another one replaces.
    #[error("{name}: already provided by ['{provider}']; leave out one of the two")]
    AlreadyProvided {
        /// The element named.
        name: String,
        /// The one that replaces it.
        provider: String,
    },
    /// An element of the image does not work on the architecture asked for.
    #[error(
        "element '{element}' does not work on {arch}: it supports {}{}",
        .supported.join(", "),
        use_instead(.instead)
    )]
    Architecture {
        /// The element.
        element: String,
        /// The architecture asked for.
        arch: String,
        /// Those that it supports.
        supported: Vec<String>,
        /// Elements that stand for the same and support the architecture.
        instead: Vec<String>,
    },
    /// `ELEMENT.NAME=VALUE` names an element that the image does not have.
    #[error("option {key}: the image has no element '{element}'{}", suggestion(.nearest))]
    OptionOfUnknownElement {
        /// The option as given.
        key: String,
        /// Its element.
        element: String,
        /// Close names, nearest first.
        nearest: Vec<String>,
    },
    /// `ELEMENT.NAME=VALUE` names an option that the element does not have.
    #[error("element '{element}' has no option '{option}'{}", suggestion(.nearest))]
    UnknownOption {
        /// The element.
        element: String,
        /// The option.
        option: String,
        /// Close names, nearest first.
        nearest: Vec<String>,
    },
    /// A value does not fit its option.
    #[error("{origin}: '{value}' is not {expected}")]
    OptionValue {
        /// Where the value comes from: `debian-minimal.release`, `DIB_RELEASE`.
        origin: String,
        /// The value.
        value: String,
        /// What it should have been, with its article.
        expected: String,
    },
}

impl ElementError {
    /// The place in a user's file, when there is one.
    pub fn diagnostic(&self) -> Option<&Diagnostic> {
        match self {
            Self::Source(diagnostic) => Some(diagnostic),
            _ => None,
        }
    }
}

impl From<Diagnostic> for ElementError {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Source(Box::new(diagnostic))
    }
}

fn asked_for(element: &Option<String>) -> String {
    element.as_ref().map(|name| format!(" (element '{name}' depends on it)")).unwrap_or_default()
}

fn among(candidates: &[String]) -> String {
    if candidates.is_empty() { String::new() } else { format!("; the search path has {}", candidates.join(", ")) }
}

fn use_instead(elements: &[String]) -> String {
    if elements.is_empty() { String::new() } else { format!("; use {} instead", elements.join(" or ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_element_is_reported_with_who_asked_and_near_names() {
        let error = ElementError::NotFound {
            name: "dpgk".into(),
            asked_by: Some("debootstrap".into()),
            nearest: vec!["dpkg".into()],
        };
        assert_eq!(
            error.to_string(),
            "Element 'dpgk' not found (element 'debootstrap' depends on it); did you mean `dpkg`?"
        );
    }

    #[test]
    fn without_an_operating_system_the_known_ones_are_named() {
        let error = ElementError::NoOperatingSystem { candidates: vec!["a".into(), "b".into()] };
        assert!(error.to_string().ends_with("for example debian-minimal; the search path has a, b"));
    }
}
