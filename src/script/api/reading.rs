//! Looking at the image. Always allowed, has no effect.

use camino::{Utf8Path, Utf8PathBuf};
use regex::Regex;
use rhai::plugin::*;
use rhai::{Array, Map};

use super::super::host_error::{HostError, RhaiResult};
use super::super::image::Image;
use crate::target::{FileKind, Target};

/// The text of a file in the image.
///
/// # Errors
/// As [`Target::read`], and `io.not-text`.
pub fn text(image: &Image, path: &Utf8Path) -> Result<String, HostError> {
    String::from_utf8(image.target().read(path)?)
        .map_err(|_| HostError::new("io.not-text", format!("`{path}` in the image is not UTF-8 text")))
}

/// A regular expression that a script wrote. `^` and `$` match at lines.
///
/// # Errors
/// `usage.regex`.
pub fn regex(pattern: &str) -> Result<Regex, HostError> {
    let built = regex::RegexBuilder::new(pattern).multi_line(true).size_limit(1 << 20).build();
    built.map_err(|error| HostError::usage("regex", format!("`{pattern}` is no regular expression: {error}")))
}

/// Paths in the image that match a pattern, sorted: `*` and `?` and `[a-z]` within one component, hidden names only by a
/// leading dot.
fn matching(target: &dyn Target, pattern: &str) -> Result<Vec<Utf8PathBuf>, HostError> {
    crate::target::resolve::check(Utf8Path::new(pattern))?;
    let mut found = vec![Utf8PathBuf::from("/")];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let expression = component(part)?;
        let mut next = Vec::new();
        for folder in &found {
            let Some(expression) = &expression else {
                let path = folder.join(part);
                if target.stat(&path)?.is_some() {
                    next.push(path);
                }
                continue;
            };
            let real = target.resolve(folder, true)?;
            if target.stat(&real)?.is_none_or(|stat| stat.kind != FileKind::Directory) {
                continue;
            }
            let names = target.list(&real)?.into_iter();
            let names =
                names.filter(|name| expression.is_match(name) && (part.starts_with('.') || !name.starts_with('.')));
            next.extend(names.map(|name| folder.join(name)));
        }
        found = next;
    }
    found.sort();
    Ok(found)
}

/// The expression of one component, `None` when it holds no wildcard.
fn component(part: &str) -> Result<Option<Regex>, HostError> {
    if !part.contains(['*', '?', '[']) {
        return Ok(None);
    }
    let mut expression = String::from("^(?s:");
    let mut letters = part.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            '[' => {
                let set: String = letters.by_ref().take_while(|letter| *letter != ']').collect();
                let (negated, set) = set.strip_prefix('!').map_or(("", set.as_str()), |set| ("^", set));
                expression.push_str(&format!("[{negated}{}]", set.replace('\\', "\\\\").replace('[', "\\[")));
            }
            other => expression.push_str(&regex::escape(&other.to_string())),
        }
    }
    expression.push_str(")$");
    Regex::new(&expression).map(Some).map_err(|_| HostError::usage("pattern", format!("`{part}` is no file pattern")))
}

fn array(texts: impl IntoIterator<Item = String>) -> Array {
    texts.into_iter().map(Dynamic::from).collect()
}

/// Reading.
#[export_module]
pub mod verbs {
    /// Something is at `path`; symlinks are followed.
    #[rhai_fn(return_raw)]
    pub fn exists(ctx: NativeCallContext<'_>, image: &mut Image, path: &str) -> RhaiResult<bool> {
        let _running = image.enter(&ctx);
        let target = image.target();
        let found = target.resolve(Utf8Path::new(path), true).and_then(|real| target.stat(&real));
        Ok(found.map_err(HostError::from)?.is_some())
    }

    /// Text of the file at `path`.
    #[rhai_fn(return_raw)]
    pub fn read_file(ctx: NativeCallContext<'_>, image: &mut Image, path: &str) -> RhaiResult<String> {
        let _running = image.enter(&ctx);
        Ok(text(image, Utf8Path::new(path))?)
    }

    /// Lines of the file at `path`.
    #[rhai_fn(return_raw)]
    pub fn lines(ctx: NativeCallContext<'_>, image: &mut Image, path: &str) -> RhaiResult<Array> {
        let _running = image.enter(&ctx);
        Ok(array(text(image, Utf8Path::new(path))?.lines().map(str::to_owned)))
    }

    /// Lines of the file at `path` that match a regular expression.
    #[rhai_fn(name = "lines", return_raw)]
    pub fn lines_matching(ctx: NativeCallContext<'_>, image: &mut Image, path: &str, regex: &str) -> RhaiResult<Array> {
        let _running = image.enter(&ctx);
        let expression = super::regex(regex)?;
        let text = text(image, Utf8Path::new(path))?;
        Ok(array(text.lines().filter(|line| expression.is_match(line)).map(str::to_owned)))
    }

    /// Names in the folder at `path`, sorted.
    #[rhai_fn(return_raw)]
    pub fn list(ctx: NativeCallContext<'_>, image: &mut Image, path: &str) -> RhaiResult<Array> {
        let _running = image.enter(&ctx);
        Ok(array(image.target().list(Utf8Path::new(path)).map_err(HostError::from)?))
    }

    /// Paths that match a pattern (`*`, `?`, `[a-z]` within a component), sorted.
    #[rhai_fn(return_raw)]
    pub fn glob(ctx: NativeCallContext<'_>, image: &mut Image, pattern: &str) -> RhaiResult<Array> {
        let _running = image.enter(&ctx);
        Ok(array(matching(image.target(), pattern)?.into_iter().map(Utf8PathBuf::into_string)))
    }

    /// What is at `path`, not following a symlink there: `#{kind, mode, uid, gid, size}`, and `target` of a symlink. `kind`
    /// is `file`, `directory`, `symlink` or `special`. `()` when nothing is there.
    #[rhai_fn(return_raw)]
    pub fn stat(ctx: NativeCallContext<'_>, image: &mut Image, path: &str) -> RhaiResult<Dynamic> {
        let _running = image.enter(&ctx);
        let path = Utf8Path::new(path);
        let Some(stat) = image.target().stat(path).map_err(HostError::from)? else { return Ok(Dynamic::UNIT) };
        let mut map = Map::new();
        let kind = match stat.kind {
            FileKind::File => "file",
            FileKind::Directory => "directory",
            FileKind::Symlink => "symlink",
            FileKind::Special => "special",
        };
        map.insert("kind".into(), kind.into());
        for (key, value) in [("mode", stat.mode), ("uid", stat.uid), ("gid", stat.gid)] {
            map.insert(key.into(), i64::from(value).into());
        }
        map.insert("size".into(), i64::try_from(stat.size).unwrap_or(i64::MAX).into());
        if stat.kind == FileKind::Symlink {
            let target = image.target().read_link(path).map_err(HostError::from)?;
            map.insert("target".into(), target.into_string().into());
        }
        Ok(map.into())
    }
}
