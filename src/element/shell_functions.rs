//! The bash functions that shell hooks on the host find in their environment.
//!
//! In: the elements with their folders, and the shell library's own text. Out: variables in the form in which bash hands
//! functions to its children. Pure. Not here: the list of elements as text, and starting hooks.

use super::expansion::{self, Entry};

/// Functions of the shell library that hooks find without sourcing a file: name and the text that defines it.
const LIBRARY: &[(&str, &str)] =
    &[("die", include_str!("../../stdlib/shell/die")), ("_ps4", include_str!("../../stdlib/shell/ps4"))];

/// Names and values of the environment variables that carry `die`, `_ps4` and `get_image_element_array`, which prints
/// `[NAME]=FOLDER ` for each of `elements`, to be read as `eval "declare -A folders=($(get_image_element_array))"`.
pub fn exported_functions(elements: &[Entry<'_>]) -> Vec<(String, String)> {
    let mut functions: Vec<_> = LIBRARY
        .iter()
        .filter_map(|(name, text)| Some((variable(name), format!("() {{\n{}}}", body(text, name)?))))
        .collect();
    functions.push((variable("get_image_element_array"), expansion::function(elements)));
    functions
}

/// The name under which bash exports the function `name`.
fn variable(name: &str) -> String {
    format!("BASH_FUNC_{name}%%")
}

/// The lines between the braces of the function `name` in `text`.
fn body<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("\n{name}() {{\n"))?;
    let (body, _) = rest.split_once("\n}\n")?;
    Some(&rest[..=body.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_of_the_library_is_found_in_its_file() {
        let functions = exported_functions(&[]);
        let names: Vec<_> = functions.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["BASH_FUNC_die%%", "BASH_FUNC__ps4%%", "BASH_FUNC_get_image_element_array%%"]);
        for (name, value) in &functions {
            assert!(value.starts_with("() {") && value.ends_with("\n}"), "{name}: {value}");
        }
    }
}
