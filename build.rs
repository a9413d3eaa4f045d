//! Embeds kiln's own elements (the installed program is one file) and a hash of the sources.

#![expect(clippy::disallowed_methods, reason = "a build script is told everything through the environment")]

use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

fn main() {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("elements");
    println!("cargo:rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let mut table = String::from("pub(super) static FILES: &[(&str, u32, &[u8])] = &[\n");
    for file in &files {
        println!("cargo:rerun-if-changed={}", file.display());
        let name = file.strip_prefix(&root).expect("below the root").display();
        let mode = fs::metadata(file).expect("just listed").permissions().mode() & 0o111;
        let mode = if mode == 0 { 0o644 } else { 0o755 };
        writeln!(table, "    ({:?}, {mode}, include_bytes!({:?})),", name.to_string(), file.display().to_string())
            .expect("a String takes everything");
    }
    table.push_str("];\n");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it")).join("elements.rs");
    fs::write(out, table).expect("the build folder is writable");
    println!("cargo:rustc-env=KILN_SOURCES={:016x}", sources());
}

/// A hash of everything that this program is made from. It is part of every layer's key: a layer that another kiln made is
/// not reused, since its stages may have done something else.
fn sources() -> u64 {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let mut files = vec![root.join("Cargo.lock"), root.join("Cargo.toml")];
    for file in &files {
        println!("cargo:rerun-if-changed={}", file.display());
    }
    for folder in ["src", "stdlib"] {
        println!("cargo:rerun-if-changed={}", root.join(folder).display());
        collect(&root.join(folder), &mut files);
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        file.strip_prefix(&root).expect("below the root").hash(&mut hasher);
        fs::read(&file).unwrap_or_default().hash(&mut hasher);
    }
    hasher.finish()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if path.is_dir() {
            println!("cargo:rerun-if-changed={}", path.display());
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
