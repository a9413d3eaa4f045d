//! Reads a Rhai file without running it.
//!
//! In: the text of a file. Out: its functions, constants and imports with their places, or a [`Diagnostic`] that points at
//! what is wrong. Nothing is executed: constants are read from the syntax tree, and only literals have a value here.
//! The only files that may use rhai's `internals`, which semver does not cover, are this one, [`calls`] and
//! [`registered`]. Not here: running
//! (`engine`), lint rules (`lint/`).

pub mod calls;
pub mod registered;

use std::collections::BTreeMap;
use std::ops::Range;

use rhai::{ASTFlags, Engine, Expr, OptimizationLevel, Position, Stmt};

use crate::diagnostic::{Diagnostic, Label};

/// A constant value and where it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Literal {
    /// The value.
    pub value: LiteralValue,
    /// Byte range in the source; of an array or map, its opening bracket.
    pub span: Range<usize>,
}

/// The values that a literal can have.
#[derive(Clone, Debug, PartialEq)]
pub enum LiteralValue {
    /// `()`
    Unit,
    /// `true`, `false`
    Bool(bool),
    /// `-7`, `0o644`
    Int(i64),
    /// `1.5`
    Float(f64),
    /// A string or a single character.
    String(String),
    /// `[…]`
    Array(Vec<Literal>),
    /// `#{…}`, in the order of the source.
    Map(Vec<(Key, Literal)>),
}

impl LiteralValue {
    /// What a message calls it, with its article.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unit => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a float",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Map(_) => "a map",
        }
    }
}

/// A key of a map and where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// Byte range in the source.
    pub span: Range<usize>,
}

/// A function of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Names of its parameters.
    pub parameters: Vec<String>,
    /// Its doc comment, without the leading slashes.
    pub comments: Vec<String>,
    /// Byte range of its name in the source.
    pub span: Range<usize>,
}

/// A constant at the top level.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Its name.
    pub name: String,
    /// Byte range of its name in the source.
    pub span: Range<usize>,
    /// Its value, or the place of the first expression in it that is not a literal.
    pub value: Result<Literal, Range<usize>>,
}

/// An `import` at the top level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// What is imported: `std/packages`, `./lib/theme`.
    pub path: String,
    /// The name it gets; empty when it has none.
    pub alias: String,
    /// Byte range of the path in the source.
    pub span: Range<usize>,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The file as the user knows it.
    pub file: String,
    /// Its whole text.
    pub text: String,
    /// Its functions, in the order of the source.
    pub functions: Vec<Function>,
    /// Its constants, in the order of the source.
    pub constants: Vec<Constant>,
    /// Its imports, in the order of the source.
    pub imports: Vec<Import>,
}

impl Source {
    /// The value of the constant `name`; `None` when the file has no such constant.
    ///
    /// # Errors
    /// The value is not made of literals only.
    pub fn constant(&self, name: &str) -> Result<Option<&Literal>, Diagnostic> {
        match self.constants.iter().find(|constant| constant.name == name) {
            None => Ok(None),
            Some(Constant { value: Ok(literal), .. }) => Ok(Some(literal)),
            Some(Constant { value: Err(span), .. }) => Err(Diagnostic {
                help: vec![
                    "it is read without running the file, so calls, variables and arithmetic have no value".into(),
                ],
                ..self.diagnostic(
                    "manifest.literal",
                    format!("`{name}` must be made of literals"),
                    span.clone(),
                    "not a literal",
                )
            }),
        }
    }

    /// The function `name`, whatever its parameters.
    pub fn function(&self, name: &str) -> Option<&Function> {
        self.functions.iter().find(|function| function.name == name)
    }

    /// A diagnostic that points into this file.
    pub fn diagnostic(&self, code: &str, message: impl Into<String>, span: Range<usize>, text: &str) -> Diagnostic {
        point(&self.file, &self.text, code, message.into(), span, text)
    }
}

/// Reads `text`, which the user knows as `file`.
///
/// # Errors
/// It does not parse, or its top level holds something other than `import`, `const` and `fn`.
pub fn read(file: &str, text: &str) -> Result<Source, Diagnostic> {
    let ast = parser().compile(text).map_err(|error| {
        let position = error.position();
        point(file, text, "syntax", error.err_type().to_string(), span_at(text, position), "")
    })?;
    let mut source = Source {
        file: file.into(),
        text: text.into(),
        functions: Vec::new(),
        constants: Vec::new(),
        imports: Vec::new(),
    };
    let places = Places::new(text);
    for statement in ast.statements() {
        declaration(&mut source, &places, statement)?;
    }
    let names = names_of_functions(text);
    // closures are functions too, under made-up names
    for function in ast.iter_functions().filter(|function| !function.name.starts_with("anon$")) {
        source.functions.push(Function {
            name: function.name.into(),
            parameters: function.params.iter().map(|name| (*name).to_string()).collect(),
            comments: function.comments.iter().flat_map(|block| uncomment(block)).collect(),
            span: names.get(function.name).cloned().unwrap_or(0..0),
        });
    }
    // rhai hands functions out in hash order
    source.functions.sort_by_key(|function| (function.span.start, function.parameters.len()));
    Ok(source)
}

/// An engine that can parse and nothing else; the limits are those of the engine that runs scripts.
fn parser() -> Engine {
    let mut engine = Engine::new_raw();
    engine
        .set_optimization_level(OptimizationLevel::None)
        .set_strict_variables(true)
        .set_max_expr_depths(64, 64)
        .set_max_string_size(16 << 20)
        .set_max_array_size(20_000)
        .set_max_map_size(20_000)
        .disable_symbol("eval");
    engine
}

fn declaration(source: &mut Source, places: &Places<'_>, statement: &Stmt) -> Result<(), Diagnostic> {
    match statement {
        Stmt::Noop(_) => {}
        Stmt::Var(variable, flags, _) if flags.intersects(ASTFlags::CONSTANT) => {
            let (name, value, _) = variable.as_ref();
            let span = places.span(name.pos);
            let name = name.name.to_string();
            if source.constants.iter().any(|constant| constant.name == name) {
                return Err(source.diagnostic(
                    "syntax",
                    format!("`{name}` is defined twice"),
                    span,
                    "second definition",
                ));
            }
            let value = literal(places, value);
            source.constants.push(Constant { name, span, value });
        }
        Stmt::Import(import, _) => {
            let (path, alias) = import.as_ref();
            let span = places.span(path.start_position());
            let Expr::StringConstant(path, _) = path else {
                return Err(source.diagnostic(
                    "syntax",
                    "an import names its file with a plain string",
                    span,
                    "not a string",
                ));
            };
            source.imports.push(Import { path: path.to_string(), alias: alias.name.to_string(), span });
        }
        other => {
            let span = places.span(other.position());
            return Err(Diagnostic {
                help: vec!["only `import`, `const` and `fn` may stand here; move the statement into a function".into()],
                ..source.diagnostic(
                    "declarations-only",
                    "the top level of a file may only declare",
                    span,
                    "this would run",
                )
            });
        }
    }
    Ok(())
}

fn literal(places: &Places<'_>, expression: &Expr) -> Result<Literal, Range<usize>> {
    let span = places.span(expression.start_position());
    let value = match expression {
        Expr::Unit(_) => LiteralValue::Unit,
        Expr::BoolConstant(value, _) => LiteralValue::Bool(*value),
        Expr::IntegerConstant(value, _) => LiteralValue::Int(*value),
        Expr::FloatConstant(value, _) => LiteralValue::Float(**value),
        Expr::CharConstant(value, _) => LiteralValue::String(value.to_string()),
        Expr::StringConstant(value, _) => LiteralValue::String(value.to_string()),
        Expr::Array(items, _) => {
            LiteralValue::Array(items.iter().map(|item| literal(places, item)).collect::<Result<_, _>>()?)
        }
        Expr::Map(map, _) => LiteralValue::Map(
            map.0
                .iter()
                .map(|(key, value)| {
                    let key = Key { name: key.name.to_string(), span: places.span(key.pos) };
                    Ok((key, literal(places, value)?))
                })
                .collect::<Result<_, Range<usize>>>()?,
        ),
        _ => return Err(span),
    };
    Ok(Literal { value, span })
}

/// Byte range of the token at `position`: rhai keeps where a token starts, the end is found in the text.
fn span_at(text: &str, position: Position) -> Range<usize> {
    Places::new(text).span(position)
}

/// Where the lines of a text begin, and whether each is ASCII: finding many places takes no longer than reading the text.
struct Places<'a> {
    text: &'a str,
    lines: Vec<(usize, bool)>,
}

impl<'a> Places<'a> {
    fn new(text: &'a str) -> Self {
        let mut start = 0;
        let lines = text.split_inclusive('\n').map(|line| {
            let place = (start, line.is_ascii());
            start += line.len();
            place
        });
        Self { text, lines: lines.collect() }
    }

    /// Byte range of the token at `position`.
    fn span(&self, position: Position) -> Range<usize> {
        let line = position.line().and_then(|line| self.lines.get(line.saturating_sub(1)));
        let Some((start_of_line, is_ascii)) = line.copied() else { return self.text.len()..self.text.len() };
        let rest = &self.text[start_of_line..];
        let column = position.position().unwrap_or(1).max(1) - 1;
        let offset = if is_ascii {
            // A column beyond the line is that of its end.
            column.min(rest.find('\n').filter(|_| column > 200).unwrap_or(rest.len()))
        } else {
            rest.char_indices().nth(column).map_or(rest.len(), |(offset, _)| offset)
        };
        let start = (start_of_line + offset).min(self.text.len());
        match self.text.get(start..) {
            Some(token) => start..start + token_length(token),
            None => start_of_line..start_of_line,
        }
    }
}

fn token_length(text: &str) -> usize {
    let word = |text: &str| text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    match text.chars().next() {
        None | Some('\n') => 0,
        Some(quote @ ('"' | '`' | '\'')) => {
            let mut escaped = false;
            for (offset, character) in text.char_indices().skip(1) {
                match character {
                    _ if escaped => escaped = false,
                    '\\' if quote != '`' => escaped = true,
                    _ if character == quote => return offset + 1,
                    _ => {}
                }
            }
            text.len()
        }
        Some('#') => 2.min(text.len()),
        Some('-') => 1 + word(&text[1..]),
        Some(character) => word(text).max(character.len_utf8()),
    }
}

/// Where the names of functions stand, the first of each; rhai keeps the place of their bodies only.
fn names_of_functions(text: &str) -> BTreeMap<&str, Range<usize>> {
    let mut names = BTreeMap::new();
    let mut start_of_line = 0;
    for line in text.split_inclusive('\n') {
        let code = line.trim_start();
        let code = code.strip_prefix("private").map_or(code, str::trim_start);
        if let Some(rest) = code.strip_prefix("fn").filter(|rest| rest.starts_with(char::is_whitespace)) {
            let rest = rest.trim_start();
            // `fn Type.name(` is a method
            let head = rest.split('(').next().unwrap_or(rest).trim_end();
            let name = head.rsplit('.').next().unwrap_or(head);
            let start = start_of_line + (line.len() - rest.len()) + (head.len() - name.len());
            names.entry(name).or_insert(start..start + name.len());
        }
        start_of_line += line.len();
    }
    names
}

fn uncomment(block: &str) -> Vec<String> {
    block
        .lines()
        .map(|line| {
            let line = line.trim_start();
            let line = line.strip_prefix("///").or_else(|| line.strip_prefix("/**")).unwrap_or(line);
            line.strip_prefix(' ').unwrap_or(line).trim_end().to_string()
        })
        .collect()
}

fn point(file: &str, text: &str, code: &str, message: String, span: Range<usize>, label: &str) -> Diagnostic {
    let label = Label { file: file.into(), source: text.into(), span, text: label.into() };
    Diagnostic { code: code.into(), message, labels: vec![label], help: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointed_at(diagnostic: &Diagnostic) -> &str {
        &diagnostic.labels[0].source[diagnostic.labels[0].span.clone()]
    }

    #[test]
    fn functions_constants_and_imports_are_read_with_their_places() {
        let text = "import \"std/files\" as files;\nconst A = 1;\n/// Does it.\nfn install(image) { files::x(image); }\nfn b(x, y) { x + y }\n";
        let source = read("x/element.rhai", text).unwrap();
        assert_eq!(source.imports[0].path, "std/files");
        assert_eq!(source.imports[0].alias, "files");
        assert_eq!(source.functions.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["install", "b"]);
        assert_eq!(source.functions[0].comments, ["Does it."]);
        assert_eq!(&text[source.functions[1].span.clone()], "b");
        assert_eq!(source.functions[1].parameters, ["x", "y"]);
        assert_eq!(source.constant("A").unwrap().unwrap().value, LiteralValue::Int(1));
        assert_eq!(source.constant("B").unwrap(), None);
    }

    #[test]
    fn keys_and_values_of_a_map_have_exact_spans() {
        let text = "const ELEMENT = #{ größe: 1 };";
        assert!(read("x", text).is_err(), "identifiers are ASCII");
        let text = "const ELEMENT = #{ \"größe\": -12, list: [\"a\\\"b\", 'c', 1.5, true, ()] };";
        let source = read("x", text).unwrap();
        let LiteralValue::Map(entries) = &source.constant("ELEMENT").unwrap().unwrap().value else { panic!() };
        assert_eq!(&text[entries[0].0.span.clone()], "\"größe\"");
        assert_eq!(&text[entries[0].1.span.clone()], "-12");
        assert_eq!(entries[0].1.value, LiteralValue::Int(-12));
        let LiteralValue::Array(items) = &entries[1].1.value else { panic!() };
        assert_eq!(&text[items[0].span.clone()], "\"a\\\"b\"");
        assert_eq!(items[0].value, LiteralValue::String("a\"b".into()));
        assert_eq!(items[4].value, LiteralValue::Unit);
    }

    #[test]
    fn an_expression_in_the_manifest_is_pointed_at() {
        let source = read("x", "const ELEMENT = #{ a: 1, b: [2, 4 * 1024] };").unwrap();
        let error = source.constant("ELEMENT").unwrap_err();
        assert_eq!(pointed_at(&error), "*");
        assert_eq!(error.code, "manifest.literal");
    }

    #[test]
    fn a_statement_at_the_top_level_is_refused() {
        for (text, place) in
            [("const A = 1;\nprint(1);", "print"), ("let x = 1;", "let"), ("fn f() {}\nif true { }", "if")]
        {
            let error = read("x", text).unwrap_err();
            assert_eq!((error.code.as_str(), pointed_at(&error)), ("declarations-only", place), "{text}");
        }
    }

    #[test]
    fn a_syntax_error_is_pointed_at() {
        let error = read("x", "fn install(image) {\n    let = 3;\n}").unwrap_err();
        assert_eq!(pointed_at(&error), "=");
        assert!(read("x", "fn f() { eval(\"1\") }").is_err());
        assert!(read("x", "fn f() {").is_err());
    }

    #[test]
    fn the_name_of_a_function_is_found_wherever_the_line_begins() {
        let text = "// fn a(x)\nfn ab(x) {}\n  private  fn a (x) {}\n";
        let names = names_of_functions(text);
        assert_eq!(names["a"], text.find("a (x)").map(|at| at..at + 1).unwrap());
        assert!(!names.contains_key("c"));
    }

    #[test]
    fn closures_are_not_functions_of_the_file() {
        let source = read("x", "fn f(image) { g(|| image.a()); }\nfn g(x) { x.call() }").unwrap();
        assert_eq!(source.functions.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["f", "g"]);
    }

    #[test]
    fn a_constant_defined_twice_is_refused() {
        assert!(read("x", "const A = 1; const A = 2;").unwrap_err().message.contains("twice"));
    }
}
