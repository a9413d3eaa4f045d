//! The tree as an EROFS, compressed with LZ4.
//!
//! In: the finished tree. Out: what `mkfs.erofs` makes of it. As in an archive, what is mounted on the tree is not in it, nor
//! `lost+found`. Not here: who reads it.

use camino::Utf8Path;
use uuid::Uuid;

use super::FormatError;
use super::qemu_img::tool;
use super::shape::Shape;
use crate::event::Events;
use crate::sandbox::command::Command;
use crate::sandbox::mount::seeing_parts;

/// Makes the file system in the new file `to`; its identifier comes from `seed`.
pub fn write(shape: &Shape<'_>, to: &Utf8Path, seed: &str, events: &Events) -> Result<(), FormatError> {
    let uuid = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{seed}/erofs").as_bytes());
    let mut words = vec!["mkfs.erofs".to_owned(), "-zlz4hc".to_owned(), format!("-U{uuid}"), "--quiet".to_owned()];
    words.extend(shape.lost_and_found().into_iter().map(|folder| format!("--exclude-path={folder}")));
    words.push("--preserve-mtime".to_owned());
    words.extend([to.to_string(), shape.tree.to_string()]);
    let reading = FormatError::io("read", shape.tree);
    let make = || {
        // The time of the file system, and the latest of its files.
        let time = shape.latest().map_err(reading)?.to_string();
        Command::new(words).env("SOURCE_DATE_EPOCH", time).check(events).map_err(tool("erofs")).map(drop)
    };
    seeing_parts(shape.tree, shape.parts, make).map_err(FormatError::io("hide what is mounted on", shape.tree))?
}
