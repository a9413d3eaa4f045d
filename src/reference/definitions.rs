//! Definition files for editors: `.d.rhai`, as rhai's language server reads them.
//!
//! In: what is registered. Out: names of files and their texts: the verbs, the tests' verbs, one file for each of the library.

use crate::script::reference::{Function, Module, Origin, reference};

/// Name and text of each file.
pub fn files() -> Vec<(String, String)> {
    let reference = reference();
    let of = |origin: Origin| {
        let functions = reference.functions.iter().filter(|function| function.origin == origin);
        let texts: Vec<String> =
            functions.filter(|function| !function.documentation.is_empty()).map(function).collect();
        format!("module static;\n\n{}", texts.join("\n"))
    };
    let mut files =
        vec![("kiln.d.rhai".to_owned(), of(Origin::Verb)), ("tests.d.rhai".to_owned(), of(Origin::TestVerb))];
    files.extend(reference.modules().map(|module| (format!("std/{}.d.rhai", module.name), library(module))));
    files
}

fn function(function: &Function) -> String {
    let parameters: Vec<String> = function
        .parameters
        .iter()
        .enumerate()
        .map(|(index, (name, kind))| {
            let name = if name.is_empty() { format!("value{index}") } else { name.clone() };
            format!("{name}: {}", kind_of(kind))
        })
        .collect();
    let returns = if function.returns.is_empty() { "()" } else { kind_of(&function.returns) };
    format!("{}fn {}({}) -> {returns};\n", comments(&function.documentation), function.name, parameters.join(", "))
}

fn library(module: &Module) -> String {
    let functions = module.source.functions.iter().filter(|function| !function.comments.is_empty());
    let texts: Vec<String> = functions
        .map(|function| {
            let parameters: Vec<String> = function
                .parameters
                .iter()
                .map(|name| format!("{name}: {}", if name == "image" { "Image" } else { "?" }))
                .collect();
            let comments = comments(&function.comments.join("\n"));
            format!("{comments}fn {}({}) -> ?;\n", function.name, parameters.join(", "))
        })
        .collect();
    format!("module {};\n\n{}", module.name, texts.join("\n"))
}

/// A type as definition files spell it.
fn kind_of(kind: &str) -> &str {
    match kind {
        "string" => "String",
        "array" => "Array",
        "map" => "Map",
        "any" => "?",
        "function" => "Fn",
        "error" => "Error",
        other => other,
    }
}

fn comments(text: &str) -> String {
    text.lines().map(|line| format!("/// {line}").trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_have_their_types_and_words() {
        let files = files();
        let verbs = &files.iter().find(|(name, _)| name == "kiln.d.rhai").unwrap().1;
        assert!(verbs.starts_with("module static;\n"));
        assert!(verbs.contains("fn write_file(image: Image, path: String, text: String) -> ();\n"), "{verbs}");
        let services = &files.iter().find(|(name, _)| name == "std/services.d.rhai").unwrap().1;
        assert!(services.contains("\n/// Starts a service at boot.\n"), "{services}");
        assert!(services.contains("\n/// ```\nfn enable(image: Image, name: ?) -> ?;\n"), "{services}");
    }
}
