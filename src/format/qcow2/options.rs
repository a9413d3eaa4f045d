//! How a qcow2 is written, and qemu-img's words for it.

use super::{CLUSTER_BITS, Compression, Version};
use crate::request::Qcow2Compression;

/// How a qcow2 is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How clusters are compressed.
    pub compression: Compression,
    /// Base-2 logarithm of the size of a cluster: 9 to 21.
    pub cluster_bits: u32,
    /// The version of the format.
    pub version: Version,
}

impl Default for Options {
    fn default() -> Self {
        Self { compression: Qcow2Compression::default().into(), cluster_bits: CLUSTER_BITS, version: Version::Three }
    }
}

impl Options {
    /// qemu-img's `key=value,key=value`, on top of what kiln's own options say about compression. `None` when they ask for what only
    /// qemu-img writes, or make no sense: then it says why.
    pub fn parse(text: &str, asked: Qcow2Compression) -> Option<Self> {
        let mut options = Self { compression: asked.into(), ..Self::default() };
        let mut method = None;
        for option in text.split(',').filter(|option| !option.is_empty()) {
            match option.split_once('=')? {
                ("cluster_size", size) => {
                    let size = bytes(size)?;
                    if !size.is_power_of_two() || !(1 << 9..=1 << 21).contains(&size) {
                        return None;
                    }
                    options.cluster_bits = size.ilog2();
                }
                ("compat", "0.10" | "v2") => options.version = Version::Two,
                ("compat", "1.1" | "v3") => options.version = Version::Three,
                ("compression_type", "zlib") => method = Some(Qcow2Compression::Zlib),
                ("compression_type", "zstd") => method = Some(Qcow2Compression::Zstd),
                ("lazy_refcounts" | "extended_l2" | "preallocation" | "nocow", "off") | ("refcount_bits", "16") => {}
                _ => return None,
            }
        }
        // `-u` wins: the type is then that of clusters compressed later.
        if let Some(method) = method.filter(|_| asked != Qcow2Compression::None) {
            options.compression = method.into();
        }
        match (options.version, options.compression) {
            (Version::Two, _) if method == Some(Qcow2Compression::Zstd) => None,
            // Version 2 has deflate only.
            (Version::Two, Compression::Zstd { .. }) => {
                options.compression = Qcow2Compression::Zlib.into();
                Some(options)
            }
            _ => Some(options),
        }
    }
}

/// A size as qemu-img reads it: a number, perhaps with `k` or `M`.
fn bytes(text: &str) -> Option<u64> {
    let shift = match text.chars().last()? {
        'k' | 'K' => 10,
        'm' | 'M' => 20,
        _ => 0,
    };
    let number = if shift == 0 { text } else { &text[..text.len() - 1] };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qemu_imgs_words_are_mapped() {
        let parse = |text| Options::parse(text, Qcow2Compression::Zstd);
        assert_eq!(parse(""), Some(Options::default()));
        let old = parse("compat=0.10,cluster_size=4k").unwrap();
        assert_eq!((old.version, old.cluster_bits), (Version::Two, 12));
        assert_eq!(old.compression, Qcow2Compression::Zlib.into(), "version 2 knows no zstd");
        assert_eq!(parse("compression_type=zlib").unwrap().compression, Qcow2Compression::Zlib.into());
        let stored = Options::parse("compression_type=zlib", Qcow2Compression::None).unwrap();
        assert_eq!(stored.compression, Compression::None);
    }

    #[test]
    fn what_only_qemu_img_knows_is_left_to_it() {
        for text in [
            "preallocation=full",
            "cluster_size=3",
            "cluster_size=4M",
            "compat=0.10,compression_type=zstd",
            "encrypt.format=luks",
            "what",
            "cluster_size=é",
        ] {
            assert_eq!(Options::parse(text, Qcow2Compression::Zstd), None, "{text}");
        }
    }
}
