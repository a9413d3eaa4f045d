//! The tree as an image in Docker's or Podman's own store.
//!
//! In: the finished tree, repository and tag, variables that lead to the daemon. Out: no file: the client imports the archive that is piped to it. Not here: images as
//! files.

use std::collections::BTreeMap;

use super::FormatError;
use super::host::find_program;
use super::tar::{self, Shape};
use crate::event::Events;
use crate::sandbox::command::Command;

/// The clients that import an archive, the first that is there is taken.
pub const CLIENTS: &[&str] = &["docker", "podman"];

/// Imports the tree as `target`; the client sees `variables`.
pub fn import(
    shape: &Shape<'_>,
    target: &str,
    variables: &BTreeMap<String, String>,
    events: &Events,
) -> Result<(), FormatError> {
    check_target(target)?;
    let client = CLIENTS.iter().find(|client| find_program(client).is_some()).unwrap_or(&CLIENTS[0]);
    let command = Command::new([*client, "import", "-", target]).quiet();
    let command = variables.iter().fold(command, |command, (name, value)| command.env(name, value));
    let output = tar::pipe(shape, command, "docker", events)?;
    let id = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    events.info(format!("{client} has the image {target}: {id}"));
    Ok(())
}

/// Refuses a name that no client takes: `[HOST[:PORT]/]PATH[:TAG]` in small letters.
pub fn check_target(target: &str) -> Result<(), FormatError> {
    let (repository, tag) = match target.rsplit_once(':') {
        // A colon before a slash is that of a port.
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (target, None),
    };
    let word = |text: &str, more: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    let good_tag = tag.is_none_or(|tag| tag.len() <= 128 && word(tag, "_.-") && !tag.starts_with(['.', '-']));
    let (host, path) = match repository.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (Some(host), path),
        _ => (None, repository),
    };
    let good_path = path.split('/').all(|part| word(part, "_.-") && !part.contains(|c: char| c.is_ascii_uppercase()));
    if good_tag && good_path && host.is_none_or(|host| word(host, ".-:")) {
        return Ok(());
    }
    Err(FormatError::NoTarget { target: target.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_a_repository_and_a_tag() {
        for good in ["image", "org/image:tag", "registry.example:5000/org/image:1.2_3-x", "localhost/a"] {
            check_target(good).unwrap();
        }
        for bad in ["", "Image:tag", "image:", "a//b", "image:a:b", "image:.x", "a b"] {
            assert!(check_target(bad).unwrap_err().to_string().contains("--docker-target"), "{bad}");
        }
    }
}
