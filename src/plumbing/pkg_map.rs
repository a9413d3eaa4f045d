//! `pkg-map`: package names of elements in the image, for the tool `pkg-map` that hooks call there.
//!
//! In: the elements' `pkg-map` files. Out: each as it is in `/usr/share/pkg-map/ELEMENT`, where DIB has it, and as a table in
//! `/usr/share/pkg-map/.table/ELEMENT`, which needs no JSON parser: lines of scope, distribution or family, release, name and
//! real names between tabs, `-` for what does not apply.

use std::fs;

use camino::Utf8Path;

use super::{PlumbingError, Site};
use crate::element::pkg_map::PackageMap;
use crate::target::{Attributes, Target};

const FOLDER: &str = "/usr/share/pkg-map";

pub fn run(site: &Site<'_>) -> Result<(), PlumbingError> {
    let (tree, to) = (site.tree()?, Utf8Path::new(FOLDER));
    tree.make_dir(to, Attributes::default())?;
    for (element, folder) in site.elements {
        let read = PackageMap::read(folder).map_err(|error| PlumbingError::wrong(error.to_string()))?;
        let Some(map) = read else { continue };
        let path = folder.join("pkg-map");
        let text = fs::read(&path).map_err(PlumbingError::host("read", &*path))?;
        tree.write(&to.join(element), &text, Attributes::default())?;
        tree.write(&to.join(".table").join(element), table(&map).as_bytes(), Attributes::default())?;
    }
    Ok(())
}

fn table(map: &PackageMap) -> String {
    let mut text = String::new();
    for entry in map.entries() {
        // What holds a tab or a line's end is no package's name; it would only shift the table.
        let fields = entry.map(|field| field.replace(['\t', '\n'], " "));
        let fields = fields.map(|field| if field.trim().is_empty() { "-".to_owned() } else { field });
        text.push_str(&fields.join("\t"));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;

    #[test]
    fn the_map_is_there_as_json_and_as_a_table() {
        let json = r#"{"release": {"debian": {"bookworm": {"a": "a1 a2"}}}, "family": {"redhat": {"b": ""}}, "default": {"b": "bb"}}"#;
        let bench = Bench::new().element("e", &[("pkg-map", json)]).element("none", &[]);
        bench.run("pkg-map").unwrap();
        assert_eq!(bench.image("usr/share/pkg-map/e"), json);
        let table = "release\tdebian\tbookworm\ta\ta1 a2\nfamily\tredhat\t-\tb\t-\ndefault\t-\t-\tb\tbb\n";
        assert_eq!(bench.image("usr/share/pkg-map/.table/e"), table);
        assert!(!bench.exists("usr/share/pkg-map/none"));
    }

    #[test]
    fn a_map_that_is_none_names_its_file() {
        let bench = Bench::new().element("e", &[("pkg-map", "{")]);
        assert!(bench.run("pkg-map").unwrap_err().to_string().contains("e/pkg-map: not a package map"));
    }
}
