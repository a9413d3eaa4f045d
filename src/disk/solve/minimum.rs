//! The smallest image that a description fits into.

use super::error::LayoutError;
use super::solve;
use crate::disk::config::Config;
use crate::plan::DiskParameters;

const MIB: u64 = 1 << 20;
/// No disk is larger: 2^63 bytes are what files can have.
const LARGEST: u64 = (1 << 63) / MIB - 1;

/// The smallest whole number of MiB, in bytes, with which `config` can be solved: every partition and volume has its size, none
/// is empty, and every file system is at least as large as its mkfs makes any. Disks with sizes of their own keep them.
///
/// # Errors
/// When it cannot be solved with any size; the error is that of the largest disk its tables can be on.
pub fn minimum(config: &Config, parameters: &DiskParameters) -> Result<u64, LayoutError> {
    let fits = |mebibytes: u64| solve(config, parameters, mebibytes * MIB, "").map(|_| ());
    // More space never takes away, until an MBR ends: the smallest power of two that fits, then halves below it.
    let is_end = |error: &LayoutError| matches!(error, LayoutError::TooLargeForMbr { .. });
    let mut high = 1;
    while let Err(error) = fits(high) {
        if is_end(&error) && high > 1 {
            // The largest disk of an MBR is between.
            let mut low = high / 2;
            while high - low > 1 {
                let middle = low + (high - low) / 2;
                if fits(middle).is_err_and(|error| is_end(&error)) { high = middle } else { low = middle }
            }
            high = low;
            fits(high)?;
            break;
        }
        if is_end(&error) || high > LARGEST / 2 {
            return Err(error);
        }
        high *= 2;
    }
    let mut low = high.next_power_of_two() / 2;
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle).is_ok() { high = middle } else { low = middle }
    }
    Ok(high * MIB)
}
