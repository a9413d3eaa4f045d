//! DIB's `pkg-map`: what a package is called on a distribution.
//!
//! In: an element's `pkg-map` (JSON: `release.DISTRO.RELEASE`, `distro.DISTRO`, `family.FAMILY`, `default`, each a map from a
//! name to real names separated by blanks) and facts. Out: real names. Not here: which packages are wanted (`packages`).

use std::collections::BTreeMap;

use camino::Utf8Path;
use serde::Deserialize;

use super::ElementError;

type Names = BTreeMap<String, String>;

/// A `pkg-map` file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PackageMap {
    release: BTreeMap<String, BTreeMap<String, Names>>,
    distro: BTreeMap<String, Names>,
    family: BTreeMap<String, Names>,
    default: Names,
}

impl PackageMap {
    /// Reads the `pkg-map` of the element in `folder`; `None` without one.
    ///
    /// # Errors
    /// It cannot be read or is not such a map.
    pub fn read(folder: &Utf8Path) -> Result<Option<Self>, ElementError> {
        let path = folder.join("pkg-map");
        if !path.is_file() {
            return Ok(None);
        }
        let text =
            std::fs::read_to_string(&path).map_err(|source| ElementError::Read { path: path.clone(), source })?;
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| ElementError::File { path, message: format!("not a package map: {error}") })
    }

    /// Every entry: its scope (`release`, `distro`, `family`, `default`), the distribution or family, the release, the name and
    /// the real names; what does not apply is empty.
    pub fn entries<'a>(&'a self) -> impl Iterator<Item = [&'a str; 5]> {
        let of = |scope: &'static str, key: &'a str, release: &'a str, names: &'a Names| {
            names.iter().map(move |(name, real)| [scope, key, release, name.as_str(), real.as_str()])
        };
        let releases = self.release.iter().flat_map(|(distribution, releases)| {
            releases.iter().map(move |(release, names)| (distribution.as_str(), release.as_str(), names))
        });
        let releases = releases.flat_map(move |(key, release, names)| of("release", key, release, names));
        let distros = self.distro.iter().flat_map(move |(key, names)| of("distro", key, "", names));
        let families = self.family.iter().flat_map(move |(key, names)| of("family", key, "", names));
        releases.chain(distros).chain(families).chain(of("default", "", "", &self.default))
    }

    /// The real names of `package`: the entry for the release, else for the distribution, its family, the default, else the
    /// name itself. None for a package that the distribution does not need.
    pub fn real_names(&self, package: &str, distribution: &str, family: &str, release: &str) -> Vec<String> {
        let release = if release == "8-stream" { "8" } else { release };
        let family = family_of(distribution).unwrap_or(family);
        [
            self.release.get(distribution).and_then(|releases| releases.get(release)),
            self.distro.get(distribution),
            self.family.get(family),
            Some(&self.default),
        ]
        .into_iter()
        .flatten()
        .find_map(|names| names.get(package))
        .map_or_else(|| vec![package.to_string()], |names| names.split_whitespace().map(str::to_string).collect())
    }
}

/// The family that DIB counts `distribution` in.
pub fn family_of(distribution: &str) -> Option<&'static str> {
    Some(match distribution {
        "almalinux" | "fedora" | "rhel" | "centos" | "openeuler" | "rocky" => "redhat",
        "debian" | "ubuntu" => "debian",
        "opensuse" => "suse",
        "gentoo" => "gentoo",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_special_entry_wins_and_names_are_split() {
        let map: PackageMap = serde_json::from_str(
            r#"{"release": {"centos": {"8": {"a": "a8"}}}, "distro": {"debian": {"a": "a-deb b-deb"}},
                "family": {"redhat": {"a": "a-rh", "b": ""}}, "default": {"a": "a-any"}, "comment": 1}"#,
        )
        .unwrap();
        assert_eq!(map.real_names("a", "debian", "debian", "trixie"), ["a-deb", "b-deb"]);
        assert_eq!(map.real_names("a", "centos", "redhat", "8-stream"), ["a8"]);
        assert_eq!(map.real_names("a", "fedora", "redhat", "40"), ["a-rh"]);
        assert_eq!(map.real_names("a", "arch", "arch", ""), ["a-any"]);
        assert!(map.real_names("b", "rocky", "redhat", "9").is_empty());
        assert_eq!(map.real_names("c", "rocky", "redhat", "9"), ["c"]);
    }
}
