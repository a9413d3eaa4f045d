//! Parts of images as files of their own, without the time and the space that holes would take.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::SeekFrom;

/// `size` bytes of `from`, from `start` on, as the file `to`.
pub fn part(from: &Path, start: u64, size: u64, to: &Path) {
    let file = File::create(to).unwrap();
    file.set_len(size).unwrap();
    copy(&File::open(from).unwrap(), start, &file, 0, size);
}

/// Copies what is no hole of `size` bytes at `start` to the place `at`.
pub fn copy(from: &File, start: u64, to: &File, at: u64, size: u64) {
    let end = start + size;
    let mut position = start;
    while let Ok(begin) = rustix::fs::seek(from, SeekFrom::Data(position)) {
        if begin >= end {
            break;
        }
        let stop = rustix::fs::seek(from, SeekFrom::Hole(begin)).unwrap().min(end);
        for first in (begin..stop).step_by(8 << 20) {
            let mut bytes = vec![0; (stop - first).min(8 << 20) as usize];
            from.read_exact_at(&mut bytes, first).unwrap();
            to.write_all_at(&bytes, at + (first - start)).unwrap();
        }
        position = stop;
    }
}
