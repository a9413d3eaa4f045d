//! What becomes of an output that an earlier build left under the same name.
//!
//! In: a path that a finished artifact takes, or that would be out of date beside it. Out: the older file, and its digests, under names
//! with date and time, as DIB gives them. Not here: the new names (`placing`).

use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::ZonedDateTime;

use super::placing::with_digests;
use crate::event::Events;

/// Formats whose files DIB replaces without a word.
const REPLACED: [&str; 3] = ["tar", "aci", "squashfs"];

/// Gives what is at `path`, an output in `format`, another name, if DIB would. The file keeps its old name too until the new one takes
/// it, so that a reader always finds an image.
pub fn keep(path: &Utf8Path, format: &str, events: &Events) -> Result<(), String> {
    if REPLACED.contains(&format) || !path.is_file() {
        return Ok(());
    }
    let time = ZonedDateTime::now().strftime("%Y.%m.%d-%H.%M.%S").to_string();
    let old = free(path, &time);
    events.info(format!("Old image found. Renaming it to {old}"));
    let renamed = with_digests(path).into_iter().zip(with_digests(&old));
    for (from, to) in renamed.filter(|(from, _)| from.is_file()) {
        link_or_rename(&from, &to).map_err(|error| format!("cannot rename {from} to {to}: {error}"))?;
    }
    Ok(())
}

/// `NAME-TIME.EXTENSION`, with a number when even that is taken.
fn free(path: &Utf8Path, time: &str) -> Utf8PathBuf {
    let named = |number: u32| {
        let more = if number == 1 { String::new() } else { format!("-{number}") };
        let stem = path.file_stem().unwrap_or_default();
        let suffix = path.extension().map(|extension| format!(".{extension}")).unwrap_or_default();
        path.with_file_name(format!("{stem}-{time}{more}{suffix}"))
    };
    (1..).map(named).find(|path| !path.exists()).unwrap_or_else(|| named(1))
}

fn link_or_rename(from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
    // Not every file system has links.
    fs::hard_link(from, to).or_else(|_| fs::rename(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Utf8Path) -> Vec<String> {
        let mut names: Vec<String> =
            folder.read_dir_utf8().unwrap().map(|entry| entry.unwrap().file_name().to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn an_old_image_and_its_digests_get_date_and_time_before_the_suffix() {
        let temp = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(temp.path()).unwrap();
        for (name, text) in [("a.b.qcow2", "old"), ("a.b.qcow2.md5", "m"), ("a.b.qcow2.sha256", "s")] {
            fs::write(root.join(name), text).unwrap();
        }
        keep(&root.join("a.b.qcow2"), "qcow2", &Events::none()).unwrap();
        let pattern = regex::Regex::new(r"^a\.b-\d{4}\.\d\d\.\d\d-\d\d\.\d\d\.\d\d\.qcow2(\.md5|\.sha256)?$").unwrap();
        let kept: Vec<String> = names(root).into_iter().filter(|name| pattern.is_match(name)).collect();
        assert_eq!(kept.len(), 3, "{:?}", names(root));
        assert_eq!(fs::read_to_string(root.join(&kept[0])).unwrap(), "old");
        assert!(root.join("a.b.qcow2").is_file(), "no moment without an image");
    }

    #[test]
    fn a_second_image_of_the_same_second_takes_no_name_away() {
        let temp = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(temp.path()).unwrap();
        let path = root.join("i.raw");
        let first = free(&path, "2026.01.02-03.04.05");
        assert_eq!(first, root.join("i-2026.01.02-03.04.05.raw"));
        fs::write(&first, "").unwrap();
        assert_eq!(free(&path, "2026.01.02-03.04.05"), root.join("i-2026.01.02-03.04.05-2.raw"));
    }

    #[test]
    fn what_dib_replaces_silently_is_replaced() {
        let temp = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(temp.path()).unwrap();
        for (format, name) in [("tar", "i.tar"), ("aci", "i.aci"), ("squashfs", "i.squash")] {
            fs::write(root.join(name), "old").unwrap();
            keep(&root.join(name), format, &Events::none()).unwrap();
        }
        keep(&root.join("none.raw"), "raw", &Events::none()).unwrap();
        assert_eq!(names(root), ["i.aci", "i.squash", "i.tar"]);
    }
}
