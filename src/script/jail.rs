//! Files of an element, and no others.
//!
//! In: an element's folder and a path that a script named. Out: the real path, which is inside the folder after every symlink
//! is followed. Not here: reading it.

use camino::{Utf8Path, Utf8PathBuf};

use super::host_error::HostError;

/// The real path of `relative` inside `folder`.
///
/// # Errors
/// `element.not-found`, `element.outside`.
pub fn inside(folder: &Utf8Path, relative: &str) -> Result<Utf8PathBuf, HostError> {
    let outside = || {
        HostError::new("element.outside", format!("`{relative}` is outside the element's folder"))
            .help("name a file inside the element's folder, by its path from there")
    };
    if relative.starts_with('/') || relative.contains('\0') {
        return Err(outside());
    }
    let real_folder = folder.canonicalize_utf8().map_err(|error| not_found(folder.as_str(), &error))?;
    // What is not there may still be asked for from outside: the answer must not tell whether the host has it.
    let found = folder.join(relative).canonicalize_utf8();
    match found {
        Ok(found) if found.starts_with(&real_folder) => Ok(found),
        Err(error) if !relative.split('/').any(|part| part == "..") => Err(not_found(relative, &error)),
        _ => Err(outside()),
    }
}

fn not_found(path: &str, error: &std::io::Error) -> HostError {
    let text = error.to_string();
    let reason = text.split(" (os error").next().unwrap_or_default().to_lowercase();
    HostError::new("element.not-found", format!("cannot open `{path}` of the element: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_the_folder_is_reached_by_dots_roots_or_links() {
        let folder = tempfile::tempdir().unwrap();
        let element = Utf8Path::from_path(folder.path()).unwrap().join("vim");
        std::fs::create_dir_all(element.join("static")).unwrap();
        std::fs::write(element.join("static/a"), "a").unwrap();
        std::fs::write(element.with_file_name("vim-secret"), "s").unwrap();
        std::os::unix::fs::symlink("../vim-secret", element.join("link")).unwrap();
        std::os::unix::fs::symlink("static/a", element.join("good")).unwrap();
        let code = |path: &str| inside(&element, path).unwrap_err().code;
        assert!(inside(&element, "static/a").is_ok());
        assert!(inside(&element, "./good").is_ok());
        assert!(inside(&element, "static/../static/a").is_ok());
        assert_eq!(code("../vim-secret"), "element.outside");
        assert_eq!(code("../no-such-thing"), "element.outside");
        assert_eq!(code("/etc/passwd"), "element.outside");
        assert_eq!(code("link"), "element.outside");
        assert_eq!(code("static/b"), "element.not-found");
    }
}
