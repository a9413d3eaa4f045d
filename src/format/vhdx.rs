//! Hyper-V's VHDX, dynamic (MS-VHDX 8.0).
//!
//! In: a disk. Out: headers, region tables, an empty log, metadata, the block allocation table, and blocks of 1 MiB that have data
//! (what Microsoft advises for Linux). Not here: differencing images, the log.
//!
//! ```text
//! 0 identifier | 64K, 128K headers | 192K, 256K region tables | 1M log | 2M metadata | 3M table | blocks
//! ```

use crc::{CRC_32_ISCSI, Crc};
use uuid::{Uuid, uuid};

use super::FormatError;
use super::identity::Target;
use super::pass::{Blocks, Coding, Encoded, Sink, Written};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// Bytes in a block.
const BLOCK: u64 = MIB;
/// Blocks of data between two entries for the bitmaps of differencing images: 2^23 sectors.
pub const SECTORS_PER_BITMAP: u64 = 1 << 23;
const LOG: u64 = MIB;
const METADATA: u64 = 2 * MIB;
const TABLE: u64 = 3 * MIB;
/// Where the items of the metadata are, from the beginning of the metadata.
const ITEMS: u64 = 64 * KIB;
/// The format's largest disk: 64 TiB.
const LARGEST: u64 = 64 << 40;
/// A block that is in the file, as an entry says it.
pub const PRESENT: u64 = 6;

/// The region of the block allocation table.
pub const TABLE_REGION: Uuid = uuid!("2dc27766-f623-4200-9d64-115e9bfd4a08");
/// The region of the metadata.
pub const METADATA_REGION: Uuid = uuid!("8b7ca206-4790-4b9a-b8fe-575f050f886e");
/// Metadata: size of a block, and whether there is a parent.
pub const FILE_PARAMETERS: Uuid = uuid!("caa16737-fa36-4d43-b3b6-33f0aa44e76b");
/// Metadata: size of the disk.
pub const DISK_SIZE: Uuid = uuid!("2fa54224-cd1b-4876-b211-5dbed83bf4b8");
/// Metadata: the disk's identifier.
const DISK_ID: Uuid = uuid!("beca12ab-b2e6-4523-93ef-c309e000c746");
/// Metadata: bytes in a sector as the guest sees it.
pub const LOGICAL_SECTOR: Uuid = uuid!("8141bf1d-a96f-4709-ba47-f233a8faab5f");
/// Metadata: bytes in a sector of the medium.
const PHYSICAL_SECTOR: Uuid = uuid!("cda348c7-445d-4471-9cc9-e9885251c556");

/// Begins the image of `target`.
///
/// # Errors
/// The disk is too large, or the file cannot be made.
pub fn sink(target: &Target) -> Result<Box<dyn Sink>, FormatError> {
    let size = target.size.next_multiple_of(512);
    if size > LARGEST {
        return Err(FormatError::TooLarge { path: target.file.clone(), size, format: "vhdx" });
    }
    let blocks = Blocks::create(&target.file, BLOCK, Vec::new(), TABLE + table_size(size))?;
    Ok(Box::new(Image { blocks, size, target: target.clone() }))
}

/// The table's entry for a block of data: every so many there is one for a bitmap.
pub fn entry_of(block: u64, block_size: u64, sector: u64) -> u64 {
    block + block / (SECTORS_PER_BITMAP * sector / block_size)
}

/// Bytes of the table's region for a disk of `size` bytes.
fn table_size(size: u64) -> u64 {
    let last = size.div_ceil(BLOCK).max(1) - 1;
    ((entry_of(last, BLOCK, 512) + 1) * 8).next_multiple_of(MIB)
}

/// CRC-32C of `bytes`, in which the checksum's own four bytes at offset 4 are zero.
pub fn checksum(bytes: &[u8]) -> u32 {
    static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
    let mut digest = CRC.digest();
    digest.update(&bytes[..4]);
    digest.update(&[0; 4]);
    digest.update(&bytes[8..]);
    digest.finalize()
}

struct Image {
    blocks: Blocks,
    size: u64,
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
        let mut identifier = b"vhdxfile".to_vec();
        identifier.extend("kiln".encode_utf16().flat_map(u16::to_le_bytes));
        self.blocks.write(&identifier, 0)?;
        // The one with the higher number counts.
        self.blocks.write(&self.header(1), 64 * KIB)?;
        self.blocks.write(&self.header(2), 128 * KIB)?;
        let regions = self.regions();
        self.blocks.write(&regions, 192 * KIB)?;
        self.blocks.write(&regions, 256 * KIB)?;
        let (table, items) = self.metadata();
        self.blocks.write(&table, METADATA)?;
        self.blocks.write(&items, METADATA + ITEMS)?;
        self.write_table()?;
        self.blocks.set_size(self.blocks.end())?;
        Ok(Written { size: self.blocks.end(), digests: None })
    }
}

impl Image {
    fn header(&self, sequence: u64) -> Vec<u8> {
        let mut header = b"head".to_vec();
        header.extend([0; 4]);
        header.extend(sequence.to_le_bytes());
        header.extend(self.target.uuid("vhdx file").to_bytes_le());
        header.extend(self.target.uuid("vhdx data").to_bytes_le());
        // The log is empty: it has no identifier and version 0. The format's version is 1.
        header.extend([0; 16]);
        header.extend([0, 0, 1, 0]);
        header.extend((MIB as u32).to_le_bytes());
        header.extend(LOG.to_le_bytes());
        seal(header, 4096)
    }

    fn regions(&self) -> Vec<u8> {
        let mut regions = b"regi".to_vec();
        regions.extend([0; 4]);
        regions.extend(2_u64.to_le_bytes());
        for (region, offset, length) in [(TABLE_REGION, TABLE, table_size(self.size)), (METADATA_REGION, METADATA, MIB)]
        {
            regions.extend(region.to_bytes_le());
            regions.extend(offset.to_le_bytes());
            regions.extend((length as u32).to_le_bytes());
            // Whoever does not know it must not open the file.
            regions.extend(1_u32.to_le_bytes());
        }
        seal(regions, 64 * KIB as usize)
    }

    /// The table of the metadata, and its items.
    fn metadata(&self) -> (Vec<u8>, Vec<u8>) {
        // Of the disk rather than of the file; required.
        const VIRTUAL: u32 = 1 << 1;
        const REQUIRED: u32 = 1 << 2;
        let mut parameters = (BLOCK as u32).to_le_bytes().to_vec();
        parameters.extend([0; 4]);
        let items = [
            (FILE_PARAMETERS, parameters, REQUIRED),
            (DISK_SIZE, self.size.to_le_bytes().to_vec(), VIRTUAL | REQUIRED),
            (DISK_ID, self.target.uuid("vhdx").to_bytes_le().to_vec(), VIRTUAL | REQUIRED),
            (LOGICAL_SECTOR, 512_u32.to_le_bytes().to_vec(), VIRTUAL | REQUIRED),
            (PHYSICAL_SECTOR, 4096_u32.to_le_bytes().to_vec(), VIRTUAL | REQUIRED),
        ];
        let mut table = b"metadata".to_vec();
        table.extend([0; 2]);
        table.extend((items.len() as u16).to_le_bytes());
        table.resize(32, 0);
        let mut values = Vec::new();
        for (item, value, flags) in items {
            table.extend(item.to_bytes_le());
            table.extend((ITEMS as u32 + values.len() as u32).to_le_bytes());
            table.extend((value.len() as u32).to_le_bytes());
            table.extend(flags.to_le_bytes());
            table.extend([0; 4]);
            values.extend(value);
        }
        (table, values)
    }

    /// Writes the entries of blocks that have data; the others are zero, a hole.
    fn write_table(&self) -> Result<(), FormatError> {
        let mut run: Vec<u8> = Vec::new();
        let mut next = 0;
        let mut start = 0;
        for (number, place) in self.blocks.placed() {
            let entry = entry_of(*number, BLOCK, 512);
            if entry != next || run.len() >= MIB as usize {
                self.blocks.write(&run, TABLE + start * 8)?;
                run.clear();
                start = entry;
            }
            // The lower 20 bits of an offset are zero.
            run.extend((place | PRESENT).to_le_bytes());
            next = entry + 1;
        }
        self.blocks.write(&run, TABLE + start * 8)
    }
}

/// Fills `bytes` up to `size` and puts the checksum in.
fn seal(mut bytes: Vec<u8>, size: usize) -> Vec<u8> {
    bytes.resize(size, 0);
    let sum = checksum(&bytes);
    bytes[4..8].copy_from_slice(&sum.to_le_bytes());
    bytes
}
