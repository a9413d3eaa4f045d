//! What the functions of a file call, read from the syntax tree.
//!
//! In: the text of a file. Out: every call with its arguments as far as they are known without running anything, the imports
//! that are used, comparisons with what a verb answers. Not here: whether any of it is right (`lint/`).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use rhai::{AST, ASTNode, Expr, FnCallExpr, Position, Stmt};

use super::{LiteralValue, Places, Source, names_of_functions, parser};

/// A call of a function or method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The function.
    pub name: String,
    /// The import that it comes from: `services` of `services::enable(…)`; empty without one.
    pub namespace: String,
    /// It is written `receiver.name(…)`.
    pub method: bool,
    /// The variable that it is called on: the receiver of a method, else the first argument.
    pub receiver: Option<String>,
    /// Its arguments, without the receiver of a method.
    pub arguments: Vec<Argument>,
    /// Byte range of its name in the source.
    pub span: Range<usize>,
    /// The function of the file that it stands in.
    pub within: Option<String>,
}

impl Call {
    /// Number of values that the function gets, the receiver of a method included.
    pub fn count(&self) -> usize {
        self.arguments.len() + usize::from(self.method)
    }

    /// The argument at `index` when the image is not counted, whichever way the call is written.
    pub fn argument(&self, index: usize) -> Option<&Argument> {
        self.arguments.get(if self.method { index } else { index + 1 })
    }
}

/// What is known about an argument before anything runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// Its whole text.
    Text(String),
    /// How its text begins.
    Beginning(String),
    /// It is this variable.
    Variable(String),
    /// Nothing.
    Unknown,
}

/// A comparison of what a function without arguments beside the image answers: `image.family() == "debian"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The function: `family`.
    pub function: String,
    /// Byte range of its name in the source.
    pub span: Range<usize>,
}

/// Everything that a file calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Calls in the order of the source.
    pub calls: Vec<Call>,
    /// Imports that something is taken from.
    pub namespaces: BTreeSet<String>,
    /// Comparisons, in the order of the source.
    pub comparisons: Vec<Comparison>,
    /// Keys of every map: one of them may hold a closure and be called like a method.
    pub keys: BTreeSet<String>,
    /// Methods for one type, `fn Type.name(…)`: type, name, byte range of the name.
    pub typed: Vec<(String, String, Range<usize>)>,
}

/// Reads what `source` calls. A file that does not parse calls nothing.
pub fn read(source: &Source) -> Calls {
    let Ok(ast) = parser().compile(&source.text) else { return Calls::default() };
    let places = Places::new(&source.text);
    let mut reader = Reader {
        source,
        places,
        constants: constants(source),
        answers: answers(&ast),
        receivers: BTreeMap::new(),
        calls: Calls::default(),
    };
    ast.walk(&mut |path: &[ASTNode]| {
        if let Some(node) = path.last() {
            reader.node(node);
        }
        true
    });
    let mut calls = reader.calls;
    let names = names_of_functions(&source.text);
    for function in ast.iter_functions() {
        if let Some(kind) = function.this_type {
            let span = names.get(function.name).cloned().unwrap_or(0..0);
            calls.typed.push((kind.to_owned(), function.name.to_owned(), span));
        }
    }
    calls.typed.sort_by_key(|(_, _, span)| span.start);
    // A call may be a statement and an expression of the tree at once.
    calls.calls.sort_by_key(|call| (call.span.start, call.span.end));
    calls.calls.dedup();
    calls.comparisons.sort_by_key(|comparison| comparison.span.start);
    calls.comparisons.dedup();
    calls
}

/// The file's constants that are texts.
fn constants(source: &Source) -> BTreeMap<&str, &str> {
    let texts = source.constants.iter().filter_map(|constant| match &constant.value {
        Ok(super::Literal { value: LiteralValue::String(text), .. }) => Some((constant.name.as_str(), text.as_str())),
        _ => None,
    });
    texts.collect()
}

/// Variables that hold what a function without arguments answered: `let family = image.family();`.
fn answers(ast: &AST) -> BTreeMap<String, (String, Position)> {
    let mut found = BTreeMap::new();
    ast.walk(&mut |path: &[ASTNode]| {
        if let Some(ASTNode::Stmt(Stmt::Var(variable, ..))) = path.last()
            && let Some((function, position)) = answered(&variable.1)
        {
            found.insert(variable.0.name.to_string(), (function, position));
        }
        true
    });
    found
}

/// The function whose answer `expression` is: `image.family()`, `family(image)`.
fn answered(expression: &Expr) -> Option<(String, Position)> {
    match expression {
        Expr::Dot(both, ..) => match (&both.lhs, &both.rhs) {
            (Expr::Variable(..), Expr::MethodCall(call, position)) if call.args.is_empty() => {
                Some((call.name.to_string(), *position))
            }
            _ => None,
        },
        Expr::FnCall(call, position) if call.args.len() == 1 && call.op_token.is_none() => {
            matches!(call.args.first(), Some(Expr::Variable(..))).then(|| (call.name.to_string(), *position))
        }
        _ => None,
    }
}

struct Reader<'a> {
    source: &'a Source,
    places: Places<'a>,
    constants: BTreeMap<&'a str, &'a str>,
    answers: BTreeMap<String, (String, Position)>,
    /// Variables that methods are called on, by the places of the methods.
    receivers: BTreeMap<usize, String>,
    calls: Calls,
}

impl Reader<'_> {
    fn node(&mut self, node: &ASTNode<'_>) {
        match node {
            ASTNode::Stmt(Stmt::FnCall(call, position)) | ASTNode::Expr(Expr::FnCall(call, position)) => {
                self.call(call, *position, false);
            }
            ASTNode::Expr(Expr::MethodCall(call, position)) => self.call(call, *position, true),
            ASTNode::Expr(Expr::Variable(variable, ..)) if !variable.2.is_empty() => {
                self.calls.namespaces.insert(variable.2.root().to_owned());
            }
            ASTNode::Expr(Expr::Dot(both, ..)) => {
                let first = match &both.rhs {
                    Expr::Dot(chain, ..) | Expr::Index(chain, ..) => &chain.lhs,
                    other => other,
                };
                if let (Expr::Variable(variable, ..), Expr::MethodCall(_, position)) = (&both.lhs, first) {
                    self.receivers.insert(self.places.span(*position).start, variable.1.to_string());
                }
            }
            ASTNode::Expr(Expr::Map(map, _)) => {
                self.calls.keys.extend(map.0.iter().map(|(key, _)| key.name.to_string()));
            }
            ASTNode::Stmt(Stmt::Switch(switch, _)) => self.compared(&switch.0),
            _ => {}
        }
    }

    fn call(&mut self, call: &FnCallExpr, position: Position, method: bool) {
        if !call.namespace.is_empty() {
            self.calls.namespaces.insert(call.namespace.root().to_owned());
        }
        if call.op_token.is_some() {
            if matches!(call.name.as_str(), "==" | "!=" | "contains" | "in") {
                call.args.iter().for_each(|side| self.compared(side));
            }
            return;
        }
        // `x in […]` becomes a call of `contains`, at the place of the operator.
        let span = self.places.span(position);
        let written = self.source.text.get(span.clone()).unwrap_or_default();
        if call.name == "contains" && matches!(written, "in" | "!") {
            call.args.iter().for_each(|side| self.compared(side));
            return;
        }
        let arguments: Vec<Argument> = call.args.iter().map(|argument| self.argument(argument)).collect();
        let receiver = match arguments.first() {
            _ if method => self.receivers.get(&span.start).cloned(),
            Some(Argument::Variable(name)) => Some(name.clone()),
            _ => None,
        };
        // Functions are in the order of the source.
        let before = self.source.functions.partition_point(|function| function.span.start <= span.start);
        let within = before.checked_sub(1).and_then(|last| self.source.functions.get(last));
        self.calls.calls.push(Call {
            name: call.name.to_string(),
            namespace: call.namespace.path.iter().map(|part| part.name.as_str()).collect::<Vec<_>>().join("::"),
            method,
            receiver,
            arguments,
            within: within.map(|function| function.name.clone()),
            span,
        });
    }

    fn compared(&mut self, side: &Expr) {
        let found = match side {
            Expr::Variable(variable, ..) => self.answers.get(variable.1.as_str()).cloned(),
            other => answered(other),
        };
        if let Some((function, position)) = found {
            let span = self.places.span(position);
            self.calls.comparisons.push(Comparison { function, span });
        }
    }

    fn argument(&self, expression: &Expr) -> Argument {
        match expression {
            Expr::StringConstant(text, _) => Argument::Text(text.to_string()),
            Expr::Variable(variable, ..) if variable.2.root_is("global") => {
                let found = self.constants.get(variable.1.as_str());
                found.map_or(Argument::Unknown, |text| Argument::Text((*text).to_owned()))
            }
            Expr::Variable(variable, ..) if variable.2.is_empty() => Argument::Variable(variable.1.to_string()),
            Expr::InterpolatedString(parts, _) => match parts.first() {
                Some(Expr::StringConstant(text, _)) => Argument::Beginning(text.to_string()),
                Some(Expr::Stmt(block)) => match block.statements() {
                    [Stmt::Expr(inner)] => begins(self.argument(inner)),
                    _ => Argument::Unknown,
                },
                _ => Argument::Unknown,
            },
            Expr::FnCall(call, _) if call.name == "+" && call.args.len() == 2 => {
                let (Some(left), Some(right)) = (call.args.first(), call.args.get(1)) else { return Argument::Unknown };
                match (self.argument(left), self.argument(right)) {
                    (Argument::Text(left), Argument::Text(right)) => Argument::Text(left + right.as_str()),
                    (Argument::Text(left), Argument::Beginning(right)) => Argument::Beginning(left + right.as_str()),
                    (left, _) => begins(left),
                }
            }
            _ => Argument::Unknown,
        }
    }
}

/// What is known of a text that `argument` begins.
fn begins(argument: Argument) -> Argument {
    match argument {
        Argument::Text(text) | Argument::Beginning(text) => Argument::Beginning(text),
        Argument::Variable(_) | Argument::Unknown => Argument::Unknown,
    }
}

/// A question to a namespace that may be empty.
trait Root {
    fn root_is(&self, name: &str) -> bool;
}

impl Root for rhai::Namespace {
    fn root_is(&self, name: &str) -> bool {
        !self.is_empty() && self.root() == name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(text: &str) -> Calls {
        read(&super::super::read("x/element.rhai", text).unwrap())
    }

    #[test]
    fn calls_are_found_wherever_they_stand_with_what_is_known_of_their_arguments() {
        let text = "import \"std/services\" as services;\nconst HOME = \"/etc/x\";\nfn install(image) {\n    image.write_file(global::HOME + \"/a\", \"t\");\n    if true { services::enable(image, `n${1}`); }\n    [1].map(|x| image.remove(`/srv/${x}`));\n}\nfn other(image, path) { remove(image, path); }\n";
        let calls = calls(text);
        let of = |name: &str| calls.calls.iter().find(|call| call.name == name).unwrap();
        let write = of("write_file");
        assert_eq!((write.count(), write.within.as_deref()), (3, Some("install")));
        assert_eq!(write.receiver.as_deref(), Some("image"));
        assert_eq!(write.argument(0), Some(&Argument::Text("/etc/x/a".into())));
        assert_eq!(&text[write.span.clone()], "write_file");
        let enable = of("enable");
        assert_eq!((enable.namespace.as_str(), enable.method), ("services", false));
        assert_eq!(enable.argument(0), Some(&Argument::Beginning("n".into())));
        let removes: Vec<_> = calls.calls.iter().filter(|call| call.name == "remove").collect();
        assert_eq!(removes[0].argument(0), Some(&Argument::Beginning("/srv/".into())));
        assert_eq!(
            (removes[1].argument(0), removes[1].within.as_deref()),
            (Some(&Argument::Variable("path".into())), Some("other"))
        );
        assert_eq!(calls.namespaces.iter().map(String::as_str).collect::<Vec<_>>(), ["global", "services"]);
    }

    #[test]
    fn comparisons_of_answers_are_found_in_every_form() {
        for text in [
            "fn install(image) { if image.family() == \"debian\" { } }",
            "fn install(image) { if \"debian\" != family(image) { } }",
            "fn install(image) { if image.family() in [\"debian\"] { } }",
            "fn install(image) { switch image.family() { \"debian\" => 1, _ => 2 } }",
            "fn install(image) { let f = image.family(); if f == \"debian\" { } }",
        ] {
            let found = calls(text).comparisons;
            assert!(found.iter().any(|found| found.function == "family"), "{text}: {found:?}");
        }
        let plain = calls("fn install(image) { image.write_file(\"/a\", image.family()); }");
        assert!(plain.comparisons.is_empty());
    }

    #[test]
    fn methods_of_a_type_and_keys_of_maps_are_told() {
        let calls = calls("fn Image.install(p) { }\nfn f() { #{ run: || 1, b: 2 } }");
        assert_eq!((calls.typed[0].0.as_str(), calls.typed[0].1.as_str()), ("Image", "install"));
        assert_eq!(calls.keys.into_iter().collect::<Vec<_>>(), ["b", "run"]);
    }
}
