//! Variables and options of an image.
//!
//! In: a request and its elements. Out: the variables that elements may read, and a value for every option: the command
//! line's (`ELEMENT.NAME=VALUE`), else the first of its variables that is set, else its default. An option given on the
//! command line also sets its first variable, so that both ways of asking agree. Not here: who reads them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Element, ElementError, OptionSpec};
use crate::request::Request;
use crate::script::nearest;

/// Values that follow from a request and its elements.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Variables, after every element's `environment`.
    pub variables: BTreeMap<String, String>,
    /// For each element its options.
    pub options: BTreeMap<String, BTreeMap<String, Value>>,
    /// Variables that only conditions of package lists see: the caller's, and what `environment.d` of shell elements sets.
    pub seen_by_conditions: BTreeMap<String, String>,
}

/// Resolves variables and options of `elements`, which are in order.
///
/// # Errors
/// An option names no element or option of the image, or a value does not fit.
pub fn settings(request: &Request, elements: &[Element]) -> Result<Settings, ElementError> {
    let given = given(request, elements)?;
    let mut variables = request.variables.clone();
    for (key, text) in &given {
        if let Some(variable) = spec(elements, key).and_then(|option| option.variables.first()) {
            variables.insert(variable.clone(), (*text).to_string());
        }
    }
    for element in elements {
        for (name, value) in &element.environment {
            let variable = variables.entry(name.clone()).or_default();
            if variable.is_empty() {
                variable.clone_from(value);
            }
        }
    }
    let mut options = BTreeMap::new();
    for element in elements {
        let mut values = BTreeMap::new();
        for (name, option) in &element.options {
            let text = given.get(&(element.name.as_str(), name.as_str())).copied();
            values.insert(name.clone(), value(&element.name, name, option, text, &request.variables, &variables)?);
        }
        options.insert(element.name.clone(), values);
    }
    Ok(Settings { variables, options, seen_by_conditions: BTreeMap::new() })
}

type Given<'a> = BTreeMap<(&'a str, &'a str), &'a str>;

/// The options of the command line, each known to exist.
fn given<'a>(request: &'a Request, elements: &'a [Element]) -> Result<Given<'a>, ElementError> {
    let mut given = Given::new();
    for (key, text) in &request.options {
        let (element, option) = key.split_once('.').unwrap_or((key, ""));
        let Some(found) = elements.iter().find(|candidate| candidate.name == element) else {
            let nearest = nearest::close(element, elements.iter().map(|element| element.name.as_str()));
            return Err(ElementError::OptionOfUnknownElement {
                key: key.clone(),
                element: element.into(),
                nearest: nearest.into_iter().map(str::to_string).collect(),
            });
        };
        if !found.options.contains_key(option) {
            let nearest = nearest::close(option, found.options.keys().map(String::as_str));
            return Err(ElementError::UnknownOption {
                element: element.into(),
                option: option.into(),
                nearest: nearest.into_iter().map(str::to_string).collect(),
            });
        }
        given.insert((element, option), text);
    }
    Ok(given)
}

fn spec<'a>(elements: &'a [Element], key: &(&str, &str)) -> Option<&'a OptionSpec> {
    elements.iter().find(|element| element.name == key.0).and_then(|element| element.options.get(key.1))
}

fn value(
    element: &str,
    name: &str,
    option: &OptionSpec,
    given: Option<&str>,
    asked: &BTreeMap<String, String>,
    variables: &BTreeMap<String, String>,
) -> Result<Value, ElementError> {
    let wrong = |origin: String, text: &str, expected: String| ElementError::OptionValue {
        origin,
        value: text.into(),
        expected,
    };
    if let Some(text) = given {
        return option.parse(text).map_err(|expected| wrong(format!("{element}.{name}"), text, expected));
    }
    // what the user set comes before what an element set
    for set in [asked, variables] {
        for variable in &option.variables {
            if let Some(text) = set.get(variable).filter(|text| option.keep_empty || !text.is_empty()) {
                return option.parse(text).map_err(|expected| wrong(variable.clone(), text, expected));
            }
        }
    }
    Ok(option.default_value.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::element::OptionKind;

    fn option(kind: OptionKind, default_value: Value, variables: &[&str]) -> OptionSpec {
        OptionSpec {
            kind,
            default_value,
            help: String::new(),
            variables: variables.iter().map(|name| (*name).to_string()).collect(),
            choices: Vec::new(),
            keep_empty: false,
        }
    }

    fn elements() -> Vec<Element> {
        vec![
            Element {
                name: "os".into(),
                environment: vec![("DISTRO_NAME".into(), "debian".into()), ("FIRST".into(), "1".into())],
                options: [
                    ("release".to_string(), option(OptionKind::String, json!("stable"), &["DIB_RELEASE"])),
                    ("mirror".to_string(), option(OptionKind::String, json!(""), &["OWN_MIRROR", "MIRROR"])),
                    ("count".to_string(), option(OptionKind::Int, json!(5), &["COUNT"])),
                ]
                .into(),
                ..Element::default()
            },
            Element { name: "other".into(), environment: vec![("FIRST".into(), "2".into())], ..Element::default() },
        ]
    }

    fn request(variables: &[(&str, &str)], options: &[(&str, &str)]) -> Request {
        let map = |list: &[(&str, &str)]| list.iter().map(|(k, v)| ((*k).to_string(), (*v).to_string())).collect();
        Request { variables: map(variables), options: map(options), ..Request::default() }
    }

    #[test]
    fn the_first_element_that_sets_a_variable_wins_and_the_user_before_all() {
        let found = settings(&request(&[("DISTRO_NAME", "mine")], &[]), &elements()).unwrap();
        assert_eq!(found.variables["DISTRO_NAME"], "mine");
        assert_eq!(found.variables["FIRST"], "1");
    }

    #[test]
    fn an_option_comes_from_the_command_line_then_a_variable_then_its_default() {
        let value = |variables: &[(&str, &str)], options: &[(&str, &str)], name: &str| {
            settings(&request(variables, options), &elements()).unwrap().options["os"][name].clone()
        };
        assert_eq!(value(&[], &[], "release"), "stable");
        assert_eq!(value(&[("DIB_RELEASE", "")], &[], "release"), "stable");
        assert_eq!(value(&[("DIB_RELEASE", "sid")], &[], "release"), "sid");
        assert_eq!(value(&[("DIB_RELEASE", "sid")], &[("os.release", "trixie")], "release"), "trixie");
        assert_eq!(value(&[("MIRROR", "m")], &[], "mirror"), "m");
        assert_eq!(value(&[("MIRROR", "m"), ("OWN_MIRROR", "o")], &[], "mirror"), "o");
        assert_eq!(value(&[("COUNT", "7")], &[], "count"), 7);
    }

    #[test]
    fn an_option_on_the_command_line_sets_its_variable() {
        let found = settings(&request(&[("DIB_RELEASE", "sid")], &[("os.release", "trixie")]), &elements()).unwrap();
        assert_eq!(found.variables["DIB_RELEASE"], "trixie");
    }

    #[test]
    fn mistakes_are_explained() {
        let failed = |variables: &[(&str, &str)], options: &[(&str, &str)]| {
            settings(&request(variables, options), &elements()).unwrap_err().to_string()
        };
        assert_eq!(failed(&[], &[("os.relase", "x")]), "element 'os' has no option 'relase'; did you mean `release`?");
        assert_eq!(
            failed(&[], &[("oss.release", "x")]),
            "option oss.release: the image has no element 'oss'; did you mean `os`?"
        );
        assert_eq!(failed(&[("COUNT", "many")], &[]), "COUNT: 'many' is not a whole number");
        assert_eq!(failed(&[], &[("os.count", "many")]), "os.count: 'many' is not a whole number");
    }
}
