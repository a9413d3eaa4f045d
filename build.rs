//! Embeds kiln's own elements and its shell library (the installed program is one file) and a hash of the sources.

#![expect(clippy::disallowed_methods, reason = "a build script is told everything through the environment")]

use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

fn main() {
    let mut tables = String::new();
    embed("ELEMENTS", "elements", &mut tables);
    embed("SHELL", "stdlib/shell", &mut tables);
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it")).join("embedded.rs");
    fs::write(out, tables).expect("the build folder is writable");
    println!("cargo:rustc-env=KILN_SOURCES={:016x}", sources());
}

/// Writes a table of the files below `folder`: path, mode, content.
fn embed(table: &str, folder: &str, out: &mut String) {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join(folder);
    println!("cargo:rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    writeln!(out, "static {table}: &[(&str, u32, &[u8])] = &[").expect("a String takes everything");
    for file in &files {
        println!("cargo:rerun-if-changed={}", file.display());
        let name = file.strip_prefix(&root).expect("below the root").display();
        let mode = fs::metadata(file).expect("just listed").permissions().mode() & 0o111;
        let mode = if mode == 0 { 0o644 } else { 0o755 };
        writeln!(out, "    ({:?}, {mode}, include_bytes!({:?})),", name.to_string(), file.display().to_string())
            .expect("a String takes everything");
    }
    out.push_str("];\n");
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
        let name = entry.file_name();
        // Python leaves its byte code beside what a test imports.
        if name.as_encoded_bytes().starts_with(b".") || name == "__pycache__" {
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
