//! The elements of an image as DIB tells them to shells.
//!
//! In: names and folders, in order. Out: the values of `IMAGE_ELEMENT` and `IMAGE_ELEMENT_YAML`, and the function
//! `get_image_element_array`, which stands for an array because a shell cannot export one. Pure. Not here: which elements.

use std::collections::BTreeMap;

use camino::Utf8Path;

use super::Element;

/// An element's name and folder.
pub type Entry<'a> = (&'a str, &'a Utf8Path);

/// The entries of `elements`.
pub fn entries(elements: &[Element]) -> Vec<Entry<'_>> {
    elements.iter().map(|element| (element.name.as_str(), element.directory.as_path())).collect()
}

/// The value of `IMAGE_ELEMENT`: the names, separated by blanks.
pub fn names(entries: &[Entry<'_>]) -> String {
    entries.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
}

/// The value of `IMAGE_ELEMENT_YAML`: a YAML map from names to folders, sorted, one a line.
pub fn yaml(entries: &[Entry<'_>]) -> String {
    let sorted: BTreeMap<&str, &Utf8Path> = entries.iter().copied().collect();
    sorted.iter().map(|(name, folder)| format!("{}: {}\n", scalar(name), scalar(folder.as_str()))).collect()
}

/// What `get_image_element_array` prints: `[name]=folder` for each, to be evaluated as the content of an associative array.
pub fn array(entries: &[Entry<'_>]) -> String {
    entries.iter().map(|(name, folder)| format!("[{}]={} ", word(name), word(folder.as_str()))).collect()
}

/// The value of the variable `BASH_FUNC_get_image_element_array%%`, by which bash hands an exported function on.
pub fn function(entries: &[Entry<'_>]) -> String {
    format!("() {{  printf '%s\\n' {}\n}}", quoted(&array(entries)))
}

/// Statements that give a shell all three.
pub fn statements(entries: &[Entry<'_>]) -> String {
    format!(
        "export IMAGE_ELEMENT={}\nexport IMAGE_ELEMENT_YAML={}\nfunction get_image_element_array {{\n  printf '%s\\n' {}\n}};\n\
         export -f get_image_element_array;\n",
        quoted(&names(entries)),
        quoted(&yaml(entries)),
        quoted(&array(entries)),
    )
}

/// `text` in single quotes: a shell gives it back whatever it holds.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// `text` as one word of a shell, quoted only where it must be.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_=+./:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { quoted(text) }
}

/// `text` as a YAML scalar that every reader takes for a string.
fn scalar(text: &str) -> String {
    let first = text.chars().next();
    let plain = first.is_some_and(|c| c.is_ascii_alphabetic() || c == '/' || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./+@".contains(c));
    // What YAML 1.1 reads as something else, in any case of letters.
    let reserved = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    if plain && !reserved.contains(&text.to_ascii_lowercase().as_str()) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> [Entry<'static>; 2] {
        [("vm", Utf8Path::new("/e/vm")), ("base", Utf8Path::new("/e/base"))]
    }

    #[test]
    fn names_keep_their_order_and_the_map_is_sorted() {
        assert_eq!(names(&two()), "vm base");
        assert_eq!(yaml(&two()), "base: /e/base\nvm: /e/vm\n");
        assert_eq!(array(&two()), "[vm]=/e/vm [base]=/e/base ");
    }

    #[test]
    fn names_that_yaml_would_take_for_something_else_are_quoted() {
        let folder = Utf8Path::new("/it's/a: b");
        assert_eq!(yaml(&[("on", folder), ("10", folder)]), "'10': '/it''s/a: b'\n'on': '/it''s/a: b'\n");
    }

    #[test]
    fn statements_are_those_a_shell_understands() {
        assert_eq!(
            statements(&two()),
            "export IMAGE_ELEMENT='vm base'\nexport IMAGE_ELEMENT_YAML='base: /e/base\nvm: /e/vm\n'\n\
             function get_image_element_array {\n  printf '%s\\n' '[vm]=/e/vm [base]=/e/base '\n};\n\
             export -f get_image_element_array;\n"
        );
    }

    #[test]
    fn a_folder_with_blanks_stays_one_value() {
        assert_eq!(array(&[("a", Utf8Path::new("/my elements/a"))]), "[a]='/my elements/a' ");
    }
}
