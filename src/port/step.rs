//! What a statement of a hook becomes.

/// A statement of a draft, with the line of the hook that it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Line in the hook, from 1.
    pub line: usize,
    /// What it is.
    pub step: Step,
}

/// A statement of a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A call: the function with its receiver (`image.write_file`), and its arguments as Rhai expressions.
    Call(String, Vec<String>),
    /// A new variable and its value.
    Let(String, String),
    /// A variable and its new value; with `true` something is added to it.
    Set(String, String, bool),
    /// Conditions with their branches, and the branch of none.
    If(Vec<(String, Vec<Placed>)>, Option<Vec<Placed>>),
    /// A variable, a list, and what happens for each.
    For(String, String, Vec<Placed>),
    /// What may fail.
    Try(Vec<Placed>),
    /// The hook is done.
    Return,
    /// The innermost loop is done.
    Break,
    /// The next turn of the innermost loop.
    Continue,
    /// A message, an expression.
    Log(String),
    /// The build stops with this message, an expression.
    Fail(String),
    /// A statement that means nothing here: its text, for a comment; empty when nothing need be said.
    Nothing(String),
}

impl Step {
    /// At a line.
    pub fn at(self, line: usize) -> Placed {
        Placed { line, step: self }
    }
}

/// A verb of the image.
pub fn verb(name: &str, arguments: Vec<String>) -> Step {
    Step::Call(format!("image.{name}"), arguments)
}
