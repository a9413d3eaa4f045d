//! One package archive (deb(5)): an `ar` file of `debian-binary`, `control.tar.*` and `data.tar.*`.
//!
//! In: the archive's bytes. Out: its control files, a reader of its data. Not here: where files go (`unpack`).

use std::collections::BTreeMap;
use std::io::Read;

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
    /// The lines of a control file; none when there is no such file.
    pub fn lines(&self, name: &str) -> Vec<&str> {
        let bytes = self.files.get(name).map_or(&[][..], |(bytes, _)| bytes);
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        text.lines()
            .map(|line| line.split('#').next().unwrap_or_default().trim())
            .filter(|line| !line.is_empty())
            .collect()
    }
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
            let text = std::str::from_utf8(head).map_err(|_| wrong("its ar header is damaged"))?;
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

    /// Reads the control files.
    ///
    /// # Errors
    /// When they are damaged.
    pub fn control(&self) -> Result<Control, DistroError> {
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
