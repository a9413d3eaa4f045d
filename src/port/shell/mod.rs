//! A shell script as the port sees it.
//!
//! In: text ([`reader`]). Out: statements with their lines, words in their pieces. What a port never translates is
//! [`Node::Other`] with the name of the construct. Not here: what a command means.

pub mod braces;
pub mod comments;
pub mod documents;
pub mod reader;
pub mod words;

/// A script, read.
#[derive(Debug)]
pub struct Script {
    /// What follows `#!`, empty without it.
    pub interpreter: String,
    /// Its statements.
    pub statements: Vec<Statement>,
    /// Lines that hold a comment: number from 1, text with its `#`.
    pub comments: Vec<(usize, String)>,
}

/// A statement with its first and last line, from 1.
#[derive(Clone, Debug)]
pub struct Statement {
    /// First line.
    pub line: usize,
    /// Last line.
    pub end: usize,
    /// What it is.
    pub node: Node,
}

/// What a statement is.
#[derive(Clone, Debug)]
pub enum Node {
    /// A simple command.
    Command(Command),
    /// `a && b`
    And(Box<Statement>, Box<Statement>),
    /// `a || b`
    Or(Box<Statement>, Box<Statement>),
    /// `! a`
    Not(Box<Statement>),
    /// `a | b`
    Pipe(Vec<Statement>),
    /// `if`: conditions with their branches, and `else`.
    If(Vec<(Vec<Statement>, Vec<Statement>)>, Option<Vec<Statement>>),
    /// `case`: the word, and patterns with their branches.
    Case(Word, Vec<(Vec<Word>, Vec<Statement>)>),
    /// `for NAME in WORDS`
    For(String, Vec<Word>, Vec<Statement>),
    /// `{ a; b; }`
    Group(Vec<Statement>),
    /// `[[ … ]]`
    Test(Test),
    /// A construct that is never translated, by its name with an article.
    Other(String),
}

/// A simple command.
#[derive(Clone, Debug, Default)]
pub struct Command {
    /// Variables set for it, or for the script when there are no words.
    pub assignments: Vec<Assignment>,
    /// Program and arguments.
    pub words: Vec<Word>,
    /// Redirections, in order.
    pub redirects: Vec<Redirect>,
}

/// `NAME=word` or `NAME+=word`.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// The variable.
    pub name: String,
    /// Its value.
    pub value: Word,
    /// `+=`
    pub append: bool,
}

/// A redirection.
#[derive(Clone, Debug)]
pub enum Redirect {
    /// `N> file` or, with `append`, `N>> file`; `&>` has the number -1.
    Write {
        /// Number of the stream.
        stream: i32,
        /// The file.
        to: Word,
        /// `>>`
        append: bool,
    },
    /// `N>&M`: what goes where M goes
    Duplicate {
        /// The other one.
        of: String,
    },
    /// A here-document: its text, expanded as the shell would.
    Here(Word),
    /// Another one, by its name with an article.
    Other(String),
}

/// An expression of `[[ … ]]`.
#[derive(Clone, Debug)]
pub enum Test {
    /// `a && b`
    And(Box<Test>, Box<Test>),
    /// `a || b`
    Or(Box<Test>, Box<Test>),
    /// `! a`
    Not(Box<Test>),
    /// `-e word`
    Unary(String, Word),
    /// `a == b`
    Binary(String, Word, Word),
}

/// A word before expansion.
#[derive(Clone, Debug, Default)]
pub struct Word {
    /// As it stands in the script.
    pub source: String,
    /// Its pieces.
    pub pieces: Vec<Piece>,
}

/// A piece of a word. `bare` pieces are outside quotes: what they expand to is split and matched against files.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Plain text.
    Text {
        /// The text, without quotes and escapes.
        text: String,
        /// Outside quotes.
        bare: bool,
    },
    /// A variable.
    Variable {
        /// Its name.
        name: String,
        /// Outside quotes.
        bare: bool,
        /// How it is expanded.
        form: Form,
    },
    /// `$(…)`
    Command {
        /// The commands.
        text: String,
        /// Outside quotes.
        bare: bool,
    },
    /// `~`
    Home,
    /// Another expansion, by its name with an article.
    Other(String),
}

/// How a variable is expanded.
#[derive(Clone, Debug)]
pub enum Form {
    /// `$X`
    Plain,
    /// `${X:-word}`
    Default(Word),
    /// `${X-word}`
    DefaultUnset(Word),
    /// `${X:?…}`
    Required,
    /// `${X//a/b}`, `${X%a*}` and the like: the function of `std/variables` that does the same, and its texts.
    Changed(&'static str, Vec<String>),
    /// Another one, by its name with an article.
    Other(String),
}

impl Word {
    /// The text of a word without expansions; `None` when it has some.
    pub fn literal(&self) -> Option<String> {
        self.pieces
            .iter()
            .map(|piece| if let Piece::Text { text, .. } = piece { Some(text.as_str()) } else { None })
            .collect()
    }

    /// It holds an unquoted pattern of files.
    pub fn has_pattern(&self) -> bool {
        self.pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Text { text, bare: true } if text.contains(['*', '?', '['])))
    }
}

impl Command {
    /// The literal word at `index`.
    pub fn literal(&self, index: usize) -> Option<String> {
        self.words.get(index).and_then(Word::literal)
    }
}
