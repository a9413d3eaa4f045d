//! `manifests`: what was asked for is written down, and all manifests of the image are copied beside it.
//!
//! In: `DIB_ENV` and `DIB_ARGS`, the folder of manifests in the image. Out: `dib_environment` and `dib_arguments` there, every
//! file readable by root only; copies with usual modes in `DIB_MANIFEST_SAVE_DIR`, else `IMAGE.d`, of the folder that the build
//! was started in. Values whose names promise a secret are hidden; `DIB_MANIFEST_KEEP_SECRETS=1` keeps them.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use camino::{Utf8Path, Utf8PathBuf};

use super::{PlumbingError, Site};
use crate::element::secret;
use crate::target::tree::Tree;
use crate::target::{Attributes, FileKind, Target};

pub fn run(site: &Site<'_>) -> Result<(), PlumbingError> {
    let (tree, folder) = (site.tree()?, site.manifest_folder());
    tree.make_dir(&folder, Attributes::default())?;
    let declared = site.variable("DIB_ENV").unwrap_or_default();
    let environment = if site.variable("DIB_MANIFEST_KEEP_SECRETS").is_some_and(|value| value != "0") {
        declared.to_owned()
    } else {
        let (text, hidden) = without_secrets(declared);
        if !hidden.is_empty() {
            site.events.warn(format!(
                "hidden in the manifest of the environment: {}; DIB_MANIFEST_KEEP_SECRETS=1 keeps them, in the image and \
                 beside it",
                hidden.join(", ")
            ));
        }
        text
    };
    let arguments = site.variable("DIB_ARGS").unwrap_or_default();
    for (name, text) in [("dib_environment", environment.as_str()), ("dib_arguments", arguments)] {
        tree.write(&folder.join(name), format!("{text}\n").as_bytes(), Attributes::default())?;
    }
    let beside = beside(site).join(folder.file_name().unwrap_or("dib-manifests"));
    keep(site, &tree, &folder, &beside)
}

/// The folder beside the image.
fn beside(site: &Site<'_>) -> Utf8PathBuf {
    let default = || format!("{}.d", site.variable("IMAGE_NAME").unwrap_or(site.image_name));
    site.directory.join(site.variable("DIB_MANIFEST_SAVE_DIR").map_or_else(default, str::to_owned))
}

/// Copies the files in `folder` of the image to `to` and leaves those in the image to root alone.
fn keep(site: &Site<'_>, tree: &Tree, folder: &Utf8Path, to: &Utf8Path) -> Result<(), PlumbingError> {
    fs::create_dir_all(to).map_err(PlumbingError::host("make the folder", to))?;
    for name in tree.list(folder)? {
        let (path, copy) = (folder.join(&name), to.join(&name));
        match tree.stat(&path)?.map(|stat| stat.kind) {
            Some(FileKind::Directory) => keep(site, tree, &path, &copy)?,
            Some(FileKind::File) => {
                write(&copy, &tree.read(&path)?)?;
                let root = || Some("0".to_owned());
                tree.set_attributes(&path, Attributes { mode: Some(0o600), owner: root(), group: root() })?;
            }
            // What a link of the image leads to on the host is not the image's to say.
            Some(_) => site.events.warn(format!("{path} in the image is no file and is not copied to {to}")),
            None => {}
        }
    }
    Ok(())
}

/// Replaces what is at `path`; a symlink there is not followed.
fn write(path: &Utf8Path, content: &[u8]) -> Result<(), PlumbingError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(PlumbingError::host("replace", path)(error));
        }
        _ => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o666).open(path);
    file.and_then(|mut file| file.write_all(content)).map_err(PlumbingError::host("write", path))
}

/// `declare -x NAME="value"` lines without the secrets in them, and the names of what was hidden. A value may go over several
/// lines.
fn without_secrets(declarations: &str) -> (String, Vec<String>) {
    let (mut lines, mut hidden): (Vec<String>, Vec<String>) = Default::default();
    let mut hiding = false;
    for line in declarations.lines() {
        let Some(declared) = line.strip_prefix("declare -x ") else {
            if !hiding {
                lines.push(secret::shown("", line));
            }
            continue;
        };
        let (name, value) = declared.split_once('=').unwrap_or((declared, ""));
        hiding = secret::is_secret(name);
        let shown = if hiding { format!("\"{}\"", secret::HIDDEN) } else { secret::shown(name, value) };
        if shown != value {
            hidden.push(name.to_owned());
        }
        lines.push(if declared.contains('=') { format!("declare -x {name}={shown}") } else { line.to_owned() });
    }
    (lines.join("\n"), hidden)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;
    use super::*;

    #[test]
    fn manifests_are_roots_in_the_image_and_the_users_beside_it() {
        let bench = Bench::new().set("DIB_ARGS", "-o x vm").set("DIB_ENV", "declare -x DIB_A=\"1\"");
        bench.write("etc/dib-manifests/dib-manifest-git-demo", "line\n");
        bench.write("etc/dib-manifests/sub/more", "m");
        bench.run("manifests").unwrap();
        for (name, text) in [
            ("dib_arguments", "-o x vm\n"),
            ("dib_environment", "declare -x DIB_A=\"1\"\n"),
            ("dib-manifest-git-demo", "line\n"),
            ("sub/more", "m"),
        ] {
            let path = format!("etc/dib-manifests/{name}");
            assert_eq!((bench.image(&path).as_str(), bench.mode(&path)), (text, 0o600), "{name}");
            let copy = bench.path("here/demo.d/dib-manifests").join(name);
            assert_eq!(fs::read_to_string(&copy).unwrap(), text);
            assert_ne!(std::os::unix::fs::MetadataExt::mode(&copy.metadata().unwrap()) & 0o077, 0, "{name}");
        }
        let bench = bench.set("DIB_MANIFEST_SAVE_DIR", "saved/");
        bench.run("manifests").unwrap();
        assert!(bench.path("here/saved/dib-manifests/dib_arguments").is_file());
        let bench = bench.set("DIB_MANIFEST_SAVE_DIR", "").set("IMAGE_NAME", "out/web");
        bench.run("manifests").unwrap();
        assert!(bench.path("here/out/web.d/dib-manifests/dib_arguments").is_file());
    }

    #[test]
    fn secrets_are_hidden_over_all_their_lines_with_a_warning() {
        let text = "declare -x DIB_A=\"1\"\ndeclare -x DIB_DEV_USER_PASSWORD=\"one\ntwo\"\ndeclare -x DIB_B=\"x\ny\"\n\
            declare -x DIB_M=\"http://u:p@h/\"";
        let bench = Bench::new().set("DIB_ENV", text);
        bench.run("manifests").unwrap();
        let expected = "declare -x DIB_A=\"1\"\ndeclare -x DIB_DEV_USER_PASSWORD=\"(hidden)\"\ndeclare -x DIB_B=\"x\ny\"\n\
            declare -x DIB_M=\"http://(hidden)@h/\"\n";
        assert_eq!(bench.image("etc/dib-manifests/dib_environment"), expected);
        assert!(bench.warnings()[0].contains("DIB_DEV_USER_PASSWORD, DIB_M"), "{:?}", bench.warnings());
        let bench = bench.set("DIB_MANIFEST_KEEP_SECRETS", "1");
        bench.run("manifests").unwrap();
        assert_eq!(bench.image("etc/dib-manifests/dib_environment"), format!("{text}\n"));
    }

    #[test]
    fn links_neither_bring_host_files_out_nor_let_the_copy_write_elsewhere() {
        let bench = Bench::new();
        bench.write("etc/dib-manifests/x", "");
        fs::write(bench.path("outside/secret"), "host").unwrap();
        bench.link(bench.path("outside/secret").as_str(), "etc/dib-manifests/leak");
        fs::create_dir_all(bench.path("here/demo.d/dib-manifests")).unwrap();
        std::os::unix::fs::symlink(bench.path("outside/secret"), bench.path("here/demo.d/dib-manifests/dib_arguments"))
            .unwrap();
        bench.run("manifests").unwrap();
        assert!(bench.path("here/demo.d/dib-manifests/leak").symlink_metadata().is_err());
        assert_eq!(fs::read_to_string(bench.path("outside/secret")).unwrap(), "host");
        assert_eq!(bench.warnings().len(), 1);
    }
}
