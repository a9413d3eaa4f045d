//! `environment.d` of an element.
//!
//! In: a file. Out: the variables that it sets unless they are set, when that is all it does. The manifest's `environment` says
//! the same; anything else stays a file, which only a shell can read.

use super::shell::{Form, Node, Piece, reader};

/// Names and values of a file that only has lines like `export NAME=${NAME:-value}`.
pub fn defaults(text: &str) -> Option<Vec<(String, String)>> {
    let script = reader::read(text).ok()?;
    let mut found: Vec<(String, String)> = Vec::new();
    for statement in &script.statements {
        let Node::Command(command) = &statement.node else { return None };
        if !command.redirects.is_empty() || command.literal(0).as_deref() != Some("export") || command.words.len() != 1
        {
            return None;
        }
        for assignment in &command.assignments {
            let [Piece::Variable { name, form: Form::Default(default), .. }] = assignment.value.pieces.as_slice()
            else {
                return None;
            };
            if *name != assignment.name || assignment.append || found.iter().any(|(known, _)| known == name) {
                return None;
            }
            found.push((name.clone(), default.literal()?));
        }
    }
    (!found.is_empty()).then_some(found)
}

/// Names that a file exports by name.
pub fn exported(text: &str) -> Vec<String> {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let after =
        text.split("export ").skip(1).map(|rest| rest.trim_start().chars().take_while(|c| is_name(*c)).collect());
    after.filter(|name: &String| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_plain_defaults_can_be_said_in_a_manifest() {
        let text = "#!/bin/bash\n# why\nexport A=${A:-1}\nexport B=\"${B:-x y}\" C=${C:-}\n";
        let expected = [("A", "1"), ("B", "x y"), ("C", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(super::defaults(text), Some(expected.to_vec()));
        for text in
            ["export A=1", "export A=${A:-$B}", "A=${A:-1}", "export A=${B:-1}", "if x; then export A=${A:-1}; fi", ""]
        {
            assert_eq!(super::defaults(text), None, "{text}");
        }
    }
}
