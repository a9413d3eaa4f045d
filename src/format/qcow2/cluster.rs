//! One cluster on its way into a qcow2.
//!
//! In: up to 64 KiB of disk. Out: nothing, the cluster as it is, or compressed. Not here: where it lies in the file.

use flate2::{Compress, FlushCompress, Status};

use super::{CLUSTER, Compression};
use crate::format::sparse::is_zero;

/// Base-2 logarithm of the window that QEMU decompresses with.
const WINDOW_BITS: u8 = 12;
/// The lowest level that works: at level 1 zlib-rs 0.6.8 panics on real data, its fast path overruns a buffer.
const LOWEST_LEVEL: u32 = 2;
/// A compressed cluster must save at least a sector.
const LARGEST_COMPRESSED: usize = CLUSTER as usize - 512;

/// What is stored of a cluster.
#[derive(Debug, PartialEq, Eq)]
pub enum Cluster {
    /// Nothing: it reads as zeros.
    Zero,
    /// All its bytes.
    Plain(Vec<u8>),
    /// Fewer bytes.
    Compressed(Vec<u8>),
}

/// A compressor with its memory.
pub struct Encoder {
    method: Method,
    buffer: Vec<u8>,
}

enum Method {
    Store,
    Deflate(Box<Compress>),
    Zstd(Box<zstd::bulk::Compressor<'static>>),
}

impl Encoder {
    /// A compressor for `compression`.
    pub fn new(compression: Compression) -> Result<Self, String> {
        let method = match compression {
            Compression::None => Method::Store,
            Compression::Deflate { level } => Method::Deflate(Box::new(Compress::new_with_window_bits(
                flate2::Compression::new(level.clamp(LOWEST_LEVEL, 9)),
                false,
                WINDOW_BITS,
            ))),
            Compression::Zstd { level } => {
                let compressor = zstd::bulk::Compressor::new(level).map_err(|error| error.to_string())?;
                Method::Zstd(Box::new(compressor))
            }
        };
        Ok(Self { method, buffer: vec![0; CLUSTER as usize + 4096] })
    }

    /// Encodes one whole cluster.
    pub fn encode(&mut self, cluster: &[u8]) -> Result<Cluster, String> {
        if is_zero(cluster) {
            return Ok(Cluster::Zero);
        }
        let length = match &mut self.method {
            Method::Store => None,
            Method::Deflate(compress) => {
                compress.reset();
                let status = compress
                    .compress(cluster, &mut self.buffer, FlushCompress::Finish)
                    .map_err(|error| error.to_string())?;
                // Anything but the end of the stream: the buffer is full, so the cluster grew.
                (status == Status::StreamEnd).then(|| compress.total_out() as usize)
            }
            Method::Zstd(compressor) => compressor.compress_to_buffer(cluster, &mut self.buffer[..]).ok(),
        };
        Ok(match length {
            Some(length) if length <= LARGEST_COMPRESSED => Cluster::Compressed(self.buffer[..length].to_vec()),
            _ => Cluster::Plain(cluster.to_vec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::qcow2::tests::noise;

    #[test]
    fn zeros_are_nothing_text_shrinks_and_noise_stays() {
        for compression in
            [Compression::Deflate { level: 6 }, Compression::Deflate { level: 1 }, Compression::Zstd { level: 3 }]
        {
            let mut encoder = Encoder::new(compression).unwrap();
            let noise = noise(CLUSTER as usize, 1);
            assert_eq!(encoder.encode(&vec![0; CLUSTER as usize]).unwrap(), Cluster::Zero);
            assert_eq!(encoder.encode(&noise).unwrap(), Cluster::Plain(noise));
            match encoder.encode(&b"text and ".repeat(8000)[..CLUSTER as usize]).unwrap() {
                Cluster::Compressed(bytes) => assert!(bytes.len() < 1000, "{}", bytes.len()),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn deflate_can_be_read_back_with_the_window_that_qemu_has() {
        let text: Vec<u8> = (0..20_000).flat_map(|number: u32| number.to_string().into_bytes()).collect();
        let cluster = &text[..CLUSTER as usize];
        for level in 1..=9 {
            let mut encoder = Encoder::new(Compression::Deflate { level }).unwrap();
            let Cluster::Compressed(bytes) = encoder.encode(cluster).unwrap() else { panic!("level {level}") };
            let mut out = vec![0; CLUSTER as usize];
            flate2::Decompress::new_with_window_bits(false, WINDOW_BITS)
                .decompress(&bytes, &mut out, flate2::FlushDecompress::Finish)
                .unwrap();
            assert!(out == cluster, "level {level}");
        }
    }
}
