//! The reference as blocks of text, before it is Markdown or HTML.

use std::collections::BTreeMap;

use crate::lint::rules;
use crate::script::needs;
use crate::script::reference::{Function, Module, Origin, Reference, reference};

/// A piece of the page. Texts may hold words between backticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A heading of a level from 1.
    Heading(usize, String),
    /// A paragraph.
    Text(String),
    /// Lines of code.
    Code(Vec<String>),
}

/// The whole reference.
pub fn page() -> Vec<Block> {
    let reference = reference();
    let mut page = vec![
        Block::Heading(1, "Reference".into()),
        Block::Text("What elements can call, and what `kiln lint` looks for. Made by `kiln docs`; docs/elements.md is the guide.".into()),
        Block::Heading(2, "Verbs".into()),
        Block::Text("`image.name(…)` and `name(image, …)` are the same call.".into()),
    ];
    for (permission, functions) in by_permission(reference) {
        let heading = match permission {
            "" => "Without a permission".to_owned(),
            permission => format!("With `{permission}`"),
        };
        page.push(Block::Heading(3, heading));
        page.extend(functions.into_iter().flat_map(|functions| named(4, &functions)));
    }
    page.push(Block::Heading(2, "Verbs of tests".into()));
    page.push(Block::Text("Only files in `tests/` have them.".into()));
    page.extend(groups(reference, Origin::TestVerb).into_iter().flat_map(|functions| named(3, &functions)));
    page.push(Block::Heading(2, "The library".into()));
    page.push(Block::Text("`import \"std/NAME\" as NAME;` brings a file, `NAME::function(image, …)` calls it.".into()));
    page.extend(reference.modules().flat_map(module));
    page.push(Block::Heading(2, "Functions of the language".into()));
    let names: std::collections::BTreeSet<&str> = reference
        .functions
        .iter()
        .filter(|function| function.origin == Origin::Language)
        .map(|function| function.name.as_str())
        .collect();
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    page.push(Block::Text(format!("The Rhai book describes them: {}.", names.join(", "))));
    page.push(Block::Heading(2, "Lint rules".into()));
    for rule in rules::ALL {
        page.push(Block::Heading(3, format!("`{}` ({})", rule.name, rule.severity)));
        page.extend(paragraphs(rule.docs));
    }
    page
}

/// Verbs by the permission that they need, each group of one name together; those without a permission first.
fn by_permission(reference: &Reference) -> Vec<(&'static str, Vec<Vec<&Function>>)> {
    let mut sections: BTreeMap<(usize, &'static str), Vec<Vec<&Function>>> = BTreeMap::new();
    for functions in groups(reference, Origin::Verb) {
        let needs = functions.first().map_or(&[][..], |function| needs::of(&function.name));
        let name = needs.first().map_or("", |need| need.describe());
        let place =
            needs::TABLE.iter().position(|(_, needs)| needs.first().is_some_and(|need| need.describe() == name));
        sections.entry((place.map_or(0, |place| place + 1), name)).or_default().push(functions);
    }
    sections.into_iter().map(|((_, name), functions)| (name, functions)).collect()
}

/// Functions that take the image or need no receiver, by name.
fn groups(reference: &Reference, origin: Origin) -> Vec<Vec<&Function>> {
    let mut groups: Vec<Vec<&Function>> = Vec::new();
    // What takes another receiver looks at an error, and `sleep` and `exit` only say that they are not there.
    let shown = |function: &&Function| {
        function.origin == origin
            && (origin == Origin::TestVerb || function.is_verb())
            && !function.documentation.is_empty()
    };
    for function in reference.functions.iter().filter(shown) {
        match groups.last_mut() {
            Some(group) if group.first().is_some_and(|first| first.name == function.name) => group.push(function),
            _ => groups.push(vec![function]),
        }
    }
    groups
}

fn named(level: usize, functions: &[&Function]) -> Vec<Block> {
    let Some(first) = functions.first() else { return Vec::new() };
    let mut blocks = vec![
        Block::Heading(level, format!("`{}`", first.name)),
        Block::Code(functions.iter().map(|function| function.signature()).collect()),
    ];
    let also: Vec<String> =
        needs::of(&first.name).iter().skip(1).map(|need| format!("`{}`", need.describe())).collect();
    if !also.is_empty() {
        blocks.push(Block::Text(format!("Needs {}, too.", also.join(" and "))));
    }
    blocks.extend(functions.iter().flat_map(|function| paragraphs(&function.documentation)));
    blocks
}

fn module(module: &Module) -> Vec<Block> {
    let mut blocks = vec![Block::Heading(3, format!("`std/{}`", module.name))];
    blocks.extend(paragraphs(&module.documentation));
    for function in &module.source.functions {
        // A function without a word is the file's own.
        if function.comments.is_empty() {
            continue;
        }
        blocks.push(Block::Heading(4, format!("`{}::{}`", module.name, function.name)));
        blocks.push(Block::Code(vec![format!(
            "{}::{}({})",
            module.name,
            function.name,
            function.parameters.join(", ")
        )]));
        blocks.extend(paragraphs(&function.comments.join("\n")));
    }
    blocks
}

/// Paragraphs and fenced code of a documentation.
fn paragraphs(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut words: Vec<&str> = Vec::new();
    let mut code: Option<Vec<String>> = None;
    let flush = |words: &mut Vec<&str>, blocks: &mut Vec<Block>| {
        if !words.is_empty() {
            blocks.push(Block::Text(words.join(" ")));
            words.clear();
        }
    };
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            match code.take() {
                Some(lines) => blocks.push(Block::Code(lines)),
                None => {
                    flush(&mut words, &mut blocks);
                    code = Some(Vec::new());
                }
            }
        } else if let Some(lines) = &mut code {
            lines.push(line.to_owned());
        } else if line.trim().is_empty() {
            flush(&mut words, &mut blocks);
        } else {
            words.push(line.trim());
        }
    }
    flush(&mut words, &mut blocks);
    blocks.extend(code.map(Block::Code));
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documentation_becomes_paragraphs_and_code() {
        let blocks = paragraphs("One\ntwo.\n\nThree:\n```rhai\na();\n```\n");
        let text = |text: &str| Block::Text(text.into());
        assert_eq!(blocks, [text("One two."), text("Three:"), Block::Code(vec!["a();".into()])]);
    }

    #[test]
    fn every_verb_and_every_function_of_the_library_is_on_the_page() {
        let page = page();
        let has = |heading: &str| page.iter().any(|block| matches!(block, Block::Heading(_, text) if text == heading));
        for (name, _) in needs::TABLE {
            let verbs = || reference().functions.iter().filter(|function| function.origin == Origin::Verb);
            let registered = verbs().any(|function| function.name == *name);
            assert_eq!(has(&format!("`{name}`")), registered, "{name}");
        }
        for heading in ["`services::enable`", "`assert_eq`", "`distro`", "With `write:PATH`", "`set-e` (warning)"] {
            assert!(has(heading), "{heading}");
        }
    }
}
