//! An archive that cannot be trusted stops the build with the file's name, and leaves the store clean.

use std::fs;
use std::path::Path;

use crate::support::{Sandbox, stderr};

/// Files below `folder`, without locks.
fn stored(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(stored(&path));
        } else if fs::metadata(&path).unwrap().len() > 0 {
            found.push(path.display().to_string());
        }
    }
    found
}

fn failed(sandbox: &Sandbox, mirror: &Path) -> String {
    let url = format!("file://{}", mirror.display());
    let output = sandbox
        .kiln(&["build", "-t", "tar", "debian-minimal"])
        .env("DIB_RELEASE", "bookworm")
        .env("DIB_DISTRIBUTION_MIRROR", &url)
        .env("DIB_DEBIAN_SECURITY_MIRROR", &url)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(stored(&sandbox.path().join("store/packages")), Vec::<String>::new());
    assert!(!sandbox.path().join("image.tar").exists());
    assert_eq!(fs::read_dir(sandbox.path().join("store/work")).unwrap().count(), 0);
    stderr(&output)
}

#[test]
fn an_unsigned_archive_is_refused_with_the_files_name() {
    let sandbox = Sandbox::new();
    let mirror = sandbox.path().join("mirror");
    fs::create_dir_all(mirror.join("dists/bookworm")).unwrap();
    fs::write(mirror.join("dists/bookworm/InRelease"), "Origin: Debian\nSuite: bookworm\n").unwrap();
    let said = failed(&sandbox, &mirror);
    assert!(said.contains("dists/bookworm/InRelease") && said.contains("sign"), "{said}");
}

#[test]
fn a_signature_that_does_not_fit_is_refused_with_the_files_name() {
    let sandbox = Sandbox::new();
    let mirror = sandbox.path().join("mirror");
    fs::create_dir_all(mirror.join("dists/bookworm")).unwrap();
    let signed = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: Debian\nSuite: bookworm\n-----BEGIN PGP SIGNATURE-----\n\niHUEABYKAB0WIQQAAAAAAAAAAAAAAAAAAAAAAAAAAAUCAAAAAAAKCRAAAAAAAAAA\n=AAAA\n-----END PGP SIGNATURE-----\n";
    fs::write(mirror.join("dists/bookworm/InRelease"), signed).unwrap();
    let said = failed(&sandbox, &mirror);
    assert!(said.contains("dists/bookworm/InRelease"), "{said}");
}

#[test]
fn a_suite_that_is_not_there_is_refused_with_its_address() {
    let sandbox = Sandbox::new();
    let mirror = sandbox.path().join("mirror");
    fs::create_dir_all(&mirror).unwrap();
    let said = failed(&sandbox, &mirror);
    assert!(said.contains("dists/bookworm/InRelease"), "{said}");
}
