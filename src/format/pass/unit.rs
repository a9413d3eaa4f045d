//! One unit of a chunk (a cluster, a grain, a page), encoded.
//!
//! In: its bytes. Out: nothing, the bytes as they are, or compressed. Not here: where it lies in a file.

use flate2::{Compress, FlushCompress, Status};

use crate::format::sparse::is_zero;
use crate::request::Qcow2Compression;

/// Base-2 logarithm of the window that QEMU decompresses the clusters of a qcow2 with.
const WINDOW_BITS: u8 = 12;
/// The lowest level that works: at level 1 zlib-rs 0.6.8 panics on real data, its fast path overruns a buffer.
const LOWEST_LEVEL: u32 = 2;

/// How units are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// Raw deflate in a 4 KiB window: every QEMU reads it in a qcow2.
    Deflate {
        /// 2 to 9; others are brought into that range.
        level: u32,
    },
    /// Deflate in a zlib stream (RFC 1950), as in VMDK.
    Zlib {
        /// As above.
        level: u32,
    },
    /// Zstandard: QEMU 5.1 and later read it in a qcow2.
    Zstd {
        /// 1 to 22.
        level: i32,
    },
}

impl From<Qcow2Compression> for Compression {
    fn from(asked: Qcow2Compression) -> Self {
        match asked {
            Qcow2Compression::None => Self::None,
            // Less than half of QEMU's own processor time for an image 1.5 % larger than QEMU's; level 9 takes all of it for
            // one 0.7 % smaller.
            Qcow2Compression::Zlib => Self::Deflate { level: 6 },
            // A quarter of that time for an image 2.7 % smaller than QEMU's deflate.
            Qcow2Compression::Zstd => Self::Zstd { level: 3 },
        }
    }
}

/// How a sink wants a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coding {
    /// Bytes in a unit; a power of two, at most a chunk.
    pub unit: usize,
    /// How units are compressed.
    pub compression: Compression,
    /// A compressed unit larger than this is stored as it is.
    pub largest: usize,
}

impl Coding {
    /// Pages as they are.
    pub const PAGES: Self = Self { unit: super::PAGE, compression: Compression::None, largest: 0 };

    /// Whether units are compressed.
    pub fn compresses(&self) -> bool {
        self.compression != Compression::None
    }
}

/// What is stored of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nothing: it reads as zeros.
    Zero,
    /// All its bytes.
    Plain,
    /// Fewer bytes.
    Compressed(Vec<u8>),
}

/// A compressor with its memory.
pub struct Encoder {
    coding: Coding,
    method: Method,
    buffer: Vec<u8>,
}

enum Method {
    Store,
    Deflate(Box<Compress>),
    Zstd(Box<zstd::bulk::Compressor<'static>>),
}

impl Encoder {
    /// A compressor for `coding`.
    pub fn new(coding: Coding) -> Result<Self, String> {
        let level = |level: u32| flate2::Compression::new(level.clamp(LOWEST_LEVEL, 9));
        let method = match coding.compression {
            Compression::None => Method::Store,
            Compression::Deflate { level: asked } => {
                Method::Deflate(Box::new(Compress::new_with_window_bits(level(asked), false, WINDOW_BITS)))
            }
            Compression::Zlib { level: asked } => Method::Deflate(Box::new(Compress::new(level(asked), true))),
            Compression::Zstd { level } => {
                let compressor = zstd::bulk::Compressor::new(level).map_err(|error| error.to_string())?;
                Method::Zstd(Box::new(compressor))
            }
        };
        let room = if coding.compresses() { coding.unit + coding.unit / 64 + 4096 } else { 0 };
        Ok(Self { coding, method, buffer: vec![0; room] })
    }

    /// Bytes in a unit.
    pub fn unit(&self) -> usize {
        self.coding.unit
    }

    /// Encodes every unit of a chunk.
    pub fn encode(&mut self, chunk: &[u8]) -> Result<Vec<Unit>, String> {
        chunk.chunks(self.coding.unit).map(|unit| self.encode_one(unit)).collect()
    }

    fn encode_one(&mut self, unit: &[u8]) -> Result<Unit, String> {
        if is_zero(unit) {
            return Ok(Unit::Zero);
        }
        let length = match &mut self.method {
            Method::Store => None,
            Method::Deflate(compress) => {
                compress.reset();
                let status = compress
                    .compress(unit, &mut self.buffer, FlushCompress::Finish)
                    .map_err(|error| error.to_string())?;
                // Anything but the end of the stream: the buffer is full, so the unit grew.
                (status == Status::StreamEnd).then(|| compress.total_out() as usize)
            }
            Method::Zstd(compressor) => compressor.compress_to_buffer(unit, &mut self.buffer[..]).ok(),
        };
        Ok(match length {
            Some(length) if length <= self.coding.largest => Unit::Compressed(self.buffer[..length].to_vec()),
            _ => Unit::Plain,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::qcow2::tests::noise;

    const UNIT: usize = 1 << 16;

    fn encoder(compression: Compression) -> Encoder {
        Encoder::new(Coding { unit: UNIT, compression, largest: UNIT - 512 }).unwrap()
    }

    #[test]
    fn zeros_are_nothing_text_shrinks_and_noise_stays() {
        for compression in [
            Compression::Deflate { level: 6 },
            Compression::Deflate { level: 1 },
            Compression::Zlib { level: 6 },
            Compression::Zstd { level: 3 },
        ] {
            let mut encoder = encoder(compression);
            let mut chunk = vec![0; UNIT];
            chunk.extend(noise(UNIT, 1));
            chunk.extend(&b"text and ".repeat(8000)[..UNIT]);
            let units = encoder.encode(&chunk).unwrap();
            assert_eq!(units[..2], [Unit::Zero, Unit::Plain]);
            let Unit::Compressed(bytes) = &units[2] else { panic!("{units:?}") };
            assert!(bytes.len() < 1000, "{}", bytes.len());
        }
    }

    #[test]
    fn deflate_can_be_read_back_with_the_window_that_qemu_has() {
        let text: Vec<u8> = (0..20_000).flat_map(|number: u32| number.to_string().into_bytes()).collect();
        let cluster = &text[..UNIT];
        for level in 1..=9 {
            let units = encoder(Compression::Deflate { level }).encode(cluster).unwrap();
            let [Unit::Compressed(bytes)] = &units[..] else { panic!("level {level}") };
            let mut out = vec![0; UNIT];
            flate2::Decompress::new_with_window_bits(false, WINDOW_BITS)
                .decompress(bytes, &mut out, flate2::FlushDecompress::Finish)
                .unwrap();
            assert!(out == cluster, "level {level}");
        }
    }
}
