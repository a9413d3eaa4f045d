//! The environment as DIB's commands leave it to hooks.
//!
//! In: what the caller's process had, and options. Out: the same with what options and defaults change in it. Not here: what
//! only the builder knows (`TMP_BUILD_DIR`, `IMAGE_ELEMENT` …), what it means for the image (`request`).

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use super::options::Options;
use crate::cli::size;
use crate::cli::variables::{Environment, value};
use crate::request::Kind;

/// Variables that DIB takes for its own: what the caller had set does not count and does not reach hooks.
const OWN: [&str; 3] = ["IMAGE_TYPES", "INSTALL_PACKAGES", "DIB_ARGS"];

/// Folders that `PATH` has at its end.
const SYSTEM_PATH: [&str; 3] = ["/sbin", "/usr/sbin", "/usr/local/sbin"];

/// `-c`: what stays of `environment`, and the names of what does not.
pub fn clear(environment: &Environment) -> (Environment, Vec<String>) {
    let stays = |name: &str| ["HOME", "PATH"].contains(&name) || name.to_ascii_lowercase().ends_with("_proxy");
    let (kept, dropped): (Environment, Environment) =
        environment.clone().into_iter().partition(|(name, _)| stays(name));
    (kept, dropped.into_keys().collect())
}

/// What options change of it before anybody looks at variables. `Err` has complete text.
pub fn apply(options: &Options, environment: &mut Environment) -> Result<(), String> {
    for name in OWN {
        environment.remove(name);
    }
    let mut set = |name: &str, text: String| environment.insert(name.to_owned(), text);
    if let Some(text) = &options.image_extra_size {
        set("DIB_IMAGE_EXTRA_SIZE", number(text, "image-extra-size", "MiB")?);
    }
    if let Some(text) = &options.mkfs_journal_size {
        set("DIB_JOURNAL_SIZE", number(text, "mkfs-journal-size", "MiB")?);
    }
    if let Some(text) = &options.max_online_resize {
        text.parse::<u64>().map_err(|_| wrong(text, "max-online-resize", "number"))?;
        set("MAX_ONLINE_RESIZE", text.clone());
    }
    if let Some(text) = &options.min_tmpfs {
        text.parse::<u64>().map_err(|_| wrong(text, "min-tmpfs", "whole number of GiB"))?;
    }
    if let Some(text) = &options.image_size {
        size::parse(text).map_err(|error| format!("option '--image-size': {error}"))?;
    }
    Ok(())
}

fn wrong(text: &str, option: &str, expected: &str) -> String {
    format!("option '--{option}': `{text}` is no {expected}")
}

fn number(text: &str, option: &str, unit: &str) -> Result<String, String> {
    match text.trim().parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(text.trim().to_owned()),
        _ => Err(wrong(text, option, &format!("number of {unit}"))),
    }
}

/// What hooks see in the end: options and DIB's defaults. `image_size` is in bytes, `name` the image's name as the user wrote it.
pub fn complete(
    options: &Options,
    kind: Kind,
    name: &Utf8Path,
    image_size: Option<u64>,
    environment: &mut Environment,
) {
    let ramdisk = kind == Kind::Ramdisk;
    let home = value(environment, "HOME").cloned().unwrap_or_else(|| "/root".to_owned());
    let path = environment.get("PATH").cloned().unwrap_or_else(|| crate::sandbox::command::PATH.to_owned());
    let trace: u32 = environment.get("DIB_DEBUG_TRACE").and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let mut force = |name: &str, text: String| environment.insert(name.to_owned(), text);
    force("LC_ALL", "C".to_owned());
    force("PATH", system_path(&path));
    force("IMAGE_NAME", name.to_string());
    force("DIB_DEBUG_TRACE", (trace + options.trace).to_string());
    for (given, name, text) in [
        (options.skip_base, "SKIP_BASE", "1"),
        (options.uncompressed, "COMPRESS_IMAGE", ""),
        (options.checksum, "DIB_CHECKSUM", "1"),
        (options.no_tmpfs, "DIB_NO_TMPFS", "1"),
        (options.offline, "DIB_OFFLINE", "1"),
    ] {
        if given {
            force(name, text.to_owned());
        }
    }
    for (given, name) in [
        (&options.arch, "ARCH"),
        (&options.image_cache, "DIB_IMAGE_CACHE"),
        (&options.min_tmpfs, "DIB_MIN_TMPFS"),
        (&options.logfile.as_ref().map(Utf8PathBuf::to_string), "LOGFILE"),
        (&image_size.map(gibibytes), "DIB_IMAGE_SIZE"),
    ] {
        if let Some(text) = given {
            force(name, text.clone());
        }
    }
    // Variables of DIB's main program: a hook sees them when the caller had exported them, then with the new value.
    let none = String::new();
    for (text, name) in [
        (Some(options.mkfs_options.as_ref().unwrap_or(&none)), "MKFS_OPTS"),
        (Some(options.docker_target.as_ref().unwrap_or(&none)), "DOCKER_TARGET"),
        (options.qemu_img_options.as_ref(), "QEMU_IMG_OPTIONS"),
        (options.root_label.as_ref(), "ROOT_LABEL"),
        (options.ramdisk_element.as_ref(), "RAMDISK_ELEMENT"),
        (options.install_type.as_ref(), "DIB_DEFAULT_INSTALLTYPE"),
    ] {
        if let (Some(exported), Some(text)) = (environment.get_mut(name), text) {
            exported.clone_from(text);
        }
    }
    for (name, text) in [
        ("ARCH", crate::cli::meaning::host_arch()),
        ("IMAGE_TYPE", "qcow2".to_owned()),
        ("FS_TYPE", "ext4".to_owned()),
        ("DIB_IMAGE_CACHE", format!("{home}/.cache/image-create")),
        ("DIB_LOCKFILES", format!("{home}/.cache/dib/lockfiles")),
        ("DIB_OFFLINE", String::new()),
        ("DIB_CHECKSUM", "0".to_owned()),
        ("DIB_NO_TMPFS", u8::from(ramdisk).to_string()),
        ("DIB_MIN_TMPFS", if ramdisk { "1" } else { "2" }.to_owned()),
    ] {
        let known = environment.entry(name.to_owned()).or_default();
        if known.is_empty() {
            *known = text;
        }
    }
}

/// Makes the folders that hooks find their caches and locks in; relative ones are below `here`.
pub fn make_folders(environment: &Environment, here: &Utf8Path) -> Result<(), String> {
    for name in ["DIB_IMAGE_CACHE", "DIB_LOCKFILES"] {
        if let Some(folder) = value(environment, name).map(|folder| here.join(folder)) {
            fs::create_dir_all(&folder)
                .map_err(|error| format!("cannot make {folder}: {error}; name another folder with {name}"))?;
        }
    }
    Ok(())
}

/// Bytes as DIB's unit, GiB, without a fraction that is not needed.
fn gibibytes(bytes: u64) -> String {
    // Powers of two: the division is exact.
    (bytes as f64 / f64::from(1 << 30)).to_string()
}

fn system_path(path: &str) -> String {
    let mut folders: Vec<&str> = path.split(':').collect();
    for folder in SYSTEM_PATH {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::dib::options::{Wish, read};

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn options(words: &[&str]) -> Options {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        match read(&words, false) {
            Ok(Wish::Image(options)) => *options,
            other => panic!("{other:?}"),
        }
    }

    fn seen(words: &[&str], pairs: &[(&str, &str)]) -> Environment {
        let options = options(words);
        let mut environment = environment(pairs);
        apply(&options, &mut environment).unwrap();
        let size = options.image_size.as_ref().map(|text| size::parse(text).unwrap());
        complete(&options, Kind::Disk, Utf8Path::new("sub/i"), size, &mut environment);
        environment
    }

    #[test]
    fn hooks_see_dibs_defaults() {
        let seen = seen(&[], &[("HOME", "/root"), ("PATH", "/bin:/usr/sbin")]);
        for (name, expected) in [
            ("DIB_CHECKSUM", "0"),
            ("DIB_DEBUG_TRACE", "0"),
            ("DIB_IMAGE_CACHE", "/root/.cache/image-create"),
            ("DIB_LOCKFILES", "/root/.cache/dib/lockfiles"),
            ("DIB_MIN_TMPFS", "2"),
            ("DIB_NO_TMPFS", "0"),
            ("DIB_OFFLINE", ""),
            ("FS_TYPE", "ext4"),
            ("IMAGE_NAME", "sub/i"),
            ("IMAGE_TYPE", "qcow2"),
            ("LC_ALL", "C"),
            ("PATH", "/bin:/usr/sbin:/sbin:/usr/local/sbin"),
        ] {
            assert_eq!(seen.get(name).map(String::as_str), Some(expected), "{name}");
        }
        for name in ["DIB_IMAGE_SIZE", "DIB_DEFAULT_INSTALLTYPE", "MKFS_OPTS", "SKIP_BASE", "ROOT_LABEL", "LOGFILE"] {
            assert!(!seen.contains_key(name), "{name}");
        }
    }

    #[test]
    fn options_reach_hooks_as_variables() {
        let words = [
            "-a",
            "x86_64",
            "-xx",
            "-u",
            "-n",
            "--checksum",
            "--offline",
            "--no-tmpfs",
            "--min-tmpfs=3",
            "--image-size=0.5",
            "--image-extra-size=7",
            "--mkfs-journal-size=8",
            "--max-online-resize=9",
            "--image-cache=/c",
            "--logfile=l",
        ];
        let seen = seen(&words, &[("DIB_DEBUG_TRACE", "1")]);
        for (name, expected) in [
            ("ARCH", "x86_64"),
            ("COMPRESS_IMAGE", ""),
            ("DIB_CHECKSUM", "1"),
            ("DIB_DEBUG_TRACE", "3"),
            ("DIB_IMAGE_CACHE", "/c"),
            ("DIB_IMAGE_EXTRA_SIZE", "7"),
            ("DIB_IMAGE_SIZE", "0.5"),
            ("DIB_JOURNAL_SIZE", "8"),
            ("DIB_MIN_TMPFS", "3"),
            ("DIB_NO_TMPFS", "1"),
            ("DIB_OFFLINE", "1"),
            ("LOGFILE", "l"),
            ("MAX_ONLINE_RESIZE", "9"),
            ("SKIP_BASE", "1"),
        ] {
            assert_eq!(seen.get(name).map(String::as_str), Some(expected), "{name}");
        }
    }

    #[test]
    fn what_dib_keeps_to_itself_reaches_hooks_only_when_it_was_exported() {
        let words = ["--mkfs-options", "-N 7", "--install-type=package", "--root-label=r", "--docker-target=d:t"];
        assert!(!seen(&words, &[]).contains_key("DIB_DEFAULT_INSTALLTYPE"));
        let exported = [
            ("MKFS_OPTS", "a"),
            ("DIB_DEFAULT_INSTALLTYPE", "source"),
            ("ROOT_LABEL", "b"),
            ("DOCKER_TARGET", "c"),
            ("IMAGE_TYPES", "raw"),
        ];
        let seen_then = seen(&words, &exported);
        for (name, expected) in [
            ("MKFS_OPTS", "-N 7"),
            ("DIB_DEFAULT_INSTALLTYPE", "package"),
            ("ROOT_LABEL", "r"),
            ("DOCKER_TARGET", "d:t"),
        ] {
            assert_eq!(seen_then[name], expected, "{name}");
        }
        assert!(!seen_then.contains_key("IMAGE_TYPES"));
        let without = seen(&[], &exported);
        assert_eq!((without["MKFS_OPTS"].as_str(), without["ROOT_LABEL"].as_str()), ("", "b"));
    }

    #[test]
    fn clearing_keeps_proxies_home_and_path() {
        let all = environment(&[
            ("HOME", "/h"),
            ("PATH", "/p"),
            ("http_proxy", "x"),
            ("NO_PROXY", "y"),
            ("DIB_RELEASE", "sid"),
            ("ELEMENTS_PATH", "/e"),
        ]);
        let (kept, dropped) = clear(&all);
        assert_eq!(kept.into_keys().collect::<Vec<_>>(), ["HOME", "NO_PROXY", "PATH", "http_proxy"]);
        assert_eq!(dropped, ["DIB_RELEASE", "ELEMENTS_PATH"]);
    }

    #[test]
    fn numbers_that_are_none_are_refused_with_their_option() {
        for word in [
            "--image-extra-size=much",
            "--mkfs-journal-size=-1",
            "--max-online-resize=1G",
            "--min-tmpfs=1.5",
            "--image-size=0",
        ] {
            let error = apply(&options(&[word]), &mut Environment::new()).unwrap_err();
            let name = word.split('=').next().unwrap();
            assert!(error.contains(name), "{error}");
        }
    }
}
