//! Steps as Rhai.
//!
//! In: steps, and the comments of the hook with their lines. Out: the text of a hook file. Comments stand before the statement
//! that they stood before.

use std::collections::BTreeSet;

use super::step::{Placed, Step};
use crate::plan::Phase;

/// A hook file of `phase`; `shell` is the hook that it was.
pub fn file(
    shell: &str,
    phase: Phase,
    imports: &BTreeSet<&'static str>,
    comments: &[(usize, String)],
    steps: &[Placed],
) -> String {
    let mut printer = Printer { text: String::new(), comments, next: 0 };
    let first = steps.iter().map(|placed| placed.line).find(|line| *line > 0).unwrap_or(usize::MAX);
    // A licence and the like stands at the top of the file too: what is followed by an empty line.
    let head = comments.iter().take_while(|(line, _)| *line < first).count();
    let gap = (1..head).rev().find(|index| comments[*index].0 > comments[index - 1].0 + 1).unwrap_or(0);
    let top = if head > 0 && gap == 0 && comments[head - 1].0 + 1 < first { head } else { gap };
    printer.flush(comments.get(top).map_or(usize::MAX, |(line, _)| *line).min(first), 0);
    if top > 0 {
        printer.text.push('\n');
    }
    printer.text.push_str(&format!("fn {}(image) {{\n", phase.function()));
    printer.steps(steps, 1);
    printer.flush(usize::MAX, 1);
    printer.text.push_str("}\n");
    let body = printer.text;
    let used = imports.iter().filter(|module| body.contains(&format!("{module}::")));
    let lines: String = used.map(|module| format!("import \"std/{module}\" as {module};\n")).collect();
    let gap = if lines.is_empty() { "" } else { "\n" };
    format!("//! A draft of the shell hook `{shell}`: read it, test it, then make it yours.\n\n{lines}{gap}{body}")
}

struct Printer<'a> {
    text: String,
    comments: &'a [(usize, String)],
    /// The first comment that was not printed yet.
    next: usize,
}

impl Printer<'_> {
    /// Prints the comments of lines before `line`.
    fn flush(&mut self, line: usize, depth: usize) {
        while let Some((_, comment)) = self.comments.get(self.next).filter(|(at, _)| *at < line) {
            let text = comment.trim_start_matches('#');
            let text = if text.is_empty() || text.starts_with(' ') { text.to_owned() } else { format!(" {text}") };
            self.line(depth, format!("//{text}").trim_end());
            self.next += 1;
        }
    }

    fn line(&mut self, depth: usize, text: &str) {
        self.text.push_str(&"    ".repeat(depth));
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn steps(&mut self, steps: &[Placed], depth: usize) {
        for placed in steps {
            if placed.line > 0 {
                // The comment behind a statement stands before it.
                self.flush(placed.line + 1, depth);
            }
            self.step(&placed.step, depth);
        }
    }

    fn step(&mut self, step: &Step, depth: usize) {
        match step {
            Step::Call(function, arguments) => self.line(depth, &format!("{function}({});", arguments.join(", "))),
            Step::Let(name, code) => self.line(depth, &format!("let {name} = {code};")),
            Step::Set(name, code, more) => {
                self.line(depth, &format!("{name} {} {code};", if *more { "+=" } else { "=" }));
            }
            Step::If(arms, otherwise) => {
                for (index, (condition, body)) in arms.iter().enumerate() {
                    if index == 0 {
                        self.line(depth, &format!("if {condition} {{"));
                    } else {
                        self.line(depth, &format!("}} else if {condition} {{"));
                    }
                    self.steps(body, depth + 1);
                }
                if let Some(body) = otherwise {
                    self.line(depth, "} else {");
                    self.steps(body, depth + 1);
                }
                self.line(depth, "}");
            }
            Step::For(name, list, body) => {
                self.line(depth, &format!("for {name} in {list} {{"));
                self.steps(body, depth + 1);
                self.line(depth, "}");
            }
            Step::Try(body) => {
                self.line(depth, "try {");
                self.steps(body, depth + 1);
                self.line(depth, "} catch {");
                self.line(depth + 1, "// the shell hook goes on too");
                self.line(depth, "}");
            }
            Step::Return => self.line(depth, "return;"),
            Step::Break => self.line(depth, "break;"),
            Step::Continue => self.line(depth, "continue;"),
            Step::Log(code) => self.line(depth, &format!("image.log({code});")),
            Step::Fail(code) => self.line(depth, &format!("image.fail({code});")),
            Step::Nothing(note) if note.is_empty() => {}
            Step::Nothing(note) => self.line(depth, &format!("// {note}")),
        }
    }
}
