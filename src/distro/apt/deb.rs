//! One package archive (deb(5)): an `ar` file of `debian-binary`, `control.tar.*` and `data.tar.*`.
//!
//! In: the archive's bytes. Out: its control files, a reader of its data. Not here: where files go (`unpack`).

use std::collections::BTreeMap;
use std::io::Read;

use super::control;
use super::index::Package;
use crate::distro::DistroError;

/// A package archive in memory.
#[derive(Debug)]
pub struct Deb<'a> {
    name: &'a str,
    control: Member<'a>,
    data: Member<'a>,
}

#[derive(Clone, Copy, Debug)]
struct Member<'a> {
    ending: &'a str,
    bytes: &'a [u8],
}

/// The control files of a package.
#[derive(Clone, Debug, Default)]
pub struct Control {
    /// The paragraph that describes the package, with a final line end.
    pub paragraph: String,
    /// All other control files: name to content and whether it may be executed.
    pub files: BTreeMap<String, (Vec<u8>, bool)>,
}

impl Control {
    /// The lines of a control file; none when there is no such file. Only `triggers` knows comments (deb-triggers(5)).
    pub fn lines(&self, name: &str) -> Vec<&str> {
        let bytes = self.files.get(name).map_or(&[][..], |(bytes, _)| bytes);
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        let comments = name == "triggers";
        text.lines()
            .map(|line| if comments { line.split('#').next().unwrap_or_default() } else { line }.trim())
            .filter(|line| !line.is_empty())
            .collect()
    }

    /// Whether this is the package that the index means: its name becomes a name of files.
    fn is(&self, package: &Package) -> bool {
        let wanted =
            [("Package", &package.name), ("Version", &package.version), ("Architecture", &package.architecture)];
        is_name(&package.name)
            && wanted.iter().all(|(name, value)| {
                let mut found = control::fields(&self.paragraph).filter(|(other, _)| other.eq_ignore_ascii_case(name));
                found.next().is_some_and(|(other, found)| other == *name && found == *value) && found.next().is_none()
            })
    }
}

/// Whether a package may be called so (deb-control(5)).
fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.bytes().next().is_some_and(letter) && name.bytes().all(|byte| letter(byte) || b"+.-".contains(&byte))
}

impl<'a> Deb<'a> {
    /// Finds the members of the archive called `name` (for errors).
    ///
    /// # Errors
    /// When it is no package archive, or is cut short.
    pub fn new(name: &'a str, bytes: &'a [u8]) -> Result<Self, DistroError> {
        let wrong = |reason: &str| DistroError::Format { file: name.to_owned(), reason: reason.to_owned() };
        let mut rest =
            bytes.strip_prefix(b"!<arch>\n").ok_or_else(|| wrong("it is no Debian package (no ar archive)"))?;
        let (mut control, mut data) = (None, None);
        while rest.len() >= 60 {
            let (head, body) = rest.split_at(60);
            let text = std::str::from_utf8(head).ok().filter(|text| text.is_ascii());
            let text = text.ok_or_else(|| wrong("its ar header is damaged"))?;
            let size: usize = text[48..58].trim().parse().map_err(|_| wrong("its ar header is damaged"))?;
            let member = body.get(..size).ok_or_else(|| wrong("it is cut short"))?;
            match text[..16].trim().trim_end_matches('/') {
                "debian-binary" if !member.starts_with(b"2.") => {
                    return Err(wrong("it is of another version than 2 of the package format"));
                }
                name => {
                    if let Some(ending) = name.strip_prefix("control.tar") {
                        control = Some(Member { ending, bytes: member });
                    } else if let Some(ending) = name.strip_prefix("data.tar") {
                        data = Some(Member { ending, bytes: member });
                    }
                }
            }
            rest = body.get(size + size % 2..).unwrap_or_default();
        }
        match (control, data) {
            (Some(control), Some(data)) => Ok(Self { name, control, data }),
            _ => Err(wrong("it lacks control.tar or data.tar")),
        }
    }

    /// The data as an uncompressed tar stream.
    ///
    /// # Errors
    /// When its compression is unknown.
    pub fn data(&self) -> Result<Box<dyn Read + 'a>, DistroError> {
        self.open(self.data)
    }

    /// Reads the control files, which must be those of `package`.
    ///
    /// # Errors
    /// When they are damaged, or describe another package than the index does.
    pub fn control_of(&self, package: &Package) -> Result<Control, DistroError> {
        let control = self.control()?;
        if control.is(package) {
            return Ok(control);
        }
        let (name, version, arch) = (&package.name, &package.version, &package.architecture);
        Err(DistroError::Format {
            file: self.name.to_owned(),
            reason: format!("it is another package than {name:?} {version} for {arch}, as which its index lists it"),
        })
    }

    fn control(&self) -> Result<Control, DistroError> {
        let wrong = |error: std::io::Error| DistroError::Format {
            file: self.name.to_owned(),
            reason: format!("its control files cannot be read: {error}"),
        };
        let mut control = Control::default();
        let mut archive = tar::Archive::new(self.open(self.control)?);
        for entry in archive.entries().map_err(wrong)? {
            let mut entry = entry.map_err(wrong)?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let path = String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches("./").to_owned();
            let executable = entry.header().mode().unwrap_or(0) & 0o111 != 0;
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(wrong)?;
            if path == "control" {
                control.paragraph = String::from_utf8_lossy(&bytes).trim_matches('\n').to_owned() + "\n";
            } else if !path.is_empty() && !path.contains('/') {
                control.files.insert(path, (bytes, executable));
            }
        }
        if control.paragraph.len() < 2 {
            return Err(DistroError::Format { file: self.name.to_owned(), reason: "it has no control file".into() });
        }
        Ok(control)
    }

    fn open(&self, member: Member<'a>) -> Result<Box<dyn Read + 'a>, DistroError> {
        let bytes = member.bytes;
        Ok(match member.ending {
            ".xz" => Box::new(liblzma::read::XzDecoder::new_multi_decoder(bytes)),
            ".zst" => Box::new(zstd::Decoder::with_buffer(bytes).map_err(|error| DistroError::Format {
                file: self.name.to_owned(),
                reason: format!("cannot read its zstd data: {error}"),
            })?),
            ".gz" => Box::new(flate2::bufread::MultiGzDecoder::new(bytes)),
            "" => Box::new(bytes),
            other => {
                return Err(DistroError::Format {
                    file: self.name.to_owned(),
                    reason: format!("its data is compressed as {other}, which kiln does not read (xz, zst, gz)"),
                });
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::deb;
    use super::super::index::{Index, List};
    use super::*;

    fn listed(name: &str, version: &str, arch: &str) -> Package {
        let text = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: {arch}\nFilename: x\nSize: 1\nSHA256: {:064}\n",
            0
        );
        let list = List { archive: "file:/a".into(), text: text.into(), not_automatic: false };
        Index::new(vec![list]).versions(name).remove(0)
    }

    #[test]
    fn a_header_that_is_not_ascii_is_refused() {
        let mut bytes = deb("Package: a\n", &[], &[]);
        // A letter of two bytes across the border of two fields.
        bytes[8 + 15..8 + 17].copy_from_slice("\u{e9}".as_bytes());
        assert!(Deb::new("x.deb", &bytes).unwrap_err().to_string().contains("ar header is damaged"));
    }

    #[test]
    fn only_the_package_that_the_index_lists_is_accepted() {
        let control = |text: &str, package: &Package| {
            Deb::new("x.deb", &deb(text, &[], &[])).unwrap().control_of(package).map(drop)
        };
        let good = "Package: g++\nVersion: 1\nArchitecture: all\n";
        control(good, &listed("g++", "1", "all")).unwrap();
        for package in [listed("gcc", "1", "all"), listed("g++", "2", "all"), listed("g++", "1", "amd64")] {
            assert!(control(good, &package).unwrap_err().to_string().contains("another package"));
        }
        for name in ["../../etc/x", "-option", "Upper", "a b"] {
            let text = format!("Package: {name}\nVersion: 1\nArchitecture: all\n");
            assert!(control(&text, &listed(name, "1", "all")).is_err(), "{name}");
        }
        assert!(control(&format!("{good}Package: ../x\n"), &listed("g++", "1", "all")).is_err());
    }

    #[test]
    fn only_triggers_have_comments() {
        let bytes = deb("Package: a\n", &[("conffiles", "/etc/a#b\n"), ("triggers", "interest x # note\n")], &[]);
        let control = Deb::new("x.deb", &bytes).unwrap().control().unwrap();
        assert_eq!((control.lines("conffiles"), control.lines("triggers")), (vec!["/etc/a#b"], vec!["interest x"]));
    }
}
