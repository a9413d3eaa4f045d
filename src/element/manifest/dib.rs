//! DIB's `element-deps` and `element-provides`: a name a line.
//!
//! Blank lines do not count. Text after `#` is a comment; DIB would take it for a name.

use camino::Utf8Path;

use crate::element::ElementError;

/// Names in the file `name` of an element's folder; `None` without the file.
///
/// # Errors
/// The file cannot be read.
pub fn names(folder: &Utf8Path, name: &str) -> Result<Option<Vec<String>>, ElementError> {
    let path = folder.join(name);
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).map_err(|source| ElementError::Read { path, source })?;
    Ok(Some(parse(&text)))
}

/// A warning when the file `name` holds a comment: DIB takes it for the name of an element.
///
/// # Errors
/// The file cannot be read.
pub fn comment(folder: &Utf8Path, name: &str) -> Result<Option<String>, ElementError> {
    let path = folder.join(name);
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).map_err(|source| ElementError::Read { path: path.clone(), source })?;
    let has = text.contains('#');
    Ok(has.then(|| format!("{path} has a comment, which diskimage-builder would take for the name of an element")))
}

fn parse(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.split('#').next()).flat_map(str::split_whitespace).map(str::to_string).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn blank_lines_and_comments_do_not_count() {
        assert_eq!(super::parse("a\n\n# note\n b # why\nc"), ["a", "b", "c"]);
    }
}
