//! Says how much is missing when content is larger than its file system.

use camino::{Utf8Path, Utf8PathBuf};

use super::{DiskError, Job};
use crate::disk::image_size::usage_without;
use crate::sandbox::command::CommandError;

const MIB: u64 = 1 << 20;

/// What tools say when a file system is full.
const SIGNS: [&str; 5] =
    ["Could not allocate", "No space left", "No free", "too big for filesystem", "not enough free space"];

/// Why a tool failed that filled the job's file system from the folder `content` without the folders `others`.
pub(super) fn explain(job: &Job<'_>, content: &Utf8Path, others: &[Utf8PathBuf], source: CommandError) -> DiskError {
    let text = source.to_string();
    let filesystem = job.filesystem;
    if SIGNS.iter().any(|sign| text.contains(sign))
        && let Ok(used) = usage_without(content, others)
    {
        let used = used * 1024;
        // What DIB would have given it: a third of the result is for inodes, the journal and the user.
        let needed = (used as f64 / 0.6) as u64 + 64 * MIB;
        let missing = needed.saturating_sub(filesystem.size).max(64 * MIB).next_multiple_of(MIB);
        return DiskError::DoesNotFit {
            node: filesystem.name.clone(),
            mount_point: filesystem.mounts().next().map(|mounted| mounted.point.to_owned()).unwrap_or_default(),
            used,
            size: filesystem.size,
            missing,
        };
    }
    DiskError::mkfs(filesystem, source)
}
