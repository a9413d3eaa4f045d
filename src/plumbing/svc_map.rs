//! `svc-map`: what a service is called, for the tool `svc-map` that hooks call in the image.
//!
//! In: the elements' `svc-map` files: YAML, for each service a map from a distribution, a family or `default` to a name or a list
//! of names. Out: `/usr/share/svc-map/services`: the names for this image, a line `SERVICE: NAMES` each. That is YAML, as DIB's
//! file is, and a shell can read it.

use std::collections::BTreeMap;
use std::fs;

use camino::Utf8Path;
use serde_json::Value;

use super::{PlumbingError, Site};
use crate::element::pkg_map::family_of;
use crate::target::{Attributes, Target};

const FILE: &str = "/usr/share/svc-map/services";

pub fn run(site: &Site<'_>) -> Result<(), PlumbingError> {
    let mut services: BTreeMap<String, String> = BTreeMap::new();
    for (element, folder) in site.elements {
        let path = folder.join("svc-map");
        if !path.is_file() {
            continue;
        }
        let text = fs::read_to_string(&path).map_err(PlumbingError::host("read", &*path))?;
        let wrong = |message: &str| PlumbingError::wrong(format!("{path}: {message}"));
        let read: Option<BTreeMap<String, BTreeMap<String, Value>>> = serde_saphyr::from_str(&text)
            .map_err(|error| wrong(&format!("not a map of services, each with a map of names: {error}")))?;
        for (service, names) in read.unwrap_or_default() {
            if services.contains_key(&service) {
                return Err(PlumbingError::wrong(format!(
                    "{service} already found in services list.  Check {element} for duplicate service name."
                )));
            }
            let name = chosen(&names, site).map_or_else(|| Some(service.clone()), names_of);
            let name = name.ok_or_else(|| wrong(&format!("{service}: a name or a list of names was expected")))?;
            services.insert(service, name);
        }
    }
    let lines: String = services.iter().map(|(service, name)| format!("{service}: {name}\n")).collect();
    Ok(site.tree()?.write(Utf8Path::new(FILE), lines.as_bytes(), Attributes::default())?)
}

/// The entry for the distribution, else for its family, else the default.
fn chosen<'a>(names: &'a BTreeMap<String, Value>, site: &Site<'_>) -> Option<&'a Value> {
    let family = family_of(site.distribution).unwrap_or(site.family);
    [site.distribution, family, "default"].into_iter().find_map(|key| names.get(key))
}

/// A name, or the names of a list with blanks between them, on one line.
fn names_of(value: &Value) -> Option<String> {
    match value {
        Value::String(name) if !name.contains('\n') => Some(name.clone()),
        Value::Array(items) => items.iter().map(names_of).collect::<Option<Vec<_>>>().map(|names| names.join(" ")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;

    #[test]
    fn the_most_special_name_is_taken_and_nothing_found_is_the_name_itself() {
        let a = "ssh: {debian: ssh, default: sshd}\nweb: {suse: x, default: httpd}\nplain: {redhat: y}\n";
        let b = "ntp: {default: [ntpd, ntp-wait]}\nempty:\n  debian: ''\n";
        let bench = Bench::new().element("a", &[("svc-map", a)]).element("b", &[("svc-map", b)]);
        bench.run("svc-map").unwrap();
        let expected = "empty: \nntp: ntpd ntp-wait\nplain: plain\nssh: ssh\nweb: httpd\n";
        assert_eq!(bench.image("usr/share/svc-map/services"), expected);
    }

    #[test]
    fn a_service_of_two_elements_is_refused_in_dibs_words() {
        let file = [("svc-map", "ssh: {default: a}")];
        let error = Bench::new().element("a", &file).element("b", &file).run("svc-map").unwrap_err();
        let expected = "ssh already found in services list.  Check b for duplicate service name.";
        assert_eq!(error.to_string(), expected);
        let error = Bench::new().element("a", &[("svc-map", "ssh: 1")]).run("svc-map").unwrap_err().to_string();
        assert!(error.contains("a/svc-map: not a map of services"), "{error}");
    }
}
