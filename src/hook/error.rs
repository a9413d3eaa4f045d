//! Why a hook did not do its work.

use camino::Utf8PathBuf;

use crate::sandbox::command::CommandError;

/// Why a hook did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// It ended with a status other than 0.
    #[error("the hook {hook} ended with status {status}{}", tail_text(.tail))]
    Status {
        /// `install.d/50-x`.
        hook: String,
        /// Its exit status; 128 + signal.
        status: i32,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// A file of `environment.d` failed.
    #[error("environment.d of {of} ended with status {status}{}", tail_text(.tail))]
    Environment {
        /// Whose: `the phase install`.
        of: String,
        /// Exit status.
        status: i32,
        /// Last lines.
        tail: Vec<String>,
    },
    /// Packages could not be installed or removed.
    #[error("`install-packages {words}` ended with status {status}{}", tail_text(.tail))]
    Packages {
        /// Its words.
        words: String,
        /// Its exit status.
        status: i32,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// The root phase made nothing.
    #[error(
        "Failed to deploy the root element: the hooks of root.d left the tree empty; name an element that makes an operating \
         system, or look at what its hooks printed"
    )]
    NoRoot,
    /// The image has no bash.
    #[error("the image has no bash, which hooks inside it need ({hook}); install it in a hook of root.d")]
    NoBash {
        /// The first hook that needs it.
        hook: String,
    },
    /// A regular expression of the user does not parse.
    #[error("RUN_PARTS_REGEX is `{text}`, which is no regular expression: {source}")]
    Names {
        /// Its text.
        text: String,
        /// Why.
        source: Box<regex::Error>,
    },
    /// Hooks are to be confined, and cannot be.
    #[error("{0}; leave out --confine, or build on another kernel")]
    Confine(std::io::Error),
    /// A command could not run at all.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A file system refused.
    #[error("cannot {attempt} {path}: {source}")]
    File {
        /// What was attempted.
        attempt: &'static str,
        /// With which file.
        path: Utf8PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

fn tail_text(tail: &[String]) -> String {
    if tail.is_empty() { String::new() } else { format!("; its last lines:\n  {}", tail.join("\n  ")) }
}

impl HookError {
    /// Turns an input/output error into one that names the file.
    pub(super) fn file(attempt: &'static str, path: impl Into<Utf8PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { attempt, path, source }
    }

    /// What the user can do, where the last lines tell.
    pub fn help(&self) -> Option<String> {
        let (Self::Status { tail, .. } | Self::Packages { tail, .. }) = self else { return None };
        tail.iter().any(|line| line.contains(APT_CACHE_IN_USE)).then(|| {
            "another build uses the same cache of packages: wait until it has ended, or give one of them a cache of its own with \
             `DIB_IMAGE_CACHE=FOLDER` (or none, with `DIB_APT_LOCAL_CACHE=0`)"
                .to_owned()
        })
    }

    /// The status that the program should exit with: the hook's own, as DIB does.
    pub fn exit_status(&self) -> i32 {
        match self {
            Self::Status { status, .. } | Self::Environment { status, .. } | Self::Packages { status, .. } => *status,
            _ => 1,
        }
    }
}

/// What apt-get says when another one downloads into the same folder: upstream's `dpkg` puts the user's cache into every image that is
/// being built.
const APT_CACHE_IN_USE: &str = "Could not get lock /var/cache/apt/archives/";

/// Lines of a hook's output that an error carries.
const LAST_LINES: usize = 15;

/// The last lines of what a command printed.
pub(super) fn tail(output: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].iter().map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_that_another_build_uses_is_told_from_other_locks() {
        let failed = |line: &str| HookError::Status {
            hook: "root.d/75-debian-minimal-baseinstall".into(),
            status: 100,
            tail: vec!["Reading package lists...".into(), line.into()],
        };
        let help = failed("E: Could not get lock /var/cache/apt/archives/lock. It is held by process 0").help();
        assert!(help.is_some_and(|help| help.contains("DIB_IMAGE_CACHE=FOLDER")));
        assert_eq!(failed("E: Could not get lock /var/lib/dpkg/lock-frontend").help(), None);
    }
}
