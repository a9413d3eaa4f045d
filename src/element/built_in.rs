//! The stages whose work the program itself does, and which an element asks for with `built_in` in its manifest.
//!
//! In: nothing. Out: their names, so that a misspelt one is found when the manifest is read. Not here: what they do (`plumbing/`).

/// Name of each stage, and what it does.
pub const STAGES: [(&str, &str); 10] = [
    ("element-manifest", "lists the image's elements in the image"),
    ("init-scripts", "copies the init scripts of elements to where the image's init system looks for them"),
    ("install-bin", "copies the programs of elements to /usr/local/bin"),
    ("install-static", "copies the static files of elements over the image"),
    ("install-types", "links the hooks of the install types that were chosen"),
    ("manifests", "writes down the build's variables and arguments, and copies the manifests beside the image"),
    ("modprobe", "copies the module settings of elements"),
    ("pkg-map", "brings the package names of elements into the image, for `pkg-map`"),
    ("svc-map", "brings the service names of elements into the image, for `svc-map`"),
    ("source-repositories", "fetches the sources that elements name into the image"),
];
