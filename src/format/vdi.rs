//! VirtualBox's disk image, version 1.1, dynamic.
//!
//! In: a disk. Out: a header, a map, and blocks of 1 MiB that have data. Not here: differencing images.

use super::FormatError;
use super::geometry::Geometry;
use super::identity::Target;
use super::pass::{Blocks, Coding, Encoded, Sink, Written};

/// Bytes in a block; VirtualBox and QEMU make the same.
const BLOCK: u64 = 1 << 20;
/// Where the map of blocks is.
const MAP: u64 = 512;
/// What the first block is aligned to.
const ALIGNMENT: u64 = 4096;
/// An entry of a block without data.
const UNUSED: u32 = u32::MAX;
/// The largest map that QEMU reads (its bound: 0x3fffffff bytes of map, 256 TiB of disk).
const LARGEST: u64 = 0x0fff_ffff * BLOCK;
/// Tells a VDI.
pub const SIGNATURE: u32 = 0xbeda_107f;

/// Begins the image of `target`.
///
/// # Errors
/// The disk is too large, or the file cannot be made.
pub fn sink(target: &Target) -> Result<Box<dyn Sink>, FormatError> {
    let size = target.size.next_multiple_of(512);
    if size > LARGEST {
        return Err(FormatError::TooLarge { path: target.file.clone(), size, format: "vdi" });
    }
    let start = (MAP + size.div_ceil(BLOCK) * 4).next_multiple_of(ALIGNMENT);
    let blocks = Blocks::create(&target.file, BLOCK, Vec::new(), start)?;
    Ok(Box::new(Image { blocks, size, start, target: target.clone() }))
}

struct Image {
    blocks: Blocks,
    size: u64,
    start: u64,
    target: Target,
}

impl Sink for Image {
    fn coding(&self) -> Coding {
        Coding::PAGES
    }

    fn add(&mut self, encoded: &Encoded) -> Result<(), FormatError> {
        self.blocks.add(encoded)
    }

    fn finish(self: Box<Self>) -> Result<Written, FormatError> {
        let mut map = vec![UNUSED; self.size.div_ceil(BLOCK) as usize];
        for (number, place) in self.blocks.placed() {
            map[*number as usize] = ((place - self.start) / BLOCK) as u32;
        }
        let map: Vec<u8> = map.into_iter().flat_map(u32::to_le_bytes).collect();
        self.blocks.write(&self.header(), 0)?;
        self.blocks.write(&map, MAP)?;
        self.blocks.set_size(self.blocks.end())?;
        Ok(Written { size: self.blocks.end(), digests: None })
    }
}

impl Image {
    fn header(&self) -> Vec<u8> {
        let geometry = Geometry::with_heads(16, self.size / 512, 16_383);
        let mut header = Vec::with_capacity(512);
        header.extend(b"<<< kiln Virtual Disk Image >>>\n");
        header.resize(64, 0);
        let mut word = |value: u32| header.extend(value.to_le_bytes());
        word(SIGNATURE);
        word(0x0001_0001);
        // Bytes of the header from here on.
        word(0x190);
        // Dynamic, no flags.
        word(1);
        word(0);
        // No description.
        header.extend([0; 256]);
        let mut word = |value: u64| header.extend((value as u32).to_le_bytes());
        word(MAP);
        word(self.start);
        word(geometry.cylinders);
        word(geometry.heads);
        word(geometry.sectors);
        word(512);
        word(0);
        header.extend(self.size.to_le_bytes());
        let mut word = |value: u64| header.extend((value as u32).to_le_bytes());
        word(BLOCK);
        word(0);
        word(self.size.div_ceil(BLOCK));
        word(self.blocks.placed().len() as u64);
        header.extend(self.target.uuid("vdi").as_bytes());
        header.extend(self.target.uuid("vdi last change").as_bytes());
        // No parent.
        header.resize(512, 0);
        header
    }
}
