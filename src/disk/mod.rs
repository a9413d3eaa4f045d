//! Disk images: their description, their arithmetic, their writing.
//!
//! In: DIB's block-device YAML and a finished tree. Out: a solved [`layout::Layout`] and a raw image file.
//! `config`, `size`, `solve`, `fstab`, `layout` and `show` touch no system. Not here: boot code (`boot/`), image formats (`format/`).

pub mod config;
pub mod crypttab;
pub mod direct;
mod driver;
#[cfg(test)]
mod examples;
pub mod fstab;
pub mod image_size;
pub mod layout;
pub mod loopback;
pub mod room;
pub mod show;
pub mod size;
pub mod solve;
pub mod verity_scripts;
pub mod veritytab;
mod yaml;
