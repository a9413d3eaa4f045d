//! Where a sparse file has data.
//!
//! In: an open file and its size. Out: byte ranges in rising order; all outside them reads as zeros.

use std::fs::File;
use std::io;
use std::ops::Range;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// The data ranges of a file, found with `SEEK_DATA` and `SEEK_HOLE` as they are asked for. Moves the file's position.
pub struct Extents<'a> {
    file: &'a File,
    at: u64,
    size: u64,
}

impl<'a> Extents<'a> {
    /// The data ranges of the first `size` bytes of `file`.
    #[cfg(test)]
    pub fn new(file: &'a File, size: u64) -> Self {
        Self::from(file, 0, size)
    }

    /// Those from the offset `at` on.
    pub fn from(file: &'a File, at: u64, size: u64) -> Self {
        Self { file, at, size }
    }
}

impl Iterator for Extents<'_> {
    type Item = io::Result<Range<u64>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.size {
            return None;
        }
        let start = match seek(self.file, SeekFrom::Data(self.at)) {
            Ok(start) if start < self.size => start,
            Ok(_) | Err(Errno::NXIO) => {
                self.at = self.size;
                return None;
            }
            // A file system that does not know about holes: all is data.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => self.at,
            Err(error) => {
                self.at = self.size;
                return Some(Err(error.into()));
            }
        };
        let end = match seek(self.file, SeekFrom::Hole(start)) {
            Ok(end) => end.min(self.size),
            Err(_) => self.size,
        };
        self.at = end;
        Some(Ok(start..end))
    }
}

/// Whether all of `bytes` are zero.
pub fn is_zero(bytes: &[u8]) -> bool {
    // Slices compare through memcmp, which is fast in every build profile.
    static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
    bytes.chunks(ZEROS.len()).all(|chunk| chunk == &ZEROS[..chunk.len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn data_between_holes_is_found_and_holes_are_not() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(10 << 20).unwrap();
        file.write_all_at(&[1; 4096], 4 << 20).unwrap();
        let ranges: Vec<_> = Extents::new(&file, 10 << 20).map(Result::unwrap).collect();
        assert!(ranges.iter().any(|range| range.contains(&(4 << 20))));
        assert!(ranges.iter().all(|range| !range.contains(&(8 << 20))), "{ranges:?}");
    }

    #[test]
    fn a_file_of_holes_only_has_no_data() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 20).unwrap();
        assert_eq!(Extents::new(&file, 1 << 20).count(), 0);
    }

    #[test]
    fn one_byte_makes_a_block_of_zeros_something_else() {
        let mut block = vec![0; 100_000];
        assert!(is_zero(&block));
        block[99_999] = 1;
        assert!(!is_zero(&block));
    }
}
