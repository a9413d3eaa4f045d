//! What the words of both dialects mean.
//!
//! In: single words and variables. Out: the parts of a [`Request`](crate::request::Request). Not here: which words there are
//! (`words`, `dib/`).

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::variables::{self, Environment, value};
use crate::element::architecture;
use crate::format;
use crate::plan::Phase;
use crate::request::{Breakpoints, DiskWriter};
use crate::script::nearest;

/// The formats that `list` names, each once.
pub fn formats(list: &[String]) -> Result<Vec<String>, String> {
    let mut formats: Vec<String> = Vec::new();
    for name in list.iter().map(|name| name.trim()).filter(|name| !name.is_empty()) {
        format::find(name).map_err(|error| error.to_string())?;
        if !formats.iter().any(|known| known == name) {
            formats.push(name.to_owned());
        }
    }
    if formats.is_empty() {
        return Err(format!("no format is named; -t takes {}, or several of them", format::NAMES.join(", ")));
    }
    Ok(formats)
}

/// The image's path without suffix, as the user wrote it.
pub fn output(name: &Utf8Path, formats: &[String]) -> Result<Utf8PathBuf, String> {
    let output = stem(name, formats);
    // A name that ends in `/` or a dot would make a hidden file of that folder.
    if matches!(output.as_str().rsplit('/').next(), None | Some("" | "." | "..")) {
        return Err(format!("`{output}` names no file; -o takes the path of the image without its suffix"));
    }
    Ok(output)
}

/// DIB's rule: with exactly one format, the format's name as a suffix is not part of the name.
fn stem(output: &Utf8Path, formats: &[String]) -> Utf8PathBuf {
    match formats {
        [only] => output.as_str().strip_suffix(&format!(".{only}")).unwrap_or(output.as_str()).into(),
        _ => output.to_owned(),
    }
}

/// The architecture that is named, or this machine's, in Debian's spelling.
pub fn arch(named: Option<&str>, environment: &Environment) -> Result<String, String> {
    let (name, origin) = match (named, value(environment, "ARCH")) {
        (Some(name), _) => (name, "-a"),
        (None, Some(name)) => (name.as_str(), "ARCH"),
        (None, None) => return Ok(host_arch()),
    };
    architecture::debian(name).map(str::to_owned).ok_or_else(|| {
        format!("{origin} is `{name}`, which is no architecture; there are {}", architecture::KNOWN.join(", "))
    })
}

/// This machine's architecture in Debian's spelling.
pub fn host_arch() -> String {
    let little = cfg!(target_endian = "little");
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "i386",
        "aarch64" => "arm64",
        "arm" => "armhf",
        "powerpc64" if little => "ppc64el",
        other => architecture::debian(other).unwrap_or(other),
    }
    .to_owned()
}

/// The digests that `asked` names as `DIB_CHECKSUM` does.
pub fn checksums(asked: &str) -> Vec<String> {
    let all = ["md5", "sha256"];
    all.into_iter().filter(|name| asked == "1" || asked.contains(name)).map(str::to_owned).collect()
}

/// Who writes the disk image.
pub fn disk_writer(text: &str) -> Result<DiskWriter, String> {
    match text {
        "auto" => Ok(DiskWriter::Auto),
        "direct" => Ok(DiskWriter::Direct),
        "loop" => Ok(DiskWriter::Loop),
        _ => Err(format!("`{text}` writes no disks; `auto`, `direct` and `loop` do")),
    }
}

/// The folders that hold elements: those named, then those of `ELEMENTS_PATH`.
pub fn search_path(named: &[Utf8PathBuf], environment: &Environment) -> Result<Vec<Utf8PathBuf>, String> {
    let here = current_folder()?;
    let mut path: Vec<Utf8PathBuf> = named.iter().map(|folder| here.join(folder)).collect();
    if let Some(variable) = value(environment, "ELEMENTS_PATH") {
        path.extend(variable.split(':').map(|folder| here.join(folder)));
    }
    Ok(path)
}

/// The store: what the user names, else `KILN_STORE`, else a folder in the user's cache.
pub fn store(named: Option<&Utf8Path>, environment: &Environment) -> Result<Utf8PathBuf, String> {
    let folder = |name: &str| value(environment, name).map(Utf8PathBuf::from);
    let cache = || folder("XDG_CACHE_HOME").map(|cache| cache.join("kiln"));
    let home = || folder("HOME").map(|home| home.join(".cache/kiln"));
    let named = named.map(Utf8Path::to_owned).or_else(|| folder("KILN_STORE"));
    let path = named.or_else(cache).or_else(home).unwrap_or_else(|| "/var/cache/kiln".into());
    Ok(current_folder()?.join(path))
}

/// The folder that the command was given in.
pub fn current_folder() -> Result<Utf8PathBuf, String> {
    let folder = std::env::current_dir().map_err(|error| format!("cannot tell the current folder: {error}"))?;
    Utf8PathBuf::from_path_buf(folder).map_err(|path| format!("the path {} is not UTF-8", path.display()))
}

/// The latest time stamp in the image, seconds since the epoch.
pub fn source_date_epoch(variables: &BTreeMap<String, String>) -> Result<Option<i64>, String> {
    let number = |text: &String| {
        text.parse().map_err(|_| format!("SOURCE_DATE_EPOCH is `{text}`, which is no number of seconds"))
    };
    variables.get("SOURCE_DATE_EPOCH").map(number).transpose()
}

/// Where `break`, `break_cmd` and `break_outside_target` want a shell.
pub fn breakpoints(environment: &Environment) -> Result<Breakpoints, String> {
    let mut known = vec!["after-error".to_owned()];
    for phase in Phase::ALL {
        known.extend([format!("before-{}", phase.as_str()), format!("after-{}", phase.as_str())]);
    }
    let list = value(environment, "break").map_or("", String::as_str);
    let mut points = Vec::new();
    for point in list.split(',').map(str::trim).filter(|point| !point.is_empty()) {
        if !known.iter().any(|name| name == point) {
            let near = nearest::suggestion(&nearest::close(point, known.iter().map(String::as_str)));
            return Err(format!(
                "break has `{point}`, which is no place to stop{near}; there are before-PHASE, after-PHASE and after-error"
            ));
        }
        points.push(point.to_owned());
    }
    Ok(Breakpoints {
        points,
        command: value(environment, "break_cmd").cloned(),
        outside_target: value(environment, "break_outside_target").is_some(),
    })
}

/// Every variable that elements may read, with the architecture as kiln spells it.
pub fn variables(environment: &Environment, arch: &str) -> BTreeMap<String, String> {
    let mut variables = variables::collect(environment);
    variables.entry("ARCH".to_owned()).and_modify(|name| arch.clone_into(name));
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_suffix_is_taken_off_for_one_format_only() {
        let one = ["qcow2".to_owned()];
        let two = ["raw".to_owned(), "qcow2".to_owned()];
        assert_eq!(stem("a/i.qcow2".into(), &one), "a/i");
        assert_eq!(stem("i.raw".into(), &one), "i.raw");
        assert_eq!(stem("i.qcow2".into(), &two), "i.qcow2");
        assert_eq!(stem("i.squashfs".into(), &["squashfs".to_owned()]), "i");
        assert_eq!(stem("i.squash".into(), &["squashfs".to_owned()]), "i.squash");
    }

    #[test]
    fn digests_are_asked_for_by_one_or_by_name() {
        assert_eq!(checksums("1"), ["md5", "sha256"]);
        assert_eq!(checksums("md5"), ["md5"]);
        assert_eq!(checksums("md5,sha256"), ["md5", "sha256"]);
        assert!(checksums("0").is_empty() && checksums("").is_empty());
    }

    #[test]
    fn breakpoints_are_phases_and_errors() {
        let found = breakpoints(&environment(&[
            ("break", "before-install,after-error, after-pre-finalise"),
            ("break_cmd", "zsh -l"),
            ("break_outside_target", "1"),
        ]))
        .unwrap();
        assert_eq!(found.points, ["before-install", "after-error", "after-pre-finalise"]);
        assert_eq!(found.command.as_deref(), Some("zsh -l"));
        assert!(found.outside_target);
        assert_eq!(breakpoints(&environment(&[("break", "")])).unwrap(), Breakpoints::default());
        let error = breakpoints(&environment(&[("break", "before-instal")])).unwrap_err();
        assert!(error.contains("`before-instal`") && error.contains("did you mean `before-install`"), "{error}");
    }

    #[test]
    fn the_store_is_named_or_in_the_users_cache() {
        let folder = |named: Option<&str>, pairs: &[(&str, &str)]| {
            store(named.map(Utf8Path::new), &environment(pairs)).unwrap().into_string()
        };
        let all = [("KILN_STORE", "/k"), ("XDG_CACHE_HOME", "/c"), ("HOME", "/h")];
        assert_eq!(folder(Some("/n"), &all), "/n");
        assert_eq!(folder(None, &all), "/k");
        assert_eq!(folder(None, &all[1..]), "/c/kiln");
        assert_eq!(folder(None, &all[2..]), "/h/.cache/kiln");
        assert_eq!(folder(None, &[]), "/var/cache/kiln");
    }
}
