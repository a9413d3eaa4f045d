//! Shares what partitions of exact sizes leave among those that may grow.
//!
//! In: minimums and weights. Out: a size each, in whole units. Pure. Not here: where a table puts them.

use crate::disk::config::{Partition, PartitionSize};
use crate::disk::size::Size;

/// Every partition's size as if it had been written: the flexible ones share `space` bytes less the exact ones, in `unit`s.
/// When even the minimums do not fit, each gets its minimum, and whoever places them finds which one is too much.
pub(super) fn sizes(partitions: &[Partition], space: u64, unit: u64) -> Vec<Size> {
    let exact = |partition: &Partition| match partition.size {
        PartitionSize::Exactly(Size::Bytes(bytes)) => bytes.checked_next_multiple_of(unit).unwrap_or(bytes),
        _ => 0,
    };
    let taken = partitions.iter().map(exact).fold(0, u64::saturating_add);
    let requests: Vec<_> = partitions
        .iter()
        .filter_map(|partition| match partition.size {
            PartitionSize::Flexible { minimum, weight } => Some((minimum, weight)),
            PartitionSize::Exactly(_) => None,
        })
        .collect();
    let mut shared = shares(&requests, space.saturating_sub(taken), unit).into_iter();
    let size = |partition: &Partition| match partition.size {
        PartitionSize::Exactly(size) => size,
        PartitionSize::Flexible { .. } => Size::Bytes(shared.next().unwrap_or_default()),
    };
    partitions.iter().map(size).collect()
}

/// Shares of `space` by weight, none below its minimum: who would fall below gets the minimum, and the others share the rest.
/// What rounding leaves goes to the last who grows.
fn shares(requests: &[(u64, u32)], space: u64, unit: u64) -> Vec<u64> {
    let minimum = |bytes: u64| bytes.div_ceil(unit);
    let mut units: Vec<Option<u64>> =
        requests.iter().map(|(bytes, weight)| (*weight == 0).then(|| minimum(*bytes))).collect();
    loop {
        let taken = units.iter().flatten().fold(0, |sum: u64, units| sum.saturating_add(*units));
        let rest = (space / unit).saturating_sub(taken);
        let open: Vec<usize> = (0..requests.len()).filter(|index| units[*index].is_none()).collect();
        let weights: u128 = open.iter().map(|index| u128::from(requests[*index].1)).sum();
        let share = |index: usize| (u128::from(rest) * u128::from(requests[index].1) / weights) as u64;
        let short: Vec<usize> =
            open.iter().copied().filter(|index| share(*index) < minimum(requests[*index].0)).collect();
        if short.is_empty() {
            let sum: u64 = open.iter().map(|index| share(*index)).sum();
            for index in &open {
                let last = Some(index) == open.last();
                units[*index] = Some(share(*index) + if last { rest - sum } else { 0 });
            }
            return units.into_iter().map(|units| units.unwrap_or_default().saturating_mul(unit)).collect();
        }
        for index in short {
            units[index] = Some(minimum(requests[index].0));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::shares;

    #[test]
    fn weights_share_and_minimums_are_kept() {
        assert_eq!(shares(&[(0, 1), (0, 3)], 1000, 1), [250, 750]);
        assert_eq!(shares(&[(500, 1), (0, 3)], 1000, 1), [500, 500]);
        assert_eq!(shares(&[(100, 0), (0, 1), (0, 1)], 1000, 1), [100, 450, 450]);
        assert_eq!(shares(&[(0, 1), (0, 1), (0, 1)], 100, 10), [30, 30, 40]);
        assert_eq!(shares(&[(800, 1), (800, 1)], 1000, 1), [800, 800]);
        assert_eq!(shares(&[], 1000, 1), [0; 0]);
    }

    proptest! {
        #[test]
        fn everything_is_shared_and_nobody_is_below_the_minimum(
            requests in prop::collection::vec((0u64..1 << 40, 0u32..1000), 1..8),
            space in 0u64..1 << 50,
            unit in prop::sample::select(vec![1u64, 4096, 1 << 20]),
        ) {
            let sizes = shares(&requests, space, unit);
            let minimums: u64 = requests.iter().map(|(bytes, _)| bytes.next_multiple_of(unit)).sum();
            for (size, (minimum, weight)) in sizes.iter().zip(&requests) {
                prop_assert!(size >= minimum && size % unit == 0);
                prop_assert!(*weight > 0 || *size == minimum.next_multiple_of(unit));
            }
            let sum: u64 = sizes.iter().sum();
            if minimums <= space && requests.iter().any(|(_, weight)| *weight > 0) {
                prop_assert_eq!(sum, space / unit * unit);
            }
        }
    }
}
