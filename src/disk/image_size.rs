//! How large an image must be for a tree.
//!
//! In: a tree, or its usage, and the request's wishes. Out: bytes. DIB's rule. Not here: what fits on which
//! partition (`direct`).

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;

use camino::Utf8Path;

use crate::plan::DiskParameters;

/// What an EFI system partition adds to a computed size, KiB: 525 MiB.
const EFI_KIB: u64 = 525 * 1024;
/// Sizes are rounded up to this.
const STEP: u64 = 64 * 1024;

/// Why a tree could not be measured.
#[derive(Debug, thiserror::Error)]
#[error("cannot measure the tree at {path}: {source}")]
pub struct UsageError {
    path: String,
    source: std::io::Error,
}

/// Size of the image in bytes for a tree of `usage` KiB: what was asked for, or the usage by 1/0.6 (or with the extra size
/// that was asked for), the journal of an ext4 root, and an EFI system partition. A multiple of 64 KiB. Strictly after DIB the EFI
/// system partition also comes on top of a size that was asked for.
pub fn image_size(parameters: &DiskParameters, usage: u64) -> u64 {
    if let Some(size) = parameters.image_size {
        // DIB adds to a size that was asked for, too.
        let efi = if parameters.efi && parameters.dib_strict { EFI_KIB * 1024 } else { 0 };
        return (size + efi).next_multiple_of(STEP);
    }
    let mut kib = match parameters.image_extra_size {
        Some(extra) => usage + extra / 1024,
        // Floating point, as DIB: the sizes of its images and ours shall be the same.
        None => (usage as f64 / 0.6) as u64,
    };
    if parameters.root_fs_type == "ext4" {
        kib += parameters.journal_size / 1024;
    }
    if parameters.efi {
        kib += EFI_KIB;
    }
    (kib * 1024).next_multiple_of(STEP)
}

/// Space that the tree at `tree` takes, in KiB, counted as `du -s -x` does: allocated blocks, a file with several links once,
/// other file systems not at all.
///
/// # Errors
/// When a folder cannot be read.
pub fn usage(tree: &Utf8Path) -> Result<u64, UsageError> {
    usage_without(tree, &[])
}

/// As [`usage`], without what is inside the folders `left_out` (paths on the host).
pub(super) fn usage_without(tree: &Utf8Path, left_out: &[camino::Utf8PathBuf]) -> Result<u64, UsageError> {
    let failed = |error: walkdir::Error| UsageError {
        path: error.path().map_or_else(|| tree.to_string(), |path| path.display().to_string()),
        source: error.into(),
    };
    let (mut blocks, mut seen) = (0, HashSet::new());
    let entries = walkdir::WalkDir::new(tree).same_file_system(true).into_iter();
    let mut device = None;
    for entry in
        entries.filter_entry(|entry| !left_out.iter().any(|out| entry.path().parent() == Some(out.as_std_path())))
    {
        let metadata = entry.map_err(failed)?.metadata().map_err(failed)?;
        // walkdir yields the mount point of another file system, though not what is inside.
        if *device.get_or_insert(metadata.dev()) != metadata.dev() {
            continue;
        }
        if metadata.is_dir() || metadata.nlink() < 2 || seen.insert(metadata.ino()) {
            blocks += metadata.blocks();
        }
    }
    Ok(blocks.div_ceil(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::solve::tests::parameters;

    #[test]
    fn a_size_asked_for_is_kept_even_with_efi_unless_dib_is_followed_strictly() {
        let asked = DiskParameters { image_size: Some(3 << 30), efi: true, ..parameters() };
        assert_eq!(image_size(&asked, 1), 3 << 30);
        let strict = DiskParameters { dib_strict: true, ..asked };
        assert_eq!(image_size(&strict, 1), (3 << 30) + (525 << 20));
        assert_eq!(image_size(&DiskParameters { efi: false, ..strict }, 1), 3 << 30);
        assert_eq!(image_size(&DiskParameters { image_size: Some(1), ..parameters() }, 1), STEP);
    }

    #[test]
    fn a_computed_size_is_the_usage_by_0_6_and_journal_and_efi_in_steps_of_64_kib() {
        assert_eq!(image_size(&parameters(), 600_000), (1_000_000 + 65_536) * 1024);
        let efi = DiskParameters { efi: true, ..parameters() };
        assert_eq!(image_size(&efi, 600_000), ((1_000_000u64 + 65_536 + 537_600) * 1024).next_multiple_of(STEP));
        let xfs = DiskParameters { root_fs_type: "xfs".into(), ..parameters() };
        assert_eq!(image_size(&xfs, 1), STEP);
        let extra = DiskParameters { image_extra_size: Some(512 << 20), ..parameters() };
        assert_eq!(image_size(&extra, 100_000), ((100_000u64 + 524_288 + 65_536) * 1024).next_multiple_of(STEP));
    }

    #[test]
    fn hard_links_count_once_and_holes_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let tree = Utf8Path::from_path(folder.path()).unwrap();
        let empty = usage(tree).unwrap();
        std::fs::write(tree.join("a"), vec![1; 1 << 20]).unwrap();
        std::fs::hard_link(tree.join("a"), tree.join("b")).unwrap();
        std::fs::File::create(tree.join("hole")).unwrap().set_len(1 << 30).unwrap();
        let used = usage(tree).unwrap() - empty;
        assert!((1024..1100).contains(&used), "{used} KiB");
    }
}
