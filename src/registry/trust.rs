//! Whom to believe that a registry is what it says (containers-certs.d(5)).
//!
//! In: folders with certificates. Out: the authorities of this machine and those of the folders. Not here: which folders; certificates of
//! the client's own.

use camino::{Utf8Path, Utf8PathBuf};
use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

use super::RegistryError;

/// Where distributions keep the machine's authorities; the first that is there counts.
const OF_THE_MACHINE: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// The authorities.
#[derive(Clone, Debug, Default)]
pub struct Trust(Vec<Certificate<'static>>);

impl Trust {
    /// Those of this machine and those in the files `*.crt` of `folders`. A folder that is not there has none.
    ///
    /// # Errors
    /// A file of a folder cannot be read, or holds no certificate.
    pub fn read(folders: &[Utf8PathBuf]) -> Result<Self, RegistryError> {
        let machine = OF_THE_MACHINE.iter().find_map(|path| std::fs::read(path).ok());
        // One that makes no sense is the machine's business.
        let mut all = machine.map(|bytes| certificates(&bytes)).unwrap_or_default();
        for folder in folders {
            let Ok(entries) = folder.read_dir_utf8() else { continue };
            let files = entries.flatten().map(|entry| entry.path().to_owned());
            for file in files.filter(|file| file.extension() == Some("crt")) {
                let wrong = |path: &Utf8Path, reason| RegistryError::Certificate { path: path.to_owned(), reason };
                let bytes = std::fs::read(&file).map_err(|error| wrong(&file, error.to_string()))?;
                let found = certificates(&bytes);
                if found.is_empty() {
                    return Err(wrong(&file, "there is none in it (PEM)".to_owned()));
                }
                all.extend(found);
            }
        }
        Ok(Self(all))
    }

    /// For the library; without any, those that the browsers trust.
    pub(super) fn roots(&self) -> RootCerts {
        if self.0.is_empty() { RootCerts::WebPki } else { RootCerts::new_with_certs(&self.0) }
    }
}

fn certificates(pem: &[u8]) -> Vec<Certificate<'static>> {
    let items = parse_pem(pem).filter_map(Result::ok);
    items
        .filter_map(|item| match item {
            PemItem::Certificate(certificate) => Some(certificate),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_named_and_other_files_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap();
        std::fs::write(path.join("client.key"), "secret").unwrap();
        Trust::read(&[path.to_owned(), path.join("none")]).unwrap();
        std::fs::write(path.join("ca.crt"), "secret").unwrap();
        let error = Trust::read(&[path.to_owned()]).unwrap_err().to_string();
        assert!(error.contains("ca.crt") && !error.contains("secret"), "{error}");
    }
}
