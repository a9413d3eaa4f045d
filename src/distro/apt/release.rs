//! The head of a suite: which index files there are and what their digests are.
//!
//! In: a [`Source`], the trusted keys. Out: a [`Release`], from the text that was signed and nothing else.
//! Not here: the index files themselves (`index`).

use std::collections::BTreeMap;

use super::control;
use super::digest;
use super::signature::Keyring;
use super::sources::Source;
use crate::distro::DistroError;
use crate::store::download::Fetcher;
use crate::store::packages::sha256;

/// How far in the future an index may be dated, in seconds: clocks differ.
const AHEAD: i64 = 24 * 60 * 60;

/// No InRelease is longer than this many bytes.
const LIMIT: u64 = 64 << 20;

/// Suites of Debian that a user may have meant.
pub(super) const KNOWN: &str = "bookworm, trixie, forky, sid, oldstable, stable, testing, unstable";

/// A suite's verified head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// Path below `dists/SUITE` to (sha256 in lower-case hex, size in bytes).
    pub files: BTreeMap<String, (String, u64)>,
    /// Files may be had by their digest.
    pub by_hash: bool,
    /// The suite's components, as the archive names them.
    pub components: Vec<String>,
    /// `bookworm`.
    pub codename: String,
    /// Its packages are not taken unless nothing else will do: backports, experimental.
    pub not_automatic: bool,
    /// sha256 of the signed text, in lower-case hex: the archive's state.
    pub digest: String,
}

/// Fetches and verifies the InRelease of `source`.
///
/// # Errors
/// When the suite does not exist, is not signed by a trusted key, is another suite, or too old (unless `check_dates` is false).
pub fn fetch(fetcher: &Fetcher, source: &Source, keys: &Keyring, check_dates: bool) -> Result<Release, DistroError> {
    let url = source.dists("InRelease");
    let bytes = fetcher.bytes(&url, LIMIT).map_err(|error| {
        if error.is_missing() {
            return DistroError::Suite {
                url: url.clone(),
                mirror: source.url.clone(),
                suite: source.suite.clone(),
                known: KNOWN,
            };
        }
        error.into()
    })?;
    let now = jiff::Timestamp::now().as_second();
    let text = keys.verify(&bytes, &url, now)?;
    parse(&text, source, &url, check_dates.then_some(now))
}

fn parse(text: &str, source: &Source, url: &str, now: Option<i64>) -> Result<Release, DistroError> {
    let text = text.replace("\r\n", "\n");
    let untrusted = |reason: String| DistroError::Trust { url: url.to_owned(), reason };
    let mut release = Release { digest: sha256(text.as_bytes()), ..Release::default() };
    let (mut suite, mut until, mut date) = (String::new(), None, None);
    for (name, value) in control::fields(&text) {
        match name {
            "Suite" => suite = value.to_owned(),
            "Codename" => release.codename = value.to_owned(),
            "Components" => release.components = value.split_whitespace().map(str::to_owned).collect(),
            "Acquire-By-Hash" => release.by_hash = value == "yes",
            "NotAutomatic" => release.not_automatic = value == "yes",
            "Date" => date = Some(value.to_owned()),
            "Valid-Until" => until = Some(value.to_owned()),
            "SHA256" => release.files = value.lines().filter_map(file).collect(),
            _ => {}
        }
    }
    // `bookworm-security/updates` is the suite of an archive that calls itself `bookworm-security`; `buster/updates` and the like
    // call themselves `buster`. A plain `X-security` never calls itself `X`: that would be the main archive in its place.
    let asked = source.suite.split('/').next().unwrap_or_default();
    let itself = [suite.as_str(), release.codename.as_str(), asked];
    let same = itself[..2].contains(&asked) || itself[..2].contains(&source.suite.as_str());
    let short = source.suite.ends_with("/updates")
        && asked.strip_suffix("-security").is_some_and(|short| itself[..2].contains(&short));
    // `unstable` and `sid` name each other in Suite and Codename, as every suite does.
    if !same && !short {
        return Err(untrusted(format!(
            "it is the index of suite {suite:?} (code name {:?}), not of {:?}; check the mirror",
            release.codename, source.suite
        )));
    }
    if let Some(now) = now {
        if let Some(until) = until
            && seconds(&until).ok_or_else(|| untrusted(format!("its Valid-Until {until:?} is no date")))? < now
        {
            return Err(untrusted(format!(
                "it was valid until {until}; check this machine's clock, or choose a mirror that is kept up to date, or, for \
                 a frozen one, set option check_dates to false"
            )));
        }
        if let Some(date) = date
            && seconds(&date).ok_or_else(|| untrusted(format!("its Date {date:?} is no date")))? > now + AHEAD
        {
            return Err(untrusted(format!(
                "it is dated {date}, which is in the future; check this machine's clock, or set option check_dates to false"
            )));
        }
    }
    if release.files.is_empty() {
        return Err(untrusted("it lists no SHA256 digests".into()));
    }
    Ok(release)
}

/// Seconds since 1970 of a date in the form of RFC 2822, whose zone may be called UTC.
fn seconds(text: &str) -> Option<i64> {
    jiff::fmt::rfc2822::parse(&text.replace("UTC", "GMT")).ok().map(|time| time.timestamp().as_second())
}

fn file(line: &str) -> Option<(String, (String, u64))> {
    let mut words = line.split_whitespace();
    let (hash, size, path) = (words.next()?, words.next()?, words.next()?);
    Some((path.to_owned(), (digest(hash)?, size.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Suite: stable-security\r\nCodename: trixie-security\r\nAcquire-By-Hash: yes\r\n\
        Valid-Until: Mon, 30 Nov 2026 11:22:38 UTC\r\nComponents: main contrib\r\nSHA256:\r\n \
        e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855        7 main/binary-amd64/Packages.xz\r\n";

    fn source(suite: &str) -> Source {
        Source {
            name: "x".into(),
            url: "http://a.example".into(),
            suite: suite.into(),
            components: vec!["main".into()],
        }
    }

    #[test]
    fn digests_are_read_and_either_name_of_the_suite_is_accepted() {
        for suite in ["stable-security", "trixie-security", "trixie-security/updates"] {
            let release = parse(TEXT, &source(suite), "u", Some(0)).unwrap();
            assert!(release.by_hash);
            assert_eq!(release.files["main/binary-amd64/Packages.xz"].1, 7);
        }
        let error = parse(TEXT, &source("bookworm"), "http://a.example/InRelease", Some(0)).unwrap_err().to_string();
        assert!(error.contains("http://a.example/InRelease") && error.contains("trixie-security"), "{error}");
    }

    #[test]
    fn the_main_archive_is_not_accepted_as_security() {
        let main = TEXT.replace("stable-security", "stable").replace("trixie-security", "trixie");
        let error = parse(&main, &source("trixie-security"), "u", Some(0)).unwrap_err().to_string();
        assert!(error.contains("not of \"trixie-security\""), "{error}");
        parse(&main, &source("trixie-security/updates"), "u", Some(0)).unwrap();
    }

    #[test]
    fn dates_that_are_none_or_in_the_future_are_refused() {
        let broken = TEXT.replace("Mon, 30 Nov 2026 11:22:38 UTC", "one day");
        let error = parse(&broken, &source("trixie-security"), "u", Some(0)).unwrap_err().to_string();
        assert!(error.contains("\"one day\" is no date"), "{error}");
        parse(&broken, &source("trixie-security"), "u", None).unwrap();
        let early = format!("Date: Sun, 01 Nov 2026 00:00:00 UTC\n{TEXT}");
        let error = parse(&early, &source("trixie-security"), "u", Some(1_790_000_000)).unwrap_err().to_string();
        assert!(error.contains("in the future"), "{error}");
        parse(&early, &source("trixie-security"), "u", Some(1_793_500_000)).unwrap();
    }

    #[test]
    fn digests_become_names_of_files_only_when_they_are_hex() {
        let upper = TEXT.replace("e3b0c442", "E3B0C442");
        let release = parse(&upper, &source("trixie-security"), "u", None).unwrap();
        assert!(release.files["main/binary-amd64/Packages.xz"].0.starts_with("e3b0c442"));
        let evil = TEXT.replace("e3b0c442", "../../..");
        assert!(parse(&evil, &source("trixie-security"), "u", None).is_err());
    }

    #[test]
    fn an_index_past_its_date_is_refused_unless_dates_do_not_count() {
        let late = jiff::Timestamp::from_second(1_800_000_000).unwrap().as_second();
        let error = parse(TEXT, &source("trixie-security"), "u", Some(late)).unwrap_err().to_string();
        assert!(error.contains("30 Nov 2026") && error.contains("check_dates"), "{error}");
        assert!(parse(TEXT, &source("trixie-security"), "u", None).is_ok());
    }
}
