//! A tree as an archive has it, for comparison: everything but times.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// What stands at a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// `file`, `folder`, `symlink`, `character`, `block`, `fifo`.
    pub kind: &'static str,
    pub mode: u32,
    pub owner: (u64, u64),
    /// Where a symlink leads.
    pub target: String,
    /// Numbers of a device node.
    pub device: (u32, u32),
    pub xattrs: BTreeMap<String, Vec<u8>>,
    pub content: Vec<u8>,
    /// All names of the file, when it has several. Which of them an archive calls a link is its own affair.
    pub links: BTreeSet<String>,
}

impl Entry {
    /// Names of what is not the same in `other`.
    pub fn differs(&self, other: &Self) -> Vec<&'static str> {
        let aspects = [
            ("kind", self.kind == other.kind),
            ("mode", self.mode == other.mode),
            ("owner", self.owner == other.owner),
            ("target", self.target == other.target),
            ("device", self.device == other.device),
            ("xattrs", self.xattrs == other.xattrs),
            ("content", self.content == other.content),
            ("links", self.links == other.links),
        ];
        aspects.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
    }
}

/// Path, without the dot before its first slash, to entry.
pub type Tree = BTreeMap<String, Entry>;

/// Reads the tree in `tar`.
pub fn read(tar: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut archive = tar::Archive::new(std::io::BufReader::new(File::open(tar).unwrap()));
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = plain(&String::from_utf8_lossy(&entry.path_bytes()));
        let target = entry.link_name_bytes().map(|name| String::from_utf8_lossy(&name).into_owned());
        let kind = match entry.header().entry_type() {
            tar::EntryType::Link => {
                names.entry(plain(&target.unwrap())).or_default().insert(path);
                continue;
            }
            tar::EntryType::Directory => "folder",
            tar::EntryType::Symlink => "symlink",
            tar::EntryType::Char => "character",
            tar::EntryType::Block => "block",
            tar::EntryType::Fifo => "fifo",
            kind => {
                assert!(kind.is_file() || kind.is_gnu_sparse(), "{path}: {kind:?}");
                "file"
            }
        };
        let header = entry.header();
        let mut found = Entry {
            kind,
            mode: header.mode().unwrap() & 0o7777,
            owner: (header.uid().unwrap(), header.gid().unwrap()),
            target: target.unwrap_or_default(),
            ..Entry::default()
        };
        if matches!(kind, "character" | "block") {
            found.device = (header.device_major().unwrap().unwrap(), header.device_minor().unwrap().unwrap());
        }
        if let Some(extensions) = entry.pax_extensions().unwrap() {
            for extension in extensions {
                let extension = extension.unwrap();
                if let Some(name) = extension.key().unwrap().strip_prefix("SCHILY.xattr.") {
                    found.xattrs.insert(name.to_owned(), extension.value_bytes().to_vec());
                }
            }
        }
        entry.read_to_end(&mut found.content).unwrap();
        assert!(tree.insert(path.clone(), found).is_none(), "{path} is twice in {}", tar.display());
    }
    for (first, mut others) in names {
        others.insert(first.clone());
        let entry = Entry { links: others.clone(), ..tree[&first].clone() };
        for name in others {
            tree.insert(name, entry.clone());
        }
    }
    tree
}

fn plain(path: &str) -> String {
    let path = path.trim_end_matches('/');
    match path.trim_start_matches('.') {
        "" => "/".to_owned(),
        path => path.to_owned(),
    }
}
