//! The tree as an image that Docker and Podman load, and in their own store.
//!
//! In: the finished tree, repository and tag. Out: `NAME.docker.tar`, an archive as `docker save` writes it; when the user named a
//! target and a client is there, the tree is imported too, as DIB does. Not here: OCI's own form (`oci`).

use std::collections::BTreeMap;

use serde_json::json;

use super::FormatError;
use super::archive::Archive;
use super::bundle::Bundle;
use super::host::find_program;
use super::oci::{self, Compression};
use super::shape::Shape;
use super::tar;
use crate::event::Events;
use crate::sandbox::command::Command;

/// The clients that import an archive, the first that is there is taken.
pub const CLIENTS: &[&str] = &["docker", "podman"];

/// Writes the archive. `file` is what it will be called, `options` what [`oci::Options::parse`] reads, `variables` what leads a
/// client to its daemon.
pub(super) fn write(
    archive: &Archive<'_>,
    arch: &str,
    file: &str,
    options: &str,
    variables: &BTreeMap<String, String>,
) -> Result<(), FormatError> {
    let options = oci::Options::parse(options, file.trim_end_matches(".docker.tar"))?;
    let mut bundle = Bundle::create(archive.to, archive.shape.time)?;
    // Layers of this form are not compressed.
    let layer = bundle.add_long(|out| {
        let layer = oci::layer(archive, Compression::None, out)?;
        Ok((format!("{}.tar", layer.digest), layer.size, layer))
    })?;
    let config = oci::config(arch, &layer.diff_id, archive.shape.time);
    let name = format!("{}.json", oci::sha256(&config));
    bundle.add(&name, &config)?;
    let layers = [format!("{}.tar", layer.digest)];
    let manifest = json!([{"Config": name, "RepoTags": [options.tagged()], "Layers": layers}]);
    bundle.add("manifest.json", manifest.to_string().as_bytes())?;
    bundle.finish()?;
    if options.named {
        import(&archive.shape, &options.reference, variables, archive.events)?;
    }
    Ok(())
}

/// Imports the tree as `target`, when there is a client.
fn import(
    shape: &Shape<'_>,
    target: &str,
    variables: &BTreeMap<String, String>,
    events: &Events,
) -> Result<(), FormatError> {
    let Some(client) = CLIENTS.iter().find(|client| find_program(client).is_some()) else {
        events.warn(format!("there is no docker and no podman here: load the archive where there is one, as {target}"));
        return Ok(());
    };
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
