//! Where a path inside the image leads.
//!
//! In: a path and a way to ask what a symlink reads. Out: the path after every symlink, never above the image's root.
//! Pure but for the question. Not here: opening anything; the kernel jails every access once more (`tree`).

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::TargetError;

/// How many symlinks the kernel follows in one path before it gives up; so do we.
const LINKS: usize = 40;

/// Linux opens no longer path (PATH_MAX).
const LENGTH: usize = 4096;

/// Follows every symlink of `path`, the last one too when `follow_last`. `read_link` answers what the symlink at a
/// resolved path reads, `None` when there is none.
///
/// # Errors
/// `usage.path` for a path that is not absolute, `io.failed` for a loop, and whatever `read_link` says.
pub fn resolve(
    path: &Utf8Path,
    follow_last: bool,
    read_link: impl Fn(&Utf8Path) -> Result<Option<Utf8PathBuf>, TargetError>,
) -> Result<Utf8PathBuf, TargetError> {
    check(path)?;
    let mut rest: Vec<String> = parts(path);
    let mut at = Utf8PathBuf::from("/");
    let mut links = 0;
    while let Some(part) = rest.pop() {
        if part == ".." {
            at.pop();
            continue;
        }
        at.push(&part);
        if rest.is_empty() && !follow_last {
            break;
        }
        let Some(to) = read_link(&at)? else { continue };
        links += 1;
        if links > LINKS {
            return Err(TargetError::new("io.failed", format!("`{path}` leads through a loop of symlinks")));
        }
        at.pop();
        if to.is_absolute() {
            at = Utf8PathBuf::from("/");
        }
        rest.extend(parts(&to));
    }
    Ok(at)
}

/// Refuses what is not an absolute path.
///
/// # Errors
/// `usage.path`.
pub fn check(path: &Utf8Path) -> Result<(), TargetError> {
    if path.as_str().contains('\0') {
        return Err(TargetError::new("usage.path", format!("{:?} holds a NUL byte", path.as_str())));
    }
    if path.as_str().len() >= LENGTH {
        let start: String = path.as_str().chars().take(40).collect();
        return Err(TargetError::new(
            "usage.path",
            format!("`{start}…` is longer than a path may be ({LENGTH} bytes)"),
        ));
    }
    if !path.is_absolute() {
        return Err(TargetError::new(
            "usage.path",
            format!("`{path}` is not an absolute path: write it from the image's root, as in `/etc/hosts`"),
        ));
    }
    Ok(())
}

/// The components of `path`, last first, without `/` and `.`.
fn parts(path: &Utf8Path) -> Vec<String> {
    let named = path.components().filter_map(|part| match part {
        Utf8Component::Normal(name) => Some(name.to_owned()),
        Utf8Component::ParentDir => Some("..".to_owned()),
        _ => None,
    });
    let mut parts: Vec<String> = named.collect();
    parts.reverse();
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(links: &'static [(&str, &str)], path: &str, follow: bool) -> Result<String, TargetError> {
        resolve(Utf8Path::new(path), follow, |at| {
            Ok(links.iter().find(|(from, _)| *from == at).map(|(_, to)| Utf8PathBuf::from(*to)))
        })
        .map(Utf8PathBuf::into_string)
    }

    #[test]
    fn a_link_to_an_absolute_path_stays_in_the_image() {
        assert_eq!(with(&[("/lib", "usr/lib"), ("/a", "/etc")], "/lib/x", true).unwrap(), "/usr/lib/x");
        assert_eq!(with(&[("/a", "/etc")], "/a/shadow", false).unwrap(), "/etc/shadow");
        assert_eq!(with(&[("/a", "../../../etc")], "/a/shadow", false).unwrap(), "/etc/shadow");
    }

    #[test]
    fn the_last_link_is_followed_only_when_asked() {
        assert_eq!(with(&[("/a", "/b")], "/a", false).unwrap(), "/a");
        assert_eq!(with(&[("/a", "/b")], "/a", true).unwrap(), "/b");
    }

    #[test]
    fn a_dot_dot_after_a_link_goes_up_from_where_the_link_leads() {
        assert_eq!(with(&[("/etc/x", "/usr/share/x")], "/etc/x/../y", false).unwrap(), "/usr/share/y");
    }

    #[test]
    fn a_loop_and_a_relative_path_are_refused() {
        assert_eq!(with(&[("/a", "/b"), ("/b", "/a")], "/a/c", false).unwrap_err().code, "io.failed");
        assert_eq!(with(&[], "etc/hosts", false).unwrap_err().code, "usage.path");
    }

    proptest::proptest! {
        #[test]
        fn whatever_links_there_are_the_result_is_inside_the_image(path in "/[ab./]{0,12}", to in "[ab./]{1,9}", last: bool) {
            let found = resolve(Utf8Path::new(&path), last, |at| Ok((at == "/a").then(|| Utf8PathBuf::from(&to))));
            if let Ok(found) = found {
                proptest::prop_assert!(found.is_absolute() && found.components().all(|part| part.as_str() != ".."));
                // Once resolved, it stays.
                let again = resolve(&found, last, |at| Ok((at == "/a").then(|| Utf8PathBuf::from(&to))));
                proptest::prop_assert_eq!(again.unwrap(), found);
            }
        }
    }
}
