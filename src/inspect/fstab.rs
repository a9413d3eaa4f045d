//! Which file system of an image a path is on, as the image's own `fstab` mounts them.
//!
//! In: the file systems, a path. Out: one of them and the path in it. The root is the one that has `/etc/fstab`; when there is none, the
//! first file system that has the path is meant. Not here: reading files.

use super::files::Files;
use super::report::{Filesystem, Report};
use super::{InspectError, Window};

/// The largest `fstab` that is read.
const LARGEST: u64 = 1 << 20;
/// File systems that are looked into for it: a table can have thousands of entries for the same one.
const MOST_ROOTS: usize = 128;

/// Finds the file system of `path` on `whole`, which `report` is about; `number` names a partition whose own paths are meant.
///
/// # Errors
/// Nothing on the disk can be looked into, or it is damaged.
pub fn place(
    whole: &Window,
    report: &Report,
    number: Option<u32>,
    path: &str,
) -> Result<(Files, String), InspectError> {
    let all = report.filesystems(whole);
    let absolute = format!("/{}", path.trim_start_matches('/'));
    if let Some(number) = number {
        let found = all.iter().find(|(known, ..)| *known == Some(number));
        let Some((_, window, filesystem)) = found else {
            let known: Vec<_> = all.iter().filter_map(|(known, ..)| known.map(|known| known.to_string())).collect();
            let known = match known.as_slice() {
                [] => "no partition has anything known in it".to_owned(),
                known => format!("those with something known in them are: {}", known.join(", ")),
            };
            return Err(InspectError::NoPartition { number, known });
        };
        return match Files::open(window, filesystem)? {
            Some(files) => Ok((files, absolute)),
            None => Err(InspectError::NoFiles { found: filesystem.kind.to_owned() }),
        };
    }
    let readable = || all.iter().filter(|(_, _, filesystem)| Files::reads(filesystem.kind)).take(MOST_ROOTS);
    // One at a time: each keeps tables in memory.
    let mut first = None;
    let mut having = None;
    for (_, window, filesystem) in readable() {
        let Some(files) = Files::open(window, filesystem)? else { continue };
        if let Some(table) = read_table(&files) {
            return mounted(&all, files, &table, absolute);
        }
        if having.is_none() && files.stat(&absolute).is_ok() {
            having = Some(files);
        } else if first.is_none() {
            first = Some(files);
        }
    }
    // Nobody has it: then the first says so.
    let chosen = having.or(first);
    let found = all.iter().map(|(_, _, filesystem)| filesystem.kind).collect::<Vec<_>>().join(", ");
    let found = if found.is_empty() { "none that it knows".to_owned() } else { found };
    chosen.map(|files| (files, absolute)).ok_or(InspectError::NoFiles { found })
}

/// The `fstab` of a root.
fn read_table(files: &Files) -> Option<String> {
    let entry = files.stat("/etc/fstab").ok().filter(|entry| entry.size <= LARGEST)?;
    let mut bytes = Vec::with_capacity(entry.size as usize);
    files.copy("/etc/fstab", &mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The file system that is mounted where `path` is, the root when there is none.
fn mounted(
    all: &[(Option<u32>, Window, &Filesystem)],
    root: Files,
    table: &str,
    path: String,
) -> Result<(Files, String), InspectError> {
    let mut best: Option<(&str, usize)> = None;
    for line in table.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let (Some(device), Some(point)) = (words.next(), words.next()) else { continue };
        let within = path.strip_prefix(point).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if point == "/" || !within || best.is_some_and(|(longest, _)| longest.len() >= point.len()) {
            continue;
        }
        if let Some(at) = all.iter().position(|(_, _, filesystem)| is_named(filesystem, device)) {
            best = Some((point, at));
        }
    }
    let Some((point, at)) = best else { return Ok((root, path)) };
    let (_, window, filesystem) = &all[at];
    match Files::open(window, filesystem)? {
        Some(files) => Ok((files, format!("/{}", path[point.len()..].trim_start_matches('/')))),
        None => Err(InspectError::NoFiles { found: format!("{} at {point}", filesystem.kind) }),
    }
}

/// Whether the first word of a line means `filesystem`.
fn is_named(filesystem: &Filesystem, device: &str) -> bool {
    let is = |known: &Option<String>, name: &str| known.as_ref().is_some_and(|known| known.eq_ignore_ascii_case(name));
    match device.split_once('=') {
        Some(("LABEL", name)) => is(&filesystem.label, name.trim_matches('"')),
        Some(("UUID", name)) => is(&filesystem.uuid, name.trim_matches('"')),
        _ => false,
    }
}
