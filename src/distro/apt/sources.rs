//! Where packages come from.
//!
//! In: options of the distribution, the host's own APT sources. Out: [`Source`]s, each one line of sources.list(5).
//! Not here: fetching what they name.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::control;
use super::release::KNOWN;
use crate::distro::{Context, DistroError};

/// The mirror when neither an option nor the host names one.
const LAST_RESORT: &str = "http://ftp.debian.org/debian";

/// The options of `debian`, read.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `release`: a suite or code name; `stable` when absent.
    pub release: String,
    /// `mirror`: URL of the main archive.
    mirror: Option<String>,
    /// `security_mirror`: URL of the security archive.
    security_mirror: Option<String>,
    /// `security_subpath`: appended to the security suite, as in `/updates`.
    security_subpath: String,
    /// `components`: separated by commas or spaces; `main` when absent.
    components: Vec<String>,
    /// `keyring`: a file of keys on the host, binary or armored.
    pub keyring: Option<Utf8PathBuf>,
    /// `sources_conf`: lines `NAME:deb URL SUITE COMPONENT…` instead of all of the above.
    sources_conf: Option<String>,
    /// `check_dates`: `false` accepts an index that is past its Valid-Until, as a frozen mirror's is. When absent, the host's
    /// own setting `Acquire::Check-Valid-Until` counts, as its mirrors do.
    check_dates: Option<bool>,
    /// Where the host's own APT sources are looked for.
    host: Utf8PathBuf,
}

/// One archive, suite and its components.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Name of its file in the image: `default` becomes `/etc/apt/sources.list.d/default.list`.
    pub name: String,
    /// URL of the archive without a final slash.
    pub url: String,
    /// `bookworm`, `bookworm-security/updates`.
    pub suite: String,
    /// `main`, `contrib`.
    pub components: Vec<String>,
}

impl Source {
    /// Its line in sources.list(5).
    pub fn line(&self) -> String {
        format!("deb {} {} {}", self.url, self.suite, self.components.join(" "))
    }

    /// URL of a file below its `dists/SUITE`.
    pub fn dists(&self, path: &str) -> String {
        format!("{}/dists/{}/{path}", self.url, self.suite)
    }
}

impl Settings {
    /// Reads the options of `context`.
    ///
    /// # Errors
    /// When a value makes no sense.
    pub fn new(context: &Context) -> Result<Self, DistroError> {
        let option =
            |name: &str| context.options.get(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let components: Vec<String> = option("components")
            .unwrap_or_else(|| "main".into())
            .split([',', ' '])
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect();
        let release = option("release").unwrap_or_else(|| "stable".into());
        if release.contains(char::is_whitespace) || release.starts_with('/') || release.contains("..") {
            return Err(DistroError::Option {
                option: "release",
                reason: format!("{release:?} is no name of a suite; write one such as bookworm or stable"),
            });
        }
        let check_dates = match option("check_dates").as_deref() {
            None => None,
            Some("true" | "yes" | "1") => Some(true),
            Some("false" | "no" | "0") => Some(false),
            Some(other) => {
                return Err(DistroError::Option {
                    option: "check_dates",
                    reason: format!("{other:?} is neither true nor false"),
                });
            }
        };
        let url = |name| option(name).map(|text| text.trim_end_matches('/').to_owned());
        Ok(Self {
            release,
            mirror: url("mirror"),
            security_mirror: url("security_mirror"),
            security_subpath: option("security_subpath").unwrap_or_default(),
            components,
            keyring: option("keyring").map(Utf8PathBuf::from),
            sources_conf: option("sources_conf"),
            check_dates,
            host: "/".into(),
        })
    }

    /// Whether an index that is past its Valid-Until is refused.
    pub fn check_dates(&self) -> bool {
        let hosts_mirrors = self.mirror.is_none() && self.sources_conf.is_none();
        self.check_dates.unwrap_or_else(|| !(hosts_mirrors && host_ignores_dates(&self.host)))
    }

    /// The sources: `default`, and for releases that have them `updates` and `security`.
    ///
    /// # Errors
    /// When `sources_conf` has a line of another form.
    pub fn sources(&self) -> Result<Vec<Source>, DistroError> {
        if let Some(text) = &self.sources_conf {
            return text.lines().map(str::trim).filter(|line| !line.is_empty()).map(configured).collect();
        }
        let found = host_archives(&self.host, &self.release);
        let mirror = self.mirror.clone().or(found.main).unwrap_or_else(|| LAST_RESORT.to_owned());
        let source = |name: &str, url: &str, suite: String| Source {
            name: name.to_owned(),
            url: url.to_owned(),
            suite,
            components: self.components.clone(),
        };
        let mut sources = vec![source("default", &mirror, self.release.clone())];
        if !matches!(self.release.as_str(), "testing" | "unstable" | "sid") {
            // The sibling of a mirror that the user chose is likelier to exist than a host's mirror is to be wanted.
            let sibling = || format!("{mirror}-security");
            let host = if self.mirror.is_none() { found.security } else { None };
            let security = self.security_mirror.clone().or(host).unwrap_or_else(sibling);
            sources.push(source("updates", &mirror, format!("{}-updates", self.release)));
            let suite = format!("{}-security{}", self.release, self.security_subpath);
            sources.push(source("security", &security, suite));
        }
        Ok(sources)
    }
}

fn configured(line: &str) -> Result<Source, DistroError> {
    let wrong = || DistroError::Option {
        option: "sources_conf",
        reason: format!("cannot read {line:?}; each line reads NAME:deb URL SUITE COMPONENT…"),
    };
    let (name, rest) = line.split_once(':').ok_or_else(wrong)?;
    let mut source = one_line(rest).ok_or_else(wrong)?;
    if name.is_empty() || name.contains(['/', ' ']) {
        return Err(wrong());
    }
    source.name = name.to_owned();
    Ok(source)
}

/// A `deb` line of sources.list(5), its options in brackets passed over.
fn one_line(line: &str) -> Option<Source> {
    let line = line.trim().strip_prefix("deb")?.strip_prefix([' ', '\t'])?.trim_start();
    let line = if line.starts_with('[') { line.split_once(']')?.1 } else { line };
    let mut words = line.split('#').next()?.split_whitespace().map(str::to_owned);
    let (url, suite) = (words.next()?.trim_end_matches('/').to_owned(), words.next()?);
    let components: Vec<String> = words.collect();
    if components.is_empty() {
        return None;
    }
    Some(Source { name: String::new(), url, suite, components })
}

/// The archives that the host itself installs Debian from.
#[derive(Debug, Default, PartialEq, Eq)]
struct Archives {
    main: Option<String>,
    security: Option<String>,
}

/// Reads `/etc/apt/sources.list`, `sources.list.d/*.list` and `*.sources` below `host`. A mirror of the wanted release wins
/// over another Debian mirror; other archives do not count.
fn host_archives(host: &Utf8Path, release: &str) -> Archives {
    let mut found = vec![];
    let read = |path: &Utf8Path| std::fs::read_to_string(path).unwrap_or_default();
    let etc = host.join("etc/apt");
    found.extend(read(&etc.join("sources.list")).lines().filter_map(one_line));
    let mut files: Vec<Utf8PathBuf> = etc
        .join("sources.list.d")
        .read_dir_utf8()
        .map(|entries| entries.filter_map(Result::ok).map(|entry| entry.path().to_owned()).collect())
        .unwrap_or_default();
    files.sort();
    for file in files {
        match file.extension() {
            Some("list") => found.extend(read(&file).lines().filter_map(one_line)),
            Some("sources") => found.extend(deb822(&read(&file))),
            _ => {}
        }
    }
    let debian = is_debian(&read(&host.join("etc/os-release")));
    let mut best: BTreeMap<(bool, bool, bool), String> = BTreeMap::new();
    for source in found {
        let Some(path) = path_of(&source.url) else { continue };
        // Other distributions have suites called `*-security` too, and vendors keep their packages below paths that end in
        // `/debian`, under components such as `stable`.
        let security = path.ends_with("debian-security");
        let main = path.ends_with("/debian") && !source.suite.contains("-backports");
        let local = source.url.starts_with("file:") || source.url.starts_with("copy:");
        let exact = security || path == "/debian" || local;
        let base = source.suite.split(['-', '/']).next().unwrap_or_default();
        let trusted = exact || debian && KNOWN.split(", ").any(|suite| suite == base);
        if (security || main) && trusted && source.components.iter().any(|component| component == "main") {
            best.entry((security, exact, base == release)).or_insert(source.url);
        }
    }
    let mut pick = |security| {
        [(true, true), (true, false), (false, true), (false, false)]
            .into_iter()
            .find_map(|(exact, fits)| best.remove(&(security, exact, fits)))
    };
    Archives { main: pick(false), security: pick(true) }
}

/// Whether an os-release(5) is Debian's own.
fn is_debian(text: &str) -> bool {
    text.lines().filter_map(|line| line.strip_prefix("ID=")).any(|id| id.trim_matches(['"', '\'']) == "debian")
}

/// The path of a URL that kiln can fetch, without a final slash.
fn path_of(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once(':')?;
    let path = match scheme {
        "http" | "https" => {
            let rest = rest.strip_prefix("//")?;
            rest.find('/').map_or("", |slash| &rest[slash..])
        }
        "file" | "copy" => rest,
        _ => return None,
    };
    Some(path.trim_end_matches('/'))
}

/// Whether the host's apt.conf says that its mirrors may be out of date (apt.conf(5)); the last word counts.
fn host_ignores_dates(host: &Utf8Path) -> bool {
    let folder = host.join("etc/apt/apt.conf.d");
    let mut files: Vec<Utf8PathBuf> = folder
        .read_dir_utf8()
        .map(|entries| entries.filter_map(Result::ok).map(|entry| entry.path().to_owned()).collect())
        .unwrap_or_default();
    files.sort();
    files.push(host.join("etc/apt/apt.conf"));
    let mut ignores = false;
    for file in files {
        for line in std::fs::read_to_string(file).unwrap_or_default().lines() {
            let line = line.trim().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("acquire::check-valid-until") {
                ignores = matches!(value.trim_matches([' ', '\t', '"', ';']), "false" | "no" | "0");
            }
        }
    }
    ignores
}

/// The `deb` sources of a file in deb822 form.
fn deb822(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    for paragraph in control::paragraphs(text) {
        let words = |name| -> Vec<String> {
            control::field(paragraph, name).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
        };
        let enabled = !control::field(paragraph, "Enabled").is_some_and(|value| value.eq_ignore_ascii_case("no"));
        if !enabled || !words("Types").iter().any(|word| word == "deb") {
            continue;
        }
        for url in words("URIs") {
            for suite in words("Suites") {
                let url = url.trim_end_matches('/').to_owned();
                sources.push(Source { name: String::new(), url, suite, components: words("Components") });
            }
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(options: &[(&str, &str)], host: &Utf8Path) -> Settings {
        let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut settings = Settings::new(&Context { options, ..Context::default() }).unwrap();
        settings.host = host.to_owned();
        settings
    }

    fn lines(settings: &Settings) -> Vec<String> {
        settings.sources().unwrap().iter().map(|source| format!("{}:{}", source.name, source.line())).collect()
    }

    #[test]
    fn without_options_and_host_sources_the_last_resort_is_used() {
        let host = tempfile::tempdir().unwrap();
        let host = Utf8Path::from_path(host.path()).unwrap();
        assert_eq!(
            lines(&settings(&[], host)),
            [
                "default:deb http://ftp.debian.org/debian stable main",
                "updates:deb http://ftp.debian.org/debian stable-updates main",
                "security:deb http://ftp.debian.org/debian-security stable-security main",
            ]
        );
        assert_eq!(
            lines(&settings(&[("release", "unstable")], host)),
            ["default:deb http://ftp.debian.org/debian unstable main"]
        );
    }

    #[test]
    fn the_hosts_mirrors_are_found_in_both_forms() {
        let folder = tempfile::tempdir().unwrap();
        let host = Utf8Path::from_path(folder.path()).unwrap();
        let parts = host.join("etc/apt/sources.list.d");
        std::fs::create_dir_all(&parts).unwrap();
        std::fs::write(parts.join("a.list"), "deb https://example.com/apt stable main\n# deb x y z\n").unwrap();
        std::fs::write(
            parts.join("b.sources"),
            "Types: deb\n# a note\nURIs: http://mirror.example/debian/\nSuites: bookworm bookworm-updates\nComponents: main\n\n\
             Types: deb\nURIs: http://mirror.example/debian-security\nSuites: bookworm-security\nComponents: main\n",
        )
        .unwrap();
        let found = lines(&settings(&[("release", "bookworm"), ("components", "main,contrib")], host));
        assert_eq!(
            found,
            [
                "default:deb http://mirror.example/debian bookworm main contrib",
                "updates:deb http://mirror.example/debian bookworm-updates main contrib",
                "security:deb http://mirror.example/debian-security bookworm-security main contrib",
            ]
        );
        let found =
            lines(&settings(&[("mirror", "http://other.example/debian/"), ("security_subpath", "/updates")], host));
        assert_eq!(found[2], "security:deb http://other.example/debian-security stable-security/updates main");
        std::fs::write(host.join("etc/apt/sources.list"), "deb [arch=amd64] http://old.example/debian trixie main\n")
            .unwrap();
        assert_eq!(host_archives(host, "trixie").main.as_deref(), Some("http://old.example/debian"));
        assert_eq!(host_archives(host, "bookworm").main.as_deref(), Some("http://mirror.example/debian"));
        assert!(settings(&[], host).check_dates());
        std::fs::write(host.join("etc/apt/apt.conf"), "Acquire::Check-Valid-Until \"false\";\n").unwrap();
        assert!(!settings(&[], host).check_dates());
        assert!(settings(&[("check_dates", "true")], host).check_dates());
        assert!(settings(&[("mirror", "http://other.example/debian")], host).check_dates());
    }

    #[test]
    fn archives_of_other_distributions_and_of_vendors_are_not_the_hosts_mirrors() {
        let folder = tempfile::tempdir().unwrap();
        let host = Utf8Path::from_path(folder.path()).unwrap();
        std::fs::create_dir_all(host.join("etc/apt")).unwrap();
        let write = |text: &str| std::fs::write(host.join("etc/apt/sources.list"), text).unwrap();
        write(
            "deb http://security.example/ubuntu noble-security main\ndeb http://mirror.example/ubuntu noble main\n\
             deb https://download.example/linux/debian bookworm stable\ndeb https://vendor.example/linux/debian bookworm main\n\
             deb tor+http://onion.example/debian bookworm main\ndeb cdrom:[Debian]/debian bookworm main\n",
        );
        assert_eq!(host_archives(host, "bookworm"), Archives::default());
        assert_eq!(
            lines(&settings(&[], host))[2],
            "security:deb http://ftp.debian.org/debian-security stable-security main"
        );
        // On Debian itself a company's mirror may have any path, but the plain one is preferred.
        std::fs::write(host.join("etc/os-release"), "NAME=x\nID=debian\n").unwrap();
        assert_eq!(host_archives(host, "bookworm").main.as_deref(), Some("https://vendor.example/linux/debian"));
        write("deb http://a.example/repository/debian bookworm main\ndeb http://b.example/debian trixie main\n");
        assert_eq!(host_archives(host, "bookworm").main.as_deref(), Some("http://b.example/debian"));
        write(
            "deb file:/srv/mirror/debian bookworm main\ndeb https://mirror.example/debian-security/ bookworm-security main\n",
        );
        let found = host_archives(host, "bookworm");
        assert_eq!(found.main.as_deref(), Some("file:/srv/mirror/debian"));
        assert_eq!(found.security.as_deref(), Some("https://mirror.example/debian-security"));
    }

    #[test]
    fn configured_lines_replace_everything_and_bad_ones_are_named() {
        let host = Utf8Path::new("/nonexistent");
        let conf = "default:deb file:/srv/debian bookworm main\nextra:deb [trusted=yes] http://a.example/x y z w";
        assert_eq!(
            lines(&settings(&[("sources_conf", conf)], host)),
            ["default:deb file:/srv/debian bookworm main", "extra:deb http://a.example/x y z w",]
        );
        let error = settings(&[("sources_conf", "nonsense")], host).sources().unwrap_err().to_string();
        assert!(error.contains("nonsense") && error.contains("NAME:deb URL"), "{error}");
    }
}
