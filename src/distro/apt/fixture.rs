//! Small packages and archives for tests.

use camino::{Utf8Path, Utf8PathBuf};
use pgp::composed::{CleartextSignedMessage, KeyType, SecretKeyParamsBuilder, SignedSecretKey};
use pgp::types::Password;

use crate::store::packages::sha256;

/// A new signing key.
pub fn key() -> SignedSecretKey {
    let parameters = SecretKeyParamsBuilder::default()
        .key_type(KeyType::Ed25519)
        .can_certify(true)
        .can_sign(true)
        .primary_user_id("Archive <archive@example.com>".into())
        .build()
        .unwrap();
    parameters.generate(rand::thread_rng()).unwrap()
}

/// `text` signed by `key`.
pub fn sign(text: &str, key: &SignedSecretKey) -> String {
    let message = CleartextSignedMessage::sign(rand::thread_rng(), text, &key.primary_key, &Password::empty()).unwrap();
    message.to_armored_string(pgp::composed::ArmorOptions::default()).unwrap()
}

/// One entry of a package's data: path, and what is there.
pub enum Entry {
    Dir(&'static str, u32),
    File(&'static str, u32, &'static str),
    Link(&'static str, &'static str),
    Hard(&'static str, &'static str),
}

/// A package archive with gzip members.
pub fn deb(control: &str, files: &[(&str, &str)], data: &[Entry]) -> Vec<u8> {
    let mut control_tar = tar::Builder::new(Vec::new());
    add(&mut control_tar, tar::EntryType::Regular, "./control", 0o644, control.as_bytes(), None);
    for (name, content) in files {
        add(&mut control_tar, tar::EntryType::Regular, &format!("./{name}"), 0o755, content.as_bytes(), None);
    }
    let mut data_tar = tar::Builder::new(Vec::new());
    for entry in data {
        match entry {
            Entry::Dir(path, mode) => add(&mut data_tar, tar::EntryType::Directory, path, *mode, b"", None),
            Entry::File(path, mode, text) => {
                add(&mut data_tar, tar::EntryType::Regular, path, *mode, text.as_bytes(), None)
            }
            Entry::Link(path, to) => add(&mut data_tar, tar::EntryType::Symlink, path, 0o777, b"", Some(to)),
            Entry::Hard(path, to) => add(&mut data_tar, tar::EntryType::Link, path, 0o644, b"", Some(to)),
        }
    }
    let mut deb = b"!<arch>\n".to_vec();
    for (name, bytes) in [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.gz", gzip(&control_tar.into_inner().unwrap())),
        ("data.tar.gz", gzip(&data_tar.into_inner().unwrap())),
    ] {
        deb.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, bytes.len()).into_bytes());
        deb.extend(&bytes);
        if bytes.len() % 2 == 1 {
            deb.push(b'\n');
        }
    }
    deb
}

fn add(tar: &mut tar::Builder<Vec<u8>>, kind: tar::EntryType, path: &str, mode: u32, bytes: &[u8], link: Option<&str>) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(nix::unistd::getuid().as_raw().into());
    header.set_gid(nix::unistd::getgid().as_raw().into());
    header.set_mtime(1_700_000_000);
    header.set_size(bytes.len() as u64);
    // Paths as a hostile archive would have them: the builder's own setter refuses some.
    header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
    if let Some(link) = link {
        header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
    }
    header.set_cksum();
    tar.append(&header, bytes).unwrap();
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An archive in a folder with one suite, signed by `key`; `packages` are control paragraphs and archives.
pub fn archive(folder: &Utf8Path, suite: &str, key: &SignedSecretKey, packages: &[(String, Vec<u8>)]) -> Utf8PathBuf {
    let mut list = String::new();
    std::fs::create_dir_all(folder.join("pool")).unwrap();
    for (number, (control, deb)) in packages.iter().enumerate() {
        let file = format!("pool/{number}.deb");
        std::fs::write(folder.join(&file), deb).unwrap();
        let (size, digest) = (deb.len(), sha256(deb));
        list.push_str(&format!("{control}Filename: {file}\nSize: {size}\nSHA256: {digest}\n\n"));
    }
    let dists = folder.join("dists").join(suite);
    std::fs::create_dir_all(dists.join("main/binary-amd64")).unwrap();
    let compressed = gzip(list.as_bytes());
    std::fs::write(dists.join("main/binary-amd64/Packages.gz"), &compressed).unwrap();
    let release = format!(
        "Suite: {suite}\nCodename: {suite}\nComponents: main\nSHA256:\n {} {} main/binary-amd64/Packages.gz\n",
        sha256(&compressed),
        compressed.len()
    );
    std::fs::write(dists.join("InRelease"), sign(&release, key)).unwrap();
    let keyring = folder.join("keyring.asc");
    std::fs::write(&keyring, key.to_public_key().to_armored_string(pgp::composed::ArmorOptions::default()).unwrap())
        .unwrap();
    keyring
}
