//! The hooks of an element.
//!
//! In: an element's folder. Out: its hooks, each with the key that orders it within its phase. The order is that of DIB's
//! `dib-run-parts`: `sort -n` in the C locale. Not here: running them.

use std::cmp::Ordering;
use std::os::unix::fs::PermissionsExt;

use camino::{Utf8Path, Utf8PathBuf};

use super::ElementError;
use crate::plan::Phase;
use crate::script::syntax::Source;

/// One unit of work of an element in a phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// When it runs.
    pub phase: Phase,
    /// Orders it within the phase: `50-openssh`.
    pub key: String,
    /// What it is.
    pub kind: HookKind,
}

/// What a hook is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookKind {
    /// A function of a Rhai file.
    Script {
        /// The file.
        file: Utf8PathBuf,
        /// The function.
        function: String,
    },
    /// An executable.
    Shell {
        /// The file.
        file: Utf8PathBuf,
    },
    /// A stage whose work the program itself does.
    BuiltIn {
        /// One of [`super::built_in::STAGES`].
        name: String,
    },
}

/// Orders two keys as `sort -n` does: by the number in front, ties by their bytes. A key without a number counts as 0, and
/// `-3x` as minus three.
pub fn order(a: &str, b: &str) -> Ordering {
    number(a).cmp(&number(b)).then_with(|| a.as_bytes().cmp(b.as_bytes()))
}

/// Sign, number of digits and digits: numbers of any length compare without overflow.
fn number(key: &str) -> (i128, i128) {
    let (negative, rest) = key.strip_prefix('-').map_or((false, key), |rest| (true, rest));
    let digits = rest.len() - rest.trim_start_matches(|character: char| character.is_ascii_digit()).len();
    let digits = rest[..digits].trim_start_matches('0');
    // two halves of at most 38 digits: names of files hold no more than matters here
    let length = digits.len() as i128;
    let value = digits.get(..digits.len().min(38)).and_then(|text| text.parse().ok()).unwrap_or(0);
    if negative { (-length, -value) } else { (length, value) }
}

/// Whether `dib-run-parts` would look at a file of this name.
pub fn is_hook_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// The hooks in the folders `PHASE.d` of `folder`, in the order in which they run.
///
/// # Errors
/// A folder or a Rhai file cannot be read, or a Rhai file does not define its phase's function.
pub fn read(element: &str, folder: &Utf8Path) -> Result<Vec<Hook>, ElementError> {
    let mut hooks = Vec::new();
    for phase in Phase::ALL {
        let directory = folder.join(phase.directory());
        if !directory.is_dir() {
            continue;
        }
        let read = |source| ElementError::Read { path: directory.clone(), source };
        for entry in directory.read_dir_utf8().map_err(read)? {
            let path = entry.map_err(read)?.into_path();
            let (Some(name), Ok(metadata)) = (path.file_name(), path.metadata()) else { continue };
            if !metadata.is_file() {
                continue;
            }
            if let Some(key) = name.strip_suffix(".rhai").filter(|key| is_hook_name(key)) {
                let key = key.to_string();
                let source = read_script(element, folder, &path)?;
                check_hook_file(&source, phase)?;
                hooks.push(Hook { phase, key, kind: HookKind::Script { file: path, function: phase.function() } });
            } else if is_hook_name(name) && metadata.permissions().mode() & 0o111 != 0 {
                hooks.push(Hook { phase, key: name.to_string(), kind: HookKind::Shell { file: path } });
            }
        }
    }
    sort(&mut hooks);
    Ok(hooks)
}

/// Puts hooks in the order in which they run.
pub fn sort(hooks: &mut [Hook]) {
    hooks.sort_by(|a, b| a.phase.cmp(&b.phase).then_with(|| order(&a.key, &b.key)));
}

/// Reads the Rhai file at `path` of the element in `folder`.
///
/// # Errors
/// It cannot be read or does not parse.
pub fn read_script(element: &str, folder: &Utf8Path, path: &Utf8Path) -> Result<Source, ElementError> {
    let text = std::fs::read_to_string(path).map_err(|source| ElementError::Read { path: path.into(), source })?;
    let inside = path.strip_prefix(folder).unwrap_or(path);
    Ok(crate::script::syntax::read(&format!("{element}/{inside}"), &text)?)
}

fn check_hook_file(source: &Source, phase: Phase) -> Result<(), ElementError> {
    let function = phase.function();
    match source.function(&function) {
        Some(found) if found.parameters.len() == 1 => Ok(()),
        Some(found) => Err(arity(source, &function, found.parameters.len(), found.span.clone()).into()),
        None => {
            let mut diagnostic = source.diagnostic(
                "hook.function",
                format!("a hook file of {phase} must define `fn {function}(image)`"),
                0..0,
                "",
            );
            diagnostic.help.push("kiln calls the function that bears the name of the phase".into());
            Err(diagnostic.into())
        }
    }
}

/// A phase function with the wrong number of parameters.
pub(super) fn arity(
    source: &Source,
    function: &str,
    count: usize,
    span: std::ops::Range<usize>,
) -> crate::diagnostic::Diagnostic {
    source.diagnostic(
        "phase-arity",
        format!("`{function}` takes one parameter, the image, not {count}"),
        span,
        &format!("write `fn {function}(image)`"),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_are_ordered_by_number_then_bytes() {
        let mut keys = ["100-a", "20-x", "3-x", "b", "-3x", "00-up", "0a", "9", "a", "20-X", "007-y"];
        keys.sort_by(|a, b| order(a, b));
        assert_eq!(keys, ["-3x", "00-up", "0a", "a", "b", "3-x", "007-y", "9", "20-X", "20-x", "100-a"]);
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_the_numbers(a in -10_000_000_i64..10_000_000, b in -10_000_000_i64..10_000_000) {
            let compared = order(&format!("{a}-x"), &format!("{b}-x"));
            prop_assert_eq!(compared, a.cmp(&b));
        }
    }

    fn element(files: &[(&str, &str, u32)]) -> (tempfile::TempDir, Utf8PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(temp.path().into()).unwrap();
        for (path, text, mode) in files {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(*mode)).unwrap();
        }
        (temp, root)
    }

    #[test]
    fn only_executables_and_rhai_files_with_plain_names_are_hooks() {
        let (_temp, root) = element(&[
            ("install.d/60-b", "", 0o755),
            ("install.d/7-a", "", 0o755),
            ("install.d/50-not-executable", "", 0o644),
            ("install.d/50-data.conf", "", 0o755),
            ("install.d/x-source-install/10-in-a-folder", "", 0o755),
            ("install.d/55-r.rhai", "fn install(image) {}", 0o644),
            ("root.d/1", "", 0o755),
            ("bin/tool", "", 0o755),
        ]);
        let hooks = read("e", &root).unwrap();
        let seen: Vec<_> = hooks.iter().map(|hook| (hook.phase.as_str(), hook.key.as_str())).collect();
        assert_eq!(seen, [("root", "1"), ("install", "7-a"), ("install", "55-r"), ("install", "60-b")]);
        assert_eq!(
            hooks[2].kind,
            HookKind::Script { file: root.join("install.d/55-r.rhai"), function: "install".into() }
        );
    }

    #[test]
    fn a_rhai_hook_without_its_function_is_refused() {
        let (_temp, root) = element(&[("pre-install.d/10-x.rhai", "fn install(image) {}", 0o644)]);
        let error = read("e", &root).unwrap_err();
        assert_eq!(error.to_string(), "a hook file of pre-install must define `fn pre_install(image)`");
        assert_eq!(error.diagnostic().unwrap().labels[0].file, "e/pre-install.d/10-x.rhai");
    }

    #[test]
    fn a_phase_function_takes_the_image_only() {
        let (_temp, root) = element(&[("install.d/10-x.rhai", "fn install(image, more) {}", 0o644)]);
        assert_eq!(read("e", &root).unwrap_err().diagnostic().unwrap().code, "phase-arity");
    }
}
