//! Digests of finished files.
//!
//! In: a file and the digests asked for. Out: lower-case hex, and the files that `md5sum -c` and `sha256sum -c` read.
//! Not here: giving those files their place.

use std::fs::File;
use std::io::Read;
use std::thread;

use camino::{Utf8Path, Utf8PathBuf};
use md5::Md5;
use sha2::{Digest, Sha256};

use super::FormatError;
use crate::event::Artifact;

/// A digest that kiln computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// MD5, for tools that still ask for it.
    Md5,
    /// SHA-256.
    Sha256,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 2] = [Self::Md5, Self::Sha256];

    /// Its name, which is also the suffix of its file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha256 => "sha256",
        }
    }
}

/// The algorithms of these names, each once.
pub fn parse(names: &[String]) -> Result<Vec<Algorithm>, FormatError> {
    let mut algorithms = Vec::new();
    for name in names {
        let algorithm = Algorithm::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
            .ok_or_else(|| FormatError::UnknownChecksum { name: name.clone() })?;
        if !algorithms.contains(&algorithm) {
            algorithms.push(algorithm);
        }
    }
    Ok(algorithms)
}

/// The size of the file at `path` in bytes, and its digests as (name, lower-case hex), each computed on a thread of its own.
pub fn of_file(path: &Utf8Path, algorithms: &[Algorithm]) -> Result<(u64, Vec<(String, String)>), FormatError> {
    let size = std::fs::metadata(path).map_err(FormatError::io("read", path))?.len();
    let digests: Result<Vec<_>, std::io::Error> = thread::scope(|scope| {
        let running: Vec<_> = algorithms
            .iter()
            .map(|algorithm| {
                scope.spawn(move || {
                    let hex = match algorithm {
                        Algorithm::Md5 => digest::<Md5>(path),
                        Algorithm::Sha256 => digest::<Sha256>(path),
                    }?;
                    Ok((algorithm.as_str().to_owned(), hex))
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    Ok((size, digests.map_err(FormatError::io("read", path))?))
}

/// The digest files of an artifact: path (`NAME.qcow2.md5`) and content, one `<hex>  <path>` line as DIB's `md5sum` writes it,
/// with the path as the user gave it.
pub fn checksum_files(artifact: &Artifact) -> Vec<(Utf8PathBuf, String)> {
    artifact
        .digests
        .iter()
        .map(|(name, hex)| {
            (Utf8PathBuf::from(format!("{}.{name}", artifact.path)), format!("{hex}  {}\n", artifact.path))
        })
        .collect()
}

fn digest<D: Digest>(path: &Utf8Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut state = D::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        state.update(&buffer[..length]);
    }
    Ok(hex(&state.finalize()))
}

/// Bytes in lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standard_vectors() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(directory.path()).unwrap().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let (size, digests) = of_file(&path, &Algorithm::ALL).unwrap();
        assert_eq!(size, 3);
        assert_eq!(digests[0], ("md5".into(), "900150983cd24fb0d6963f7d28e17f72".into()));
        assert_eq!(digests[1].1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn a_digest_file_names_the_output_as_the_user_did() {
        let artifact = Artifact {
            format: "qcow2".into(),
            temporary: "out/.i.qcow2.kiln-partial".into(),
            path: "out/i.qcow2".into(),
            size: 1,
            digests: vec![("md5".into(), "00ff".into())],
        };
        assert_eq!(checksum_files(&artifact), [("out/i.qcow2.md5".into(), "00ff  out/i.qcow2\n".to_owned())]);
    }

    #[test]
    fn an_unknown_digest_is_refused_and_a_repeated_one_counts_once() {
        assert!(matches!(parse(&["sha1".into()]), Err(FormatError::UnknownChecksum { .. })));
        assert_eq!(parse(&["md5".into(), "md5".into()]).unwrap(), [Algorithm::Md5]);
    }
}
