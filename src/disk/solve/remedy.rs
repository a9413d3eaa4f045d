//! What a user can do for a partition that does not fit.

use crate::disk::config::{self, PartitionSize};
use crate::disk::size::{Size, exact};

/// What makes room for a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// A larger image.
    ImageSize,
    /// A larger `size` of the disk's own.
    DiskSize,
    /// Another order: one before it takes a share of all that is left.
    Order,
}

impl Remedy {
    /// The best that a table with `partitions`, on a disk with a size of its own or without, can do for the one at `index`.
    pub(super) fn of(partitions: &[config::Partition], index: usize, own_size: bool) -> Self {
        let takes_all = |partition: &config::Partition| match partition.size {
            PartitionSize::Exactly(Size::Percent(share)) => share >= 100.0,
            _ => false,
        };
        match own_size {
            _ if partitions[..index].iter().any(takes_all) => Self::Order,
            true => Self::DiskSize,
            false => Self::ImageSize,
        }
    }

    /// What to do, for a disk that needs `size` bytes.
    pub(super) fn words(self, size: u64) -> String {
        let size = exact(size.next_multiple_of(1 << 20));
        match self {
            Self::ImageSize => format!("set --image-size to at least {size}"),
            Self::DiskSize => format!("set `size` of its local_loop to at least {size}"),
            Self::Order => "put the partition of `100%`, which takes all that is left, last".to_owned(),
        }
    }
}
