//! One member of an archive: its header, and the pax records for what the header cannot hold.
//!
//! In: a path in the tree and what `lstat` says of it. Out: the blocks that precede its content.

use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use camino::Utf8Path;
use rustix::fs::{lgetxattr, llistxattr, major, minor};
use rustix::io::Errno;
use tar::{EntryType, Header};

/// Bytes in a block.
const BLOCK: u64 = 512;
/// Bytes that a header has for a name and for the target of a link.
const NAME: usize = 100;
/// The largest user or group number in seven octal digits.
const LARGEST_OCTAL_ID: u64 = 0o777_7777;
/// The largest size or time in eleven octal digits.
const LARGEST_OCTAL_NUMBER: u64 = 0o777_7777_7777;

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file with content.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Symlink,
    /// Another name of an earlier member.
    Link,
    /// A character device.
    Character,
    /// A block device.
    Block,
    /// A named pipe.
    Fifo,
}

/// A member.
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Its name in the archive: `./etc/passwd`, `./etc/`, `./`.
    pub name: Vec<u8>,
    /// Target of a link.
    target: Vec<u8>,
    /// Bytes of content.
    pub size: u64,
    mode: u32,
    user: u64,
    group: u64,
    /// Seconds since the epoch; may be negative.
    time: i64,
    device: (u32, u32),
    /// Extended attributes, sorted by name.
    attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    /// The member for `path`, which lies in `tree` or is it.
    pub fn of(tree: &Utf8Path, path: &Path, facts: &Metadata, time: Option<i64>) -> io::Result<Self> {
        let kind = kind(facts);
        let mut name = b"./".to_vec();
        name.extend(path.strip_prefix(tree).unwrap_or(path).as_os_str().as_bytes());
        if kind == Kind::Folder && name != b"./" {
            name.push(b'/');
        }
        let is_device = matches!(kind, Kind::Character | Kind::Block);
        Ok(Self {
            kind,
            name,
            target: if kind == Kind::Symlink {
                std::fs::read_link(path)?.into_os_string().into_vec()
            } else {
                Vec::new()
            },
            size: if kind == Kind::File { facts.len() } else { 0 },
            mode: facts.mode() & 0o7777,
            user: facts.uid().into(),
            group: facts.gid().into(),
            time: time.map_or(facts.mtime(), |time| facts.mtime().min(time)),
            device: if is_device { (major(facts.rdev()), minor(facts.rdev())) } else { (0, 0) },
            attributes: attributes(path)?,
        })
    }

    /// Makes it another name of the member called `first`.
    pub fn become_link_to(&mut self, first: &[u8]) {
        self.kind = Kind::Link;
        self.target = first.to_vec();
        self.size = 0;
        // The inode got them with its first name.
        self.attributes.clear();
    }

    /// Everything that precedes its content.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(512);
        let records = self.records();
        if !records.is_empty() {
            let mut header = Header::new_ustar();
            header.set_entry_type(EntryType::XHeader);
            put_name(&mut header, b"././@PaxHeader");
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header.set_size(records.len() as u64);
            header.set_cksum();
            bytes.extend(header.as_bytes());
            bytes.extend(&records);
            bytes.extend(padding(records.len() as u64));
        }
        bytes.extend(self.header().as_bytes());
        bytes
    }

    fn header(&self) -> Header {
        let mut header = Header::new_ustar();
        put_name(&mut header, &self.name);
        header.set_entry_type(match self.kind {
            Kind::File => EntryType::Regular,
            Kind::Folder => EntryType::Directory,
            Kind::Symlink => EntryType::Symlink,
            Kind::Link => EntryType::Link,
            Kind::Character => EntryType::Char,
            Kind::Block => EntryType::Block,
            Kind::Fifo => EntryType::Fifo,
        });
        header.set_mode(self.mode);
        // What does not fit is in a pax record; the field then holds what fits.
        header.set_uid(self.user.min(LARGEST_OCTAL_ID));
        header.set_gid(self.group.min(LARGEST_OCTAL_ID));
        header.set_size(self.size.min(LARGEST_OCTAL_NUMBER));
        header.set_mtime(u64::try_from(self.time).unwrap_or(0).min(LARGEST_OCTAL_NUMBER));
        if let Some(ustar) = header.as_ustar_mut() {
            let length = self.target.len().min(NAME);
            ustar.linkname[..length].copy_from_slice(&self.target[..length]);
            // Only root has the same name everywhere.
            if self.user == 0 {
                ustar.uname[..4].copy_from_slice(b"root");
            }
            if self.group == 0 {
                ustar.gname[..4].copy_from_slice(b"root");
            }
            ustar.set_device_major(self.device.0);
            ustar.set_device_minor(self.device.1);
        }
        header.set_cksum();
        header
    }

    fn records(&self) -> Vec<u8> {
        let mut records = Vec::new();
        let mut number = |key: &str, value: i128| record(&mut records, key.as_bytes(), value.to_string().as_bytes());
        if self.user > LARGEST_OCTAL_ID {
            number("uid", self.user.into());
        }
        if self.group > LARGEST_OCTAL_ID {
            number("gid", self.group.into());
        }
        if self.size > LARGEST_OCTAL_NUMBER {
            number("size", self.size.into());
        }
        if !u64::try_from(self.time).is_ok_and(|time| time <= LARGEST_OCTAL_NUMBER) {
            number("mtime", self.time.into());
        }
        if self.name.len() > NAME {
            record(&mut records, b"path", &self.name);
        }
        if self.target.len() > NAME {
            record(&mut records, b"linkpath", &self.target);
        }
        for (name, value) in &self.attributes {
            record(&mut records, &[b"SCHILY.xattr.", name.as_slice()].concat(), value);
        }
        records
    }
}

/// The zeros that fill the last block of `size` bytes.
pub fn padding(size: u64) -> &'static [u8] {
    static ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];
    &ZEROS[..(size.next_multiple_of(BLOCK) - size) as usize]
}

fn put_name(header: &mut Header, name: &[u8]) {
    if let Some(ustar) = header.as_ustar_mut() {
        let length = name.len().min(NAME);
        ustar.name[..length].copy_from_slice(&name[..length]);
    }
}

/// Adds `LENGTH KEY=VALUE\n`, where the length counts itself.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend(format!("{length} ").as_bytes());
    records.extend(key);
    records.push(b'=');
    records.extend(value);
    records.push(b'\n');
}

fn kind(facts: &Metadata) -> Kind {
    let kind = facts.file_type();
    if kind.is_dir() {
        Kind::Folder
    } else if kind.is_symlink() {
        Kind::Symlink
    } else if kind.is_char_device() {
        Kind::Character
    } else if kind.is_block_device() {
        Kind::Block
    } else if kind.is_fifo() {
        Kind::Fifo
    } else {
        Kind::File
    }
}

/// The extended attributes of `path` itself, without those that overlayfs keeps for its own use.
fn attributes(path: &Path) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let names = match grow(|buffer| llistxattr(path, buffer)) {
        Ok(names) => names,
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut attributes = Vec::new();
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        if name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.") {
            continue;
        }
        match grow(|buffer| lgetxattr(path, name, buffer)) {
            Ok(value) => attributes.push((name.to_vec(), value)),
            // Listed, but the kernel does not show it.
            Err(Errno::NODATA) => {}
            Err(error) => return Err(error.into()),
        }
    }
    attributes.sort();
    Ok(attributes)
}

/// Calls with a buffer large enough for almost everything, then with the largest that the kernel fills.
fn grow(call: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut small = [0; 1024];
    match call(&mut small) {
        Ok(length) => Ok(small[..length].to_vec()),
        Err(Errno::RANGE) => {
            let mut large = vec![0; 1 << 16];
            let length = call(&mut large)?;
            large.truncate(length);
            Ok(large)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_record_counts_its_own_length(value in prop::collection::vec(any::<u8>(), 0..1200)) {
            let mut records = Vec::new();
            record(&mut records, b"key", &value);
            let length: usize = String::from_utf8_lossy(records.split(|byte| *byte == b' ').next().unwrap()).parse().unwrap();
            prop_assert_eq!(length, records.len());
        }
    }

    #[test]
    fn a_size_that_is_a_multiple_of_a_block_needs_no_padding() {
        assert_eq!([0, 1, 511, 512, 513].map(|size| padding(size).len()), [0, 511, 1, 0, 511]);
    }
}
