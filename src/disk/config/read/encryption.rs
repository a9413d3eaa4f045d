//! LUKS containers and verified devices.

use super::keys::{base, choice, label, required, uuid};
use crate::disk::config::flatten::Node;
use crate::disk::config::{Luks, Verity};
use crate::disk::yaml::Problem;

/// The ciphers of cryptsetup's format that are in use, the default first: name, and the sizes of the volume key in bits, the
/// default first.
const CIPHERS: [(&str, &[u32]); 5] = [
    ("aes-xts-plain64", &[512, 256]),
    ("serpent-xts-plain64", &[512, 256]),
    ("twofish-xts-plain64", &[512, 256]),
    ("xchacha12,aes-adiantum-plain64", &[256]),
    ("aes-cbc-essiv:sha256", &[256, 128]),
];

/// Bytes of a label in a LUKS2 header, with the 0 at its end.
const LABEL: usize = 48;

/// The longest salt that veritysetup takes, bytes.
const SALT: usize = 256;

pub(super) fn luks(node: &Node<'_>) -> Result<Luks, Problem> {
    let (secret, place) = required(node, "secret", "the id of the secret that opens it")?;
    if secret.is_empty() || !secret.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        let text = format!(
            "secret: `{secret}` is not the id of a secret: letters, digits, `.`, `_` and `-`; the key itself has no place in a description"
        );
        return Err(node.problem(&text, place));
    }
    mapper_name(node)?;
    let ciphers = CIPHERS.map(|(name, bits)| (name, (name, bits)));
    let (cipher, bits) = choice(node, "cipher", &ciphers)?;
    let key_bits = match node.text("key_size")? {
        None => bits[0],
        Some((text, place)) => text.parse().ok().filter(|size| bits.contains(size)).ok_or_else(|| {
            let valid: Vec<_> = bits.iter().map(u32::to_string).collect();
            let text = format!("key_size: `{text}` is not a key of {cipher}: {} bits", valid.join(" or "));
            node.problem(&text, place)
        })?,
    };
    let label = label(node)?;
    if let Some((text, place)) = label.filter(|(text, _)| text.len() >= LABEL) {
        return Err(node.problem(&format!("label `{text}` is too long for LUKS: at most {} bytes", LABEL - 1), place));
    }
    Ok(Luks {
        name: node.name.clone(),
        base: base(node, "partition, logical volume or local_loop")?,
        secret: secret.to_owned(),
        cipher: cipher.to_owned(),
        key_bits,
        sector_size: match node.text("sector_size")? {
            None => None,
            Some(_) => Some(choice(node, "sector_size", &[("512", 512), ("4096", 4096)])?),
        },
        label: label.map(|(text, _)| text.to_owned()),
        uuid: uuid(node, "uuid")?,
    })
}

pub(super) fn verity(node: &Node<'_>) -> Result<Verity, Problem> {
    mapper_name(node)?;
    let (hash, _) = required(node, "hash", "the name of the partition or logical volume for the hashes")?;
    let salt = match node.text("salt")? {
        None => None,
        Some((text, place)) => {
            let hexadecimal = text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !hexadecimal || text.len() / 2 > SALT {
                let text = format!("salt: `{text}` is not an even number of hexadecimal digits, at most {}", SALT * 2);
                return Err(node.problem(&text, place));
            }
            Some(text.to_ascii_lowercase())
        }
    };
    let algorithm = choice(node, "algorithm", &[("sha256", "sha256"), ("sha512", "sha512")])?;
    Ok(Verity {
        name: node.name.clone(),
        base: base(node, "partition or logical volume")?,
        hash: hash.to_owned(),
        algorithm: algorithm.to_owned(),
        salt,
        uuid: uuid(node, "uuid")?,
    })
}

/// The running system has it as a file of this name in /dev/mapper.
fn mapper_name(node: &Node<'_>) -> Result<(), Problem> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "#+-.:=@_".contains(c);
    if node.name.len() > 127 || !node.name.chars().all(plain) || node.name == "control" {
        let text = "the name is that of a device in /dev/mapper: letters, digits and any of #+-.:=@_, at most 127";
        return Err(node.problem(text, &node.place));
    }
    Ok(())
}
