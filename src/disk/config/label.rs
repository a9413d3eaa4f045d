//! How long a label may be.

/// Why a label does not fit its file system.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Longer than the file system can hold.
    #[error("label `{label}` is too long for {kind}: {length} bytes, at most {limit}")]
    TooLong {
        /// The label.
        label: String,
        /// The type of file system.
        kind: String,
        /// Its length.
        length: usize,
        /// The longest possible.
        limit: usize,
    },
    /// Nothing could be found by it, or its line in /etc/fstab would be another one.
    #[error("label `{}` is empty, or has control characters", .label.escape_debug())]
    NotText {
        /// The label.
        label: String,
    },
    /// A file system without a place for one.
    #[error("{kind} has no label; remove `label`, it is found by its partition")]
    Never {
        /// The type of file system.
        kind: String,
    },
    /// FAT keeps labels in a code page, of which only ASCII is the same everywhere.
    #[error("label `{label}` of a FAT file system must be ASCII without any of \"*+,./:;<=>?[\\]|")]
    NotFat {
        /// The label.
        label: String,
    },
}

/// The label as `kind` keeps it: FAT's is in upper case.
///
/// # Errors
/// When `kind` cannot hold it.
pub fn check(kind: &str, label: &str) -> Result<String, LabelError> {
    if label.contains(char::is_control) || label.is_empty() && kind != "squashfs" {
        return Err(LabelError::NotText { label: label.to_owned() });
    }
    let fat = matches!(kind, "vfat" | "fat");
    let label = if fat { label.to_uppercase() } else { label.to_owned() };
    let limit = match kind {
        "ext2" | "ext3" | "ext4" | "swap" => 16,
        "xfs" => 12,
        "vfat" | "fat" => 11,
        "erofs" => 16,
        "btrfs" => 255,
        "f2fs" => 512,
        "squashfs" if !label.is_empty() => return Err(LabelError::Never { kind: kind.into() }),
        _ => usize::MAX,
    };
    if label.len() > limit {
        return Err(LabelError::TooLong { length: label.len(), label, kind: kind.into(), limit });
    }
    let forbidden = |c: char| !c.is_ascii() || c.is_ascii_control() || "\"*+,./:;<=>?[\\]|".contains(c);
    if fat && label.chars().any(forbidden) {
        return Err(LabelError::NotFat { label });
    }
    Ok(label)
}
