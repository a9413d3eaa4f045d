//! diskimage-builder itself, and kiln in its place, on the same request with the same unmodified elements: what comes out is
//! compared path by path.

mod dib;
mod differences;
mod initramfs;
mod large;
mod tree;

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::images::boot;
use crate::support::{Sandbox, ending, one_build, shared_store, stdout, upstream_elements};
use dib::{mirrors, variables};
use differences::{Verdict, judge};

/// kiln's `disk-image-create` with upstream's elements and `words`, in `folder`.
fn create(folder: &Path, words: &[&str], elements_path: &str, more: &[(&str, &str)]) {
    let _turn = one_build();
    let mut command = Command::new(env!("CARGO_BIN_EXE_disk-image-create"));
    command.args(words).env_clear().envs(variables()).envs(mirrors());
    command.env("ELEMENTS_PATH", elements_path).env("KILN_STORE", shared_store()).envs(more.iter().copied());
    let output = command.current_dir(folder).output().unwrap();
    assert!(output.status.success(), "disk-image-create {words:?}: {}", ending(&output));
    assert!(stdout(&output).contains("Build completed successfully"), "{}", ending(&output));
}

#[test]
fn the_tree_is_that_of_diskimage_builder_and_boots() {
    let sandbox = Sandbox::new();
    // The image's name is part of the image.
    let folders = ["dib", "kiln"].map(|name| sandbox.path().join(name));
    folders.iter().for_each(|folder| fs::create_dir(folder).unwrap());
    let elements = upstream_elements();
    dib::create(&folders[0], &["-o", "image", "-t", "tar", "debian-minimal", "vm"]);
    let words = ["-o", "image", "-t", "tar,qcow2", "debian-minimal", "vm"];
    create(&folders[1], &words, elements.to_str().unwrap(), &[]);
    let [dib, kiln] = folders.each_ref().map(|folder| tree::read(&folder.join("image.tar")));
    assert!(dib.len() > 10_000, "{}", dib.len());
    let Verdict { unexplained, unused } = judge(&dib, &kiln);
    assert!(unexplained.is_empty(), "differences that are not in the list:\n{}", unexplained.join("\n"));
    assert!(unused.is_empty(), "differences of the list that are not there: {unused:?}");
    boot(&folders[1].join("image.qcow2"), &[]);
}

#[test]
fn a_gpt_image_of_upstreams_elements_boots() {
    let sandbox = Sandbox::new();
    let elements = upstream_elements();
    let words = ["-o", "gpt", "debian-minimal", "vm", "block-device-gpt"];
    create(sandbox.path(), &words, elements.to_str().unwrap(), &[]);
    boot(&sandbox.path().join("gpt.qcow2"), &[]);
}
