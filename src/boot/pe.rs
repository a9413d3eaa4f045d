//! Adds sections to a UEFI program.
//!
//! In: a program in the PE format (Microsoft's PE/COFF specification) and named pieces of data. Out: the program with one more section a
//! piece, which the program finds by its name in memory. So a unified kernel image is made of systemd's stub (UAPI group, "Unified
//! Kernel Image"). Pure. Not here: which pieces.

/// Bytes of a section's header.
const HEADER: usize = 40;
/// Initialised data that can be read.
const DATA: u32 = 0x4000_0040;

/// A piece of data.
pub(super) struct Section<'a> {
    /// At most eight characters: `.linux`.
    pub name: &'a str,
    /// Its bytes.
    pub data: &'a [u8],
}

/// `program` with `sections`.
///
/// # Errors
/// When it is no PE program for 64-bit UEFI, has no room for more headers, or becomes too large: the text says what.
pub(super) fn with_sections(program: &[u8], sections: &[Section<'_>]) -> Result<Vec<u8>, String> {
    let mut headers = Headers::read(program)?;
    let mut image = program.to_vec();
    // Signatures and the like lie behind the sections and would be in the way.
    image.truncate(headers.end.max(headers.size));
    for section in sections {
        let number = headers.table + headers.count * HEADER;
        if number + HEADER > headers.size || headers.first < number + HEADER {
            return Err("it has no room for more sections".to_owned());
        }
        let at = image.len().next_multiple_of(headers.file_alignment);
        let padded = section.data.len().next_multiple_of(headers.file_alignment);
        image.resize(at, 0);
        image.extend_from_slice(section.data);
        image.resize(at + padded, 0);
        let address = headers.memory.next_multiple_of(headers.memory_alignment);
        headers.memory = address + section.data.len();
        let small = |number: usize| {
            u32::try_from(number).map(u32::to_le_bytes).map_err(|_| "it becomes larger than 4 GiB".to_owned())
        };
        let mut header = [0; HEADER];
        header[..section.name.len().min(8)].copy_from_slice(&section.name.as_bytes()[..section.name.len().min(8)]);
        header[8..12].copy_from_slice(&small(section.data.len())?);
        header[12..16].copy_from_slice(&small(address)?);
        header[16..20].copy_from_slice(&small(padded)?);
        header[20..24].copy_from_slice(&small(at)?);
        header[36..40].copy_from_slice(&DATA.to_le_bytes());
        image[number..number + HEADER].copy_from_slice(&header);
        headers.count += 1;
        headers.data = headers.data.saturating_add(u32::try_from(padded).unwrap_or(u32::MAX));
    }
    headers.write(&mut image)?;
    Ok(image)
}

/// What of a program's headers changes, and where it is.
struct Headers {
    /// The COFF header.
    coff: usize,
    /// The optional header.
    optional: usize,
    /// The table of sections.
    table: usize,
    /// How many there are.
    count: usize,
    /// Bytes of all headers.
    size: usize,
    /// Where the first section's bytes begin.
    first: usize,
    /// Where the last section's bytes end.
    end: usize,
    /// Where the last section ends in memory.
    memory: usize,
    file_alignment: usize,
    memory_alignment: usize,
    /// Bytes of initialised data.
    data: u32,
}

impl Headers {
    fn read(program: &[u8]) -> Result<Self, String> {
        let word = |at: usize| {
            let bytes = program.get(at..at + 4).ok_or("it ends within its headers")?;
            Ok::<_, String>(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        };
        let half = |at: usize| word(at).map(|word| (word & 0xffff) as usize);
        if !program.starts_with(b"MZ") {
            return Err("it is no PE program".to_owned());
        }
        let coff = word(0x3c)? as usize;
        if program.get(coff..coff + 4) != Some(b"PE\0\0") {
            return Err("it is no PE program".to_owned());
        }
        let optional = coff + 24;
        if half(optional)? != 0x20b {
            return Err("it is no program for 64 bits".to_owned());
        }
        let (count, table) = (half(coff + 6)?, optional + half(coff + 20)?);
        let mut headers = Self {
            coff,
            optional,
            table,
            count,
            size: word(optional + 60)? as usize,
            first: program.len(),
            end: 0,
            memory: 0,
            memory_alignment: word(optional + 32)?.max(1) as usize,
            file_alignment: word(optional + 36)?.max(1) as usize,
            data: word(optional + 8)?,
        };
        for section in 0..count {
            let at = table + section * HEADER;
            let [length, address, raw, place] =
                [word(at + 8)?, word(at + 12)?, word(at + 16)?, word(at + 20)?].map(|number| number as usize);
            headers.memory = headers.memory.max(address + length);
            headers.end = headers.end.max(place + raw);
            headers.first = headers.first.min(if raw == 0 { usize::MAX } else { place });
        }
        if headers.end > program.len() || headers.size > program.len() {
            return Err("it ends within its sections".to_owned());
        }
        Ok(headers)
    }

    fn write(&self, image: &mut [u8]) -> Result<(), String> {
        let whole = self.memory.next_multiple_of(self.memory_alignment);
        let whole = u32::try_from(whole).map_err(|_| "it becomes larger than 4 GiB".to_owned())?;
        let count = u16::try_from(self.count).map_err(|_| "it has too many sections".to_owned())?;
        image[self.coff + 6..self.coff + 8].copy_from_slice(&count.to_le_bytes());
        image[self.optional + 8..self.optional + 12].copy_from_slice(&self.data.to_le_bytes());
        image[self.optional + 56..self.optional + 60].copy_from_slice(&whole.to_le_bytes());
        // Firmware checks a signature, not the sum, which is of the program as it was.
        image[self.optional + 64..self.optional + 68].fill(0);
        Ok(())
    }
}

#[cfg(test)]
pub(in crate::boot) mod tests {
    use super::*;

    /// A program with one section of code, as small as one can be.
    pub(in crate::boot) fn program() -> Vec<u8> {
        let mut bytes = vec![0; 0x600];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, b"MZ");
        put(0x3c, &0x80u32.to_le_bytes());
        put(0x80, b"PE\0\0");
        put(0x84, &0x8664u16.to_le_bytes());
        put(0x86, &1u16.to_le_bytes());
        put(0x94, &240u16.to_le_bytes());
        put(0x98, &0x20bu16.to_le_bytes());
        put(0x98 + 32, &0x1000u32.to_le_bytes());
        put(0x98 + 36, &0x200u32.to_le_bytes());
        put(0x98 + 56, &0x2000u32.to_le_bytes());
        put(0x98 + 60, &0x400u32.to_le_bytes());
        put(0x98 + 64, &7u32.to_le_bytes());
        put(0x98 + 240, b".text");
        for (at, number) in [(8, 5u32), (12, 0x1000), (16, 0x200), (20, 0x400)] {
            put(0x98 + 240 + at, &number.to_le_bytes());
        }
        put(0x400, b"code!");
        bytes
    }

    #[test]
    fn every_piece_becomes_a_section_behind_the_others() {
        let pieces =
            [Section { name: ".cmdline", data: b"root=/dev/sda" }, Section { name: ".linux", data: &[1; 5000] }];
        let image = with_sections(&program(), &pieces).unwrap();
        let headers = Headers::read(&image).unwrap();
        assert_eq!((headers.count, headers.memory), (3, 0x3000 + 5000));
        let header = &image[headers.table + HEADER..headers.table + 3 * HEADER];
        assert_eq!(&header[..8], b".cmdline");
        assert_eq!(&header[HEADER..HEADER + 7], b".linux\0");
        let at = u32::from_le_bytes(header[20..24].try_into().unwrap()) as usize;
        assert_eq!(&image[at..at + 13], b"root=/dev/sda");
        let at = u32::from_le_bytes(header[60..64].try_into().unwrap()) as usize;
        assert_eq!(image.len(), at + 5000usize.next_multiple_of(0x200));
        let whole = &image[0x98 + 56..0x98 + 60];
        assert_eq!(whole, 0x5000u32.to_le_bytes());
    }

    #[test]
    fn what_is_no_program_is_refused() {
        assert_eq!(with_sections(b"#!/bin/sh", &[]).unwrap_err(), "it is no PE program");
        let short = &program()[..0x500];
        assert_eq!(with_sections(short, &[]).unwrap_err(), "it ends within its sections");
        let many: Vec<_> = (0..16).map(|_| Section { name: ".x", data: b"x" }).collect();
        assert_eq!(with_sections(&program(), &many).unwrap_err(), "it has no room for more sections");
    }
}
