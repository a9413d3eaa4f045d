//! An OCI archive, read back for a registry.
//!
//! In: `NAME.oci.tar`. Out: its manifest and where each blob lies in the file. Not here: sending it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use super::{MANIFEST, sha256};
use crate::format::FormatError;

/// The most that a manifest or an index may hold.
const LARGEST_DOCUMENT: u64 = 4 << 20;
/// The most members that an archive may have.
const MOST_MEMBERS: usize = 10_000;

/// Something with a digest.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Its kind.
    pub media_type: String,
    /// `sha256:…`.
    pub digest: String,
    /// Its bytes.
    pub size: u64,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// The archive.
pub struct Archive {
    path: Utf8PathBuf,
    /// Offset and length of each member.
    members: BTreeMap<String, (u64, u64)>,
}

/// An image in it.
#[derive(Clone, Debug)]
pub struct Image {
    /// The manifest's bytes, which its digest is of.
    pub manifest: Vec<u8>,
    /// The manifest's kind.
    pub media_type: String,
    /// The configuration and the layers.
    pub blobs: Vec<Descriptor>,
}

/// Whether `text` is `sha256:` and 64 digits: it becomes part of addresses.
fn is_digest(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:").unwrap_or_default();
    digits.len() == 64 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl Archive {
    /// Reads the list of members.
    ///
    /// # Errors
    /// The file cannot be read, or is no archive.
    pub fn open(path: &Utf8Path) -> Result<Self, FormatError> {
        let reading = || FormatError::io("read", path);
        let mut archive = tar::Archive::new(File::open(path).map_err(reading())?);
        let mut members = BTreeMap::new();
        for entry in archive.entries_with_seek().map_err(reading())?.take(MOST_MEMBERS) {
            let entry = entry.map_err(reading())?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches("./").to_owned();
            members.insert(name, (entry.raw_file_position(), entry.size()));
        }
        Ok(Self { path: path.to_owned(), members })
    }

    /// The first image of the index.
    ///
    /// # Errors
    /// The archive is no OCI image layout, or is damaged.
    pub fn image(&self) -> Result<Image, FormatError> {
        let index: Index = self.parse(&self.document("index.json")?)?;
        let found = index.manifests.into_iter().find(|manifest| manifest.media_type == MANIFEST);
        let found = found.ok_or_else(|| self.damaged("its index names no image"))?;
        let digest = found.digest.strip_prefix("sha256:").unwrap_or_default();
        let manifest = self.document(&super::blob(digest))?;
        if sha256(&manifest) != digest {
            return Err(self.damaged("its manifest has another digest than the index says"));
        }
        let Manifest { config, layers } = self.parse(&manifest)?;
        let blobs: Vec<_> = std::iter::once(config).chain(layers).collect();
        if !blobs.iter().all(|blob| is_digest(&blob.digest)) {
            return Err(self.damaged("a blob's digest is no SHA-256"));
        }
        Ok(Image { manifest, media_type: found.media_type, blobs })
    }

    /// At most `length` bytes of a blob, from `offset` on.
    ///
    /// # Errors
    /// It is not in the archive, or the file cannot be read.
    pub fn blob(&self, blob: &Descriptor, offset: u64, length: u64) -> Result<impl Read + use<>, FormatError> {
        let digest = blob.digest.strip_prefix("sha256:").unwrap_or_default();
        let (start, size) = self.member(&super::blob(digest))?;
        if size != blob.size {
            return Err(self.damaged("a blob has another size than the manifest says"));
        }
        let offset = offset.min(size);
        self.part(start + offset, length.min(size - offset))
    }

    fn part(&self, offset: u64, length: u64) -> Result<std::io::Take<File>, FormatError> {
        let mut file = File::open(&self.path).map_err(FormatError::io("read", &self.path))?;
        file.seek(SeekFrom::Start(offset)).map_err(FormatError::io("read", &self.path))?;
        Ok(file.take(length))
    }

    fn member(&self, name: &str) -> Result<(u64, u64), FormatError> {
        self.members.get(name).copied().ok_or_else(|| self.damaged("a part of it is missing"))
    }

    fn document(&self, name: &str) -> Result<Vec<u8>, FormatError> {
        let (offset, length) = self.member(name)?;
        if length > LARGEST_DOCUMENT {
            return Err(self.damaged("a document is too large"));
        }
        let mut bytes = Vec::new();
        self.part(offset, length)?.read_to_end(&mut bytes).map_err(FormatError::io("read", &self.path))?;
        Ok(bytes)
    }

    fn parse<T: for<'de> Deserialize<'de>>(&self, bytes: &[u8]) -> Result<T, FormatError> {
        serde_json::from_slice(bytes).map_err(|_| self.damaged("a document makes no sense"))
    }

    fn damaged(&self, what: &'static str) -> FormatError {
        let fault = crate::format::error::ImageFault::Damaged(what);
        FormatError::Image { path: self.path.clone(), format: "an OCI archive", fault }
    }
}
