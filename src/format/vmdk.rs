//! VMware's disk image, `streamOptimized` (Virtual Disk Format 5.0): what OVF and cloud services take.
//!
//! In: a disk, options. Out: one file, written from its first byte to its last: header and descriptor, grains of 64 KiB
//! compressed with deflate, each table behind the grains that it maps, the directory and the final header last. The size is
//! rounded up to whole grains, as the format wants. Not here: images that are written to in place.

use super::FormatError;
use super::geometry::Geometry;
use super::identity::Target;
use super::pass::{Coding, Compression, Encoded, Sink, Stream, Unit, Written};

/// Bytes in a sector.
pub const SECTOR: u64 = 512;
/// Bytes in a grain.
const GRAIN: u64 = 64 << 10;
/// Grains in a table.
const GRAINS_PER_TABLE: u64 = 512;
/// Sectors before the first grain.
const OVERHEAD: u64 = 128;
/// Sectors for the descriptor.
const DESCRIPTOR: u64 = 20;
/// Where the directory is when the header cannot know it yet.
pub const AT_END: u64 = u64::MAX;
/// What a marker announces: a table, the directory, the final header, nothing more.
const TABLE_MARK: u32 = 1;
const DIRECTORY_MARK: u32 = 2;
const FOOTER_MARK: u32 = 3;
/// Offsets in the file are 32-bit numbers of sectors; a disk of this size stays below even when nothing shrinks.
const LARGEST: u64 = (2 << 40) - (64 << 30);

/// What the descriptor says of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `ide`, `lsilogic`, `buslogic`, `legacyESX`.
    pub adapter: String,
    /// The version of virtual hardware.
    pub hardware: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { adapter: "ide".to_owned(), hardware: "4".to_owned() }
    }
}

impl Options {
    /// Options of qemu-img's; `None` when they ask for what only qemu-img writes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut options = Self::default();
        for option in text.split(',').filter(|option| !option.is_empty()) {
            match option.split_once('=').unwrap_or((option, "on")) {
                ("subformat", "streamOptimized") | ("zeroed_grain" | "compat6", "off") => {}
                ("compat6", "on") => options.hardware = "6".to_owned(),
                ("hwversion", version) if version.parse::<u32>().is_ok() => options.hardware = version.to_owned(),
                ("adapter_type", kind @ ("ide" | "lsilogic" | "buslogic" | "legacyESX")) => {
                    options.adapter = kind.to_owned();
                }
                _ => return None,
            }
        }
        Some(options)
    }
}

/// Begins the image of `target`.
///
/// # Errors
/// The disk is too large, or the file cannot be made.
pub fn sink(target: &Target, options: &Options) -> Result<Box<dyn Sink>, FormatError> {
    let size = target.size.next_multiple_of(GRAIN);
    if size > LARGEST {
        return Err(FormatError::TooLarge { path: target.file.clone(), size, format: "vmdk" });
    }
    let mut stream = Stream::create(&target.file, &target.algorithms)?;
    stream.write(&header(size, AT_END))?;
    stream.write(descriptor(target, size, options).as_bytes())?;
    stream.skip_to(OVERHEAD * SECTOR);
    Ok(Box::new(Image { stream, size, table: 0, grains: vec![0; GRAINS_PER_TABLE as usize], directory: Vec::new() }))
}

struct Image {
    stream: Stream,
    size: u64,
    /// The table that is being filled, and where its grains are.
    table: u64,
    grains: Vec<u32>,
    /// Where the tables are, sectors; 0 for those without grains.
    directory: Vec<u32>,
}

impl Sink for Image {
    fn coding(&self) -> Coding {
        // All grains are compressed, also those that grow.
        Coding { unit: GRAIN as usize, compression: Compression::Zlib { level: 6 }, largest: usize::MAX }
    }

    fn add(&mut self, encoded: &Encoded) -> Result<(), FormatError> {
        for (grain, unit, plain) in encoded.units() {
            match unit {
                Unit::Zero => {}
                Unit::Compressed(bytes) => self.add_grain(grain, bytes)?,
                Unit::Plain => {
                    let reason = format!("a grain of {} bytes does not fit its buffer", plain.len());
                    return Err(FormatError::Compress { reason });
                }
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Written, FormatError> {
        self.end_table()?;
        let tables = self.size.div_ceil(GRAIN * GRAINS_PER_TABLE);
        self.directory.resize(tables as usize, 0);
        let directory: Vec<u8> = self.directory.iter().flat_map(|sector| sector.to_le_bytes()).collect();
        self.mark(DIRECTORY_MARK, directory.len() as u64)?;
        let place = self.sector();
        self.write_padded(&directory)?;
        self.mark(FOOTER_MARK, SECTOR)?;
        let footer = header(self.size, place.into());
        self.stream.write(&footer)?;
        // Nothing more.
        self.stream.write(&[0; SECTOR as usize])?;
        self.stream.finish()
    }
}

impl Image {
    fn add_grain(&mut self, grain: u64, bytes: &[u8]) -> Result<(), FormatError> {
        while grain / GRAINS_PER_TABLE > self.table {
            self.end_table()?;
        }
        self.grains[(grain % GRAINS_PER_TABLE) as usize] = self.sector();
        let mut marked = (grain * GRAIN / SECTOR).to_le_bytes().to_vec();
        marked.extend((bytes.len() as u32).to_le_bytes());
        marked.extend(bytes);
        self.write_padded(&marked)
    }

    /// Writes the table that is being filled, unless it is empty, and begins the next.
    fn end_table(&mut self) -> Result<(), FormatError> {
        let place = if self.grains.iter().all(|sector| *sector == 0) {
            0
        } else {
            let table: Vec<u8> = self.grains.iter().flat_map(|sector| sector.to_le_bytes()).collect();
            self.mark(TABLE_MARK, table.len() as u64)?;
            let place = self.sector();
            self.stream.write(&table)?;
            self.grains.fill(0);
            place
        };
        self.directory.push(place);
        self.table += 1;
        Ok(())
    }

    /// Announces `length` bytes of what `kind` says.
    fn mark(&mut self, kind: u32, length: u64) -> Result<(), FormatError> {
        let mut marker = length.div_ceil(SECTOR).to_le_bytes().to_vec();
        marker.extend([0; 4]);
        marker.extend(kind.to_le_bytes());
        self.write_padded(&marker)
    }

    fn sector(&self) -> u32 {
        (self.stream.position() / SECTOR) as u32
    }

    fn write_padded(&mut self, bytes: &[u8]) -> Result<(), FormatError> {
        let mut padded = bytes.to_vec();
        padded.resize(bytes.len().next_multiple_of(SECTOR as usize), 0);
        self.stream.write(&padded)
    }
}

fn header(size: u64, directory: u64) -> Vec<u8> {
    let mut header = b"KDMV".to_vec();
    header.extend(3_u32.to_le_bytes());
    // The test of line ends below is valid, grains are compressed, markers announce what follows.
    header.extend(0x0003_0001_u32.to_le_bytes());
    for number in [size / SECTOR, GRAIN / SECTOR, 1, DESCRIPTOR] {
        header.extend(number.to_le_bytes());
    }
    header.extend((GRAINS_PER_TABLE as u32).to_le_bytes());
    // No second directory.
    for number in [0, directory, OVERHEAD] {
        header.extend(number.to_le_bytes());
    }
    // Shut down cleanly; what a transfer as text would have changed; deflate.
    header.extend(b"\0\n \r\n");
    header.extend(1_u16.to_le_bytes());
    header.resize(SECTOR as usize, 0);
    header
}

fn descriptor(target: &Target, size: u64, options: &Options) -> String {
    let sectors = size / SECTOR;
    let (heads, most) = if options.adapter == "ide" { (16, 16_383) } else { (255, 65_535) };
    let geometry = Geometry::with_heads(heads, sectors, most);
    let content = target.uuid("vmdk").as_fields().0;
    // All ones and all but one are taken: no parent, and no content yet.
    let content = content.min(0xffff_fffd);
    let name = target.name.replace(['"', '\n'], "_");
    format!(
        "# Disk DescriptorFile\nversion=1\nCID={content:08x}\nparentCID=ffffffff\ncreateType=\"streamOptimized\"\n\n\
         # Extent description\nRW {sectors} SPARSE \"{name}\"\n\n\
         # The Disk Data Base\n#DDB\n\nddb.virtualHWVersion = \"{}\"\nddb.geometry.cylinders = \"{}\"\n\
         ddb.geometry.heads = \"{heads}\"\nddb.geometry.sectors = \"63\"\nddb.adapterType = \"{}\"\n",
        options.hardware, geometry.cylinders, options.adapter
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_a_stream_are_taken_and_others_are_left_to_qemu_img() {
        assert_eq!(Options::parse(""), Some(Options::default()));
        let options = Options::parse("adapter_type=lsilogic,subformat=streamOptimized,compat6").unwrap();
        assert_eq!((options.adapter.as_str(), options.hardware.as_str()), ("lsilogic", "6"));
        for other in ["subformat=monolithicFlat", "backing_file=x", "adapter_type=usb"] {
            assert_eq!(Options::parse(other), None, "{other}");
        }
    }
}
