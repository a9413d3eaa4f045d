//! A plan for a person to read.

use std::fmt::Write as _;

use super::{Action, Phase, Plan};

/// The plan as text, 120 columns at the most where names allow.
pub fn text(plan: &Plan) -> String {
    let mut text = String::new();
    let system = &plan.system;
    let mut line = |words: String| {
        text.push_str(words.trim_end());
        text.push('\n');
    };
    line(format!("image      {} ({} {} {})", plan.name, system.distribution, system.release, plan.arch));
    let names: Vec<&str> = plan.elements.iter().map(|element| element.name.as_str()).collect();
    line(format!("elements   {}", names.join(" ")));
    line(format!("disk       {}", plan.disk.origin));
    for output in &plan.outputs {
        line(format!("output     {} ({})", output.path, output.format));
    }
    for phase in Phase::ALL {
        let steps: Vec<_> = plan.steps.iter().filter(|step| step.phase == phase).collect();
        if steps.is_empty() {
            continue;
        }
        line(String::new());
        line(phase.to_string());
        for step in steps {
            let mut words = format!("  {}", step.title());
            if let Some(element) = plan.elements.iter().find(|element| Some(&element.name) == step.element.as_ref())
                && matches!(step.action, Action::Script { .. })
                && !element.permissions.is_empty()
            {
                let _ = write!(words, "  [{}]", element.permissions.join(" "));
            }
            line(words);
            if let Action::Bootstrap { packages, .. } = &step.action {
                for words in wrap(packages, 100) {
                    line(format!("    {words}"));
                }
            }
        }
    }
    text
}

fn wrap(words: &[String], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(last) if last.len() + 1 + word.len() <= width => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.clone()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn words_are_wrapped_at_the_width() {
        let words: Vec<String> = ["aaa", "bbb", "ccc"].map(String::from).to_vec();
        assert_eq!(wrap(&words, 7), ["aaa bbb", "ccc"]);
    }
}
