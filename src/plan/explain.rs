//! A plan for a person to read.

use std::fmt::Write as _;

use super::{Action, Phase, Plan, Writer};

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
    line(format!("disk       {}{}", plan.disk.origin, writer(&plan.writer)));
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
            if let Action::ShellHook { interpreter, .. } = &step.action {
                let _ = write!(words, ", read by {interpreter}");
                words.push_str(confined(plan, step.element.as_deref()));
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

/// Who writes the disk, when it is not the usual writer.
fn writer(writer: &Writer) -> String {
    match writer {
        Writer::Direct => String::new(),
        Writer::Loop { because } => format!(", written through a loop device because of {because}"),
    }
}

/// What a hook of `element` may do of what hooks can.
fn confined(plan: &Plan, element: Option<&str>) -> &'static str {
    match plan.shell.as_ref().and_then(|shell| shell.confine.as_ref()) {
        None => "",
        Some(networked) if element.is_some_and(|name| networked.contains(name)) => ", confined, with network",
        Some(_) => ", confined",
    }
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
