use std::fs::File;

use camino::{Utf8Path, Utf8PathBuf};

use super::*;
use crate::disk::layout::Device;
use crate::event::Events;
use crate::sandbox::command::Command;

const MIB: u64 = 1 << 20;
/// Rounds: nobody guesses here.
const FEW: u32 = 1000;

fn container(key_bits: u32, sector_size: u32) -> Luks {
    Luks {
        name: "secret".into(),
        device: Device::Disk { disk: "image0".into() },
        uuid: uuid::uuid!("850c575b-ed61-43b5-b81a-6a543090ba3c"),
        label: "hidden".into(),
        header: 16 * MIB,
        size: 4 * MIB,
        cipher: "aes-xts-plain64".into(),
        key_bits,
        sector_size,
        secret: "disk".into(),
    }
}

/// Writes a container with some content; its file and the content's.
fn written(folder: &Utf8Path, container: &Luks) -> (Utf8PathBuf, Utf8PathBuf) {
    let (outside, inside) = (folder.join("outside"), folder.join("inside"));
    let content: Vec<u8> = (0..container.size / 8).flat_map(|number: u64| (number * 7).to_le_bytes()).collect();
    std::fs::write(&inside, content).unwrap();
    let file = File::create(&outside).unwrap();
    file.set_len(container.header + container.size).unwrap();
    let keys = Keys::derive(container, b"open sesame", FEW).unwrap();
    write_with(container, &keys, &File::open(&inside).unwrap(), &file, 0).unwrap();
    (outside, inside)
}

fn run(words: &[&str], input: &str) -> (i32, String) {
    let output = Command::new(words.iter().copied()).stdin(input).quiet().run(&Events::none()).unwrap();
    (output.status, String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn cryptsetup_reads_the_header_and_opens_it_with_the_passphrase_only() {
    let folder = tempfile::tempdir().unwrap();
    let folder = Utf8Path::from_path(folder.path()).unwrap();
    for (bits, sector) in [(512, 4096), (256, 512)] {
        let (outside, _) = written(folder, &container(bits, sector));
        let (status, text) = run(&["cryptsetup", "luksDump", outside.as_str()], "");
        assert_eq!(status, 0, "{text}");
        let facts = ["850c575b-ed61-43b5-b81a-6a543090ba3c", "hidden", "aes-xts-plain64", "offset: 16777216 [bytes]"];
        assert!(facts.iter().all(|fact| text.contains(fact)), "{text}");
        assert!(
            text.contains(&format!("sector: {sector} [bytes]")) && text.contains(&format!("Key:        {bits} bits"))
        );
        let open = ["cryptsetup", "open", "--test-passphrase", "--key-file", "-", outside.as_str()];
        let (status, text) = run(&open, "open sesame");
        assert_eq!(status, 0, "{text}");
        let (status, _) = run(&open, "open barley");
        assert_eq!(status, 2, "another passphrase opens it");
        let (status, text) = run(&["cryptsetup", "repair", "-q", outside.as_str()], "");
        assert_eq!(status, 0, "{text}");
    }
}

/// QEMU has an implementation of its own, of LUKS1 only; what dm-crypt would read is decrypted by cryptsetup's own reencryption.
#[test]
fn cryptsetup_decrypts_the_content() {
    let folder = tempfile::tempdir().unwrap();
    let folder = Utf8Path::from_path(folder.path()).unwrap();
    let container = container(512, 4096);
    let (outside, inside) = written(folder, &container);
    let (key, passphrase) = (folder.join("key"), folder.join("passphrase"));
    std::fs::write(&passphrase, "open sesame").unwrap();
    let words = ["cryptsetup", "luksDump", "-q", "--dump-volume-key", "--volume-key-file", key.as_str(), "--key-file"];
    let words: Vec<&str> = words.into_iter().chain([passphrase.as_str(), outside.as_str()]).collect();
    let (status, text) = run(&words, "");
    assert_eq!(status, 0, "{text}");
    let key = std::fs::read(key).unwrap();
    // OpenSSL is nobody's AES but its own.
    let script = "
import sys
from ctypes import CDLL, c_int, byref, create_string_buffer, c_void_p
from ctypes.util import find_library
c = CDLL(find_library('crypto') or 'libcrypto.so.3')
for f in ('EVP_CIPHER_CTX_new', 'EVP_aes_256_xts'): getattr(c, f).restype = c_void_p
key, data = bytes.fromhex(sys.argv[1]), open(sys.argv[2], 'rb').read()[16 << 20:]
ctx, out = c_void_p(c.EVP_CIPHER_CTX_new()), create_string_buffer(4096)
for at in range(0, len(data), 4096):
    n = c_int(0)
    assert c.EVP_DecryptInit_ex(ctx, c_void_p(c.EVP_aes_256_xts()), None, key, (at // 512).to_bytes(16, 'little')) == 1
    assert c.EVP_DecryptUpdate(ctx, out, byref(n), data[at:at + 4096], 4096) == 1
    sys.stdout.buffer.write(out.raw)
";
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let words = ["python3", "-c", script, &hex, outside.as_str()];
    let output = Command::new(words).quiet().run(&Events::none()).unwrap();
    assert_eq!(output.status, 0, "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout == std::fs::read(inside).unwrap(), "the content is another");
}

#[test]
fn the_same_passphrase_and_identifier_make_the_same_bytes_and_another_none_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = Utf8Path::from_path(folder.path()).unwrap();
    let keys = |passphrase: &[u8], uuid: u128| {
        let container = Luks { uuid: uuid::Uuid::from_u128(uuid), ..container(512, 4096) };
        Keys::derive(&container, passphrase, FEW).unwrap().volume
    };
    assert_eq!(keys(b"a", 1), keys(b"a", 1));
    assert_ne!(keys(b"a", 1), keys(b"a", 2));
    assert_ne!(keys(b"a", 1), keys(b"b", 1));
    let (outside, _) = written(folder, &container(512, 4096));
    let one = std::fs::read(&outside).unwrap();
    let (outside, _) = written(folder, &container(512, 4096));
    assert!(one == std::fs::read(outside).unwrap());
}

#[test]
fn an_empty_passphrase_is_refused() {
    assert!(Keys::derive(&container(512, 4096), b"", FEW).is_err());
}
