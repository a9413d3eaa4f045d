//! `element-manifest`: the names of the image's elements, a line each.
//!
//! In: the elements. Out: `DIB_ELEMENT_MANIFEST_PATH` in the image, else `dib-element-manifest` among the manifests.

use super::{PlumbingError, Site, inside};
use crate::target::{Attributes, Target};

pub fn run(site: &Site<'_>) -> Result<(), PlumbingError> {
    let path = match site.variable("DIB_ELEMENT_MANIFEST_PATH") {
        Some(path) => inside(path),
        None => site.manifest_folder().join("dib-element-manifest"),
    };
    let text: String = site.elements.iter().map(|(name, _)| format!("{name}\n")).collect();
    Ok(site.tree()?.write(&path, text.as_bytes(), Attributes::default())?)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;

    #[test]
    fn every_element_has_a_line() {
        let bench = Bench::new().element("a", &[]).element("b", &[]);
        bench.run("element-manifest").unwrap();
        assert_eq!(bench.image("etc/dib-manifests/dib-element-manifest"), "a\nb\n");
        let bench = bench.set("DIB_ELEMENT_MANIFEST_PATH", "/opt/list");
        bench.run("element-manifest").unwrap();
        assert_eq!(bench.image("opt/list"), "a\nb\n");
    }
}
