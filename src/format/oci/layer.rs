//! The one layer of an image.

use std::fs::File;
use std::io::{BufWriter, Write};

use sha2::{Digest, Sha256};

use super::Compression;
use crate::format::archive::Archive;
use crate::format::checksum::{Algorithm, hex};
use crate::format::gzip::Gzip;
use crate::format::hashed::Hashed;
use crate::format::pass::Written;
use crate::format::zst::Zst;
use crate::format::{FormatError, tar};

/// A layer that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// SHA-256 of its bytes, hex.
    pub digest: String,
    /// Its bytes.
    pub size: u64,
    /// SHA-256 of the archive before it was compressed.
    pub diff_id: String,
}

/// Archives the tree into `out`.
pub(in crate::format) fn write(
    archive: &Archive<'_>,
    compression: Compression,
    out: BufWriter<File>,
) -> Result<Layer, FormatError> {
    const SHA256: &[Algorithm] = &[Algorithm::Sha256];
    let failed = || FormatError::io("write", archive.to);
    let out = Hashed::new(out, SHA256);
    // What compresses ends before what it writes to.
    let (packed, plain) = match compression {
        Compression::None => {
            let (_, written) =
                tar::stream(&archive.shape, out, archive.to, archive.events)?.finish().map_err(failed())?;
            (written.clone(), written)
        }
        Compression::Gzip => {
            let gzip = Gzip::new(out).map_err(failed())?;
            let (gzip, plain) = stream(archive, gzip, SHA256)?;
            (gzip.finish().and_then(Hashed::finish).map_err(failed())?.1, plain)
        }
        Compression::Zstd => {
            let (zst, plain) = stream(archive, Zst::new(out), SHA256)?;
            (zst.finish().and_then(Hashed::finish).map_err(failed())?.1, plain)
        }
    };
    Ok(Layer { digest: only(&packed), size: packed.size, diff_id: only(&plain) })
}

fn stream<W: Write + Send>(
    archive: &Archive<'_>,
    out: W,
    algorithms: &[Algorithm],
) -> Result<(W, Written), FormatError> {
    let hashed = tar::stream(&archive.shape, Hashed::new(out, algorithms), archive.to, archive.events)?;
    hashed.finish().map_err(FormatError::io("write", archive.to))
}

fn only(written: &Written) -> String {
    written.digests.iter().flatten().map(|(_, hex)| hex.clone()).collect()
}

/// SHA-256 of `bytes`, hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
