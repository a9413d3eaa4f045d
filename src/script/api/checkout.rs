//! Trees of commits. Needs `fetch:` with the host of the address and `write:` with a prefix of the destination.
//!
//! A commit says what must come. It does not hold the content of submodules, only which commits of other repositories they are: a tree
//! without them is refused unless the script says that it does without. Not here: unpacking (`archive`).

use std::collections::BTreeMap;
use std::io::Read;

use rhai::Map;
use rhai::plugin::*;
use serde::Deserialize;

use super::super::host_error::{HostError, RhaiResult};
use super::super::image::Image;
use super::super::permission::Permission;
use super::{archive, fetch, options};
use crate::target::outside::Material;

/// Bytes of a `.gitmodules` that is one.
const MODULES: u64 = 1 << 20;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CheckoutOptions {
    /// Folders of submodules stay empty.
    without_submodules: bool,
}

fn checkout(
    ctx: &NativeCallContext<'_>,
    image: &Image,
    url: &str,
    commit: &str,
    path: &str,
    options: Map,
) -> Result<(), HostError> {
    let options: CheckoutOptions = options::read(ctx.fn_name(), options)?;
    let host = fetch::host(url, &["https://", "http://", "git://"])?;
    let help = "name a commit by its 40 hexadecimal digits; branches and tags move";
    let commit = fetch::hex("commit", commit, &[40, 64], help)?;
    image.need(ctx, &Permission::Fetch(host))?;
    image.record(ctx, vec![url.into(), commit.as_str().into()])?;
    let material = image.target().outside().checkout(url, &commit)?;
    if !options.without_submodules && !material.pretended {
        refuse_submodules(&material)?;
    }
    archive::unpack(ctx, image, &material, path, Map::new())
}

fn refuse_submodules(material: &Material) -> Result<(), HostError> {
    let found = submodules(archive::open(material)?).map_err(|error| archive::broken(material, &error))?;
    if found.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = found.iter().map(|(path, url)| format!("{path} ({url})")).collect();
    let error = HostError::new("git.submodules", format!("{} has submodules: {}", material.name, list.join(", ")));
    Err(error.help(
        "add `#{ without_submodules: true }`, then bring each that is needed with a `git_checkout` of its own into its folder",
    ))
}

/// Folders of submodules in the archive of a commit, and the addresses that `.gitmodules` has for them. There they have nothing in
/// them; a folder of the commit's own has, and one that is only named in `.gitmodules` is not there.
fn submodules(archive: impl Read) -> std::io::Result<BTreeMap<String, String>> {
    let (mut text, mut folders, mut others) = (String::new(), Vec::new(), Vec::new());
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).trim_end_matches('/').to_owned();
        if path == ".gitmodules" {
            entry.by_ref().take(MODULES).read_to_string(&mut text)?;
        }
        let list = if entry.header().entry_type().is_dir() { &mut folders } else { &mut others };
        list.push(path);
    }
    let mut named = BTreeMap::new();
    let mut path = String::new();
    for line in text.lines() {
        match line.split_once('=').map(|(key, value)| (key.trim(), value.trim().trim_matches('"'))) {
            Some(("path", value)) => {
                path = value.to_owned();
                named.entry(path.clone()).or_insert_with(String::new);
            }
            Some(("url", value)) if !path.is_empty() => drop(named.insert(path.clone(), value.to_owned())),
            _ if line.trim_start().starts_with('[') => path.clear(),
            _ => {}
        }
    }
    named.retain(|path, _| {
        let inside = format!("{path}/");
        folders.contains(path) && !folders.iter().chain(&others).any(|other| other.starts_with(&inside))
    });
    Ok(named)
}

/// Checkouts.
#[export_module]
pub mod verbs {
    /// Brings the tree of a commit into the folder `path`, without the repository around it. Needs `fetch:` with the host too. A
    /// repository with submodules is refused.
    #[rhai_fn(return_raw)]
    pub fn git_checkout(
        ctx: NativeCallContext<'_>,
        image: &mut Image,
        url: &str,
        commit: &str,
        path: &str,
    ) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(checkout(&ctx, image, url, commit, path, Map::new())?)
    }

    /// As above, with `#{without_submodules: true}`: their folders stay empty.
    #[rhai_fn(name = "git_checkout", return_raw)]
    pub fn git_checkout_with(
        ctx: NativeCallContext<'_>,
        image: &mut Image,
        url: &str,
        commit: &str,
        path: &str,
        options: Map,
    ) -> RhaiResult<()> {
        let _running = image.enter(&ctx);
        Ok(checkout(&ctx, image, url, commit, path, options)?)
    }
}

#[cfg(test)]
mod tests {
    use super::submodules;

    /// What `git archive` writes: a folder of a submodule is there, with nothing in it.
    fn archive(modules: &str) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        let mut add = |path: &str, text: &str| {
            let mut header = tar::Header::new_ustar();
            let folder = path.ends_with('/');
            header.set_entry_type(if folder { tar::EntryType::Directory } else { tar::EntryType::Regular });
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, path, text.as_bytes()).unwrap();
        };
        for (path, text) in
            [(".gitmodules", modules), ("deep/", ""), ("deep/inner/", ""), ("own/", ""), ("own/file", "x")]
        {
            add(path, text);
        }
        archive.into_inner().unwrap()
    }

    #[test]
    fn submodules_are_the_empty_folders_that_the_repository_names_as_such() {
        let modules = "[submodule \"deep/inner\"]\n\tpath = deep/inner\n\turl = https://a.example/inner\n\
                       [submodule \"own\"]\n\tpath = own\n\turl = x\n[submodule \"gone\"]\n\tpath = gone\n\turl = y\n";
        let found = submodules(archive(modules).as_slice()).unwrap();
        assert_eq!(found, [("deep/inner".to_owned(), "https://a.example/inner".to_owned())].into());
        assert!(submodules(archive("").as_slice()).unwrap().is_empty());
    }
}
