//! The checksum of LVM2: CRC-32 from a beginning of its own, without the final inversion.

/// Where it begins.
const INITIAL: u32 = 0xf597_a6cf;

/// The checksum of `bytes`.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    // The crate inverts at both ends.
    let mut hasher = crc32fast::Hasher::new_with_initial(!INITIAL);
    hasher.update(bytes);
    !hasher.finalize()
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_has_the_checksum_it_begins_with() {
        assert_eq!(super::checksum(b""), super::INITIAL);
        // One table look-up by hand: (initial ^ 0) & 0xff = 0xcf.
        let table = (0..8).fold(0xcf_u32, |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 });
        assert_eq!(super::checksum(&[0]), super::INITIAL >> 8 ^ table);
    }
}
