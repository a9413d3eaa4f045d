//! The tree as an archive compressed with gzip.
//!
//! In: the finished tree, perhaps a compressor's command line (`DIB_GZIP_BIN`). Out: the archive. Without a compressor kiln
//! compresses on all cores by itself.

use std::fs::File;
use std::io::BufWriter;

use camino::Utf8Path;

use super::FormatError;
use super::gzip::Gzip;
use super::tar::{self, Shape};
use crate::event::Events;
use crate::sandbox::command::Command;

/// Writes the archive to the new file `to`; `compressor` is empty, or a program with words that reads it with `-9`.
pub fn write(shape: &Shape<'_>, to: &Utf8Path, compressor: &str, events: &Events) -> Result<(), FormatError> {
    if compressor.trim().is_empty() {
        let write = || FormatError::io("write", to);
        let file = File::create(to).map_err(FormatError::io("create", to))?;
        let gzip = Gzip::new(BufWriter::new(file)).map_err(write())?;
        let gzip = tar::stream(shape, gzip, to, events)?;
        return gzip.finish().map(drop).map_err(write());
    }
    // A shell opens the output, so that it does not pass through kiln.
    let script = "to=$1; shift; exec \"$@\" -9 > \"$to\"";
    let words = ["/bin/sh", "-c", script, "sh", to.as_str()].into_iter().chain(compressor.split_whitespace());
    tar::pipe(shape, Command::new(words), "tgz", events).map(drop)
}
