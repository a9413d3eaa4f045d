//! A conversation with an element: statements are run one after the other on one image in memory.
//!
//! In: an element, lines of Rhai. Out: values, effects, or a diagnostic; the permissions are the element's. Variables, imports and
//! functions stay from one statement to the next. Each statement has an engine of its own, so limits count anew.
//! Not here: reading lines (`cli/`).

use std::sync::Arc;

use rhai::{AST, Dynamic, LexError, ParseError, ParseErrorType, Scope};

use super::effect::Effect;
use super::engine;
use super::error;
use super::image::{Image, Test};
use super::imports::Imports;
use super::run::on_own_thread;
use super::source::Sources;
use crate::diagnostic::Diagnostic;
use crate::event::Events;
use crate::plan::PlannedElement;
use crate::target::Facts;
use crate::target::fake::FakeTarget;

/// What the statements are called in diagnostics.
const NAME: &str = "repl";

/// What came of a statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It is not finished; more lines must follow.
    Incomplete,
    /// It ran and this is its value; nothing when it has none.
    Value(Option<String>),
    /// It failed.
    Failed(Box<Diagnostic>),
}

/// The conversation so far.
pub struct Session {
    element: PlannedElement,
    image: Image,
    scope: Scope<'static>,
    /// `import` lines, which every statement begins with.
    imports: String,
    /// Functions that were declared.
    functions: AST,
    told: usize,
}

impl Session {
    /// A fresh image. The element's own functions are there as `element::…` when it has an element.rhai.
    ///
    /// # Errors
    /// A grant of the element is no permission.
    pub fn new(element: &PlannedElement, facts: Facts) -> Result<Self, Diagnostic> {
        let target = FakeTarget::new();
        let test = Test { source: String::new(), target: target.clone() };
        let image = Image::new(element, facts, Arc::new(target), &Events::none(), Some(test))
            .map_err(|error| Diagnostic::new("permission.unknown", format!("element `{}`: {error}", element.name)))?;
        let mut scope = Scope::new();
        scope.push("image", image.clone());
        let has_script = element.directory.join("element.rhai").is_file();
        let imports = if has_script { "import \"./element\" as element;\n".to_owned() } else { String::new() };
        Ok(Self { element: element.clone(), image, scope, imports, functions: AST::empty(), told: 0 })
    }

    /// Everything that was done so far.
    pub fn effects(&self) -> Vec<Effect> {
        self.image.effects()
    }

    /// What was done since this was asked for the last time.
    pub fn new_effects(&mut self) -> Vec<Effect> {
        let effects = self.image.effects();
        let told = std::mem::replace(&mut self.told, effects.len());
        effects.into_iter().skip(told).collect()
    }

    /// Runs a statement.
    pub fn run(&mut self, statement: &str) -> Answer {
        let sources = Sources::default();
        let text = format!("{}{statement}", self.imports);
        sources.add(NAME, &text);
        let clock = self.image.clone();
        let imports = Imports::new(&self.element, &sources);
        let engine = engine::engine(imports, &Events::none(), move || clock.verbs(), false);
        let mut ast = match engine.compile_with_scope(&self.scope, &text) {
            Ok(ast) => ast,
            Err(error) if is_incomplete(&error, &sources, &text) => return Answer::Incomplete,
            Err(error) => return failed(error::explain(&engine, None, &sources, NAME, error.into())),
        };
        ast.set_source(NAME);
        let whole = self.functions.merge(&ast);
        let mut scope = self.scope.clone();
        let ended = on_own_thread(|| engine.eval_ast_with_scope::<Dynamic>(&mut scope, &whole));
        let value = match ended {
            Err(panic) => {
                let text = format!("internal error: {panic}");
                return failed(Diagnostic::new("internal.panic", text).help("this is a bug in kiln, please report it"));
            }
            Ok(Err(error)) => {
                self.image.forgive();
                let called = Some(("this statement", &self.image));
                return failed(error::explain(&engine, called, &sources, NAME, error));
            }
            Ok(Ok(value)) => value,
        };
        if let Some(violation) = self.image.violation() {
            self.image.forgive();
            return failed(error::violation(&violation, &sources));
        }
        self.scope = scope;
        self.functions += ast.clone_functions_only();
        // An import is gone when its statement ends.
        let is_import = |line: &&str| line.trim_start().starts_with("import ");
        for line in statement.lines().filter(is_import) {
            self.imports.push_str(line.trim());
            self.imports.push('\n');
        }
        Answer::Value((!value.is_unit()).then(|| shown(&value)))
    }
}

fn failed(diagnostic: Diagnostic) -> Answer {
    Answer::Failed(Box::new(diagnostic))
}

fn shown(value: &Dynamic) -> String {
    if value.is_string() { format!("{:?}", value.to_string()) } else { value.to_string() }
}

/// The text ended too early.
fn is_incomplete(error: &ParseError, sources: &Sources, text: &str) -> bool {
    let at_the_end = || {
        let label = sources.label(NAME, error.position(), "");
        label.is_none_or(|label| label.span.start >= text.trim_end().len())
    };
    match error.err_type() {
        ParseErrorType::UnexpectedEOF | ParseErrorType::BadInput(LexError::UnterminatedString) => true,
        // Rhai names what is missing, and says nothing of the end of the text.
        ParseErrorType::MissingToken(..) => at_the_end(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::super::testing;
    use super::*;

    fn session(permissions: &[&str]) -> (Fixture, Session) {
        let fixture = Fixture::new(permissions)
            .file("element.rhai", "fn install(image) { image.write_file(\"/srv/a\", \"1\"); }\n");
        let session = Session::new(&fixture.element, testing::facts(&fixture.element)).unwrap();
        (fixture, session)
    }

    fn value(text: &str) -> Answer {
        Answer::Value(Some(text.to_owned()))
    }

    #[test]
    fn variables_functions_and_imports_stay_and_the_image_remembers() {
        let (_fixture, mut session) = session(&["write:/srv"]);
        assert_eq!(session.run("let x = 20;"), Answer::Value(None));
        assert_eq!(session.run("fn twice(n) { n * 2 }"), Answer::Value(None));
        assert_eq!(session.run("twice(x) + 2"), value("42"));
        assert_eq!(session.run("import \"std/files\" as files;"), Answer::Value(None));
        assert_eq!(session.run("files::write_once(image, \"/srv/b\", \"2\")"), Answer::Value(None));
        assert_eq!(session.run("element::install(image)"), Answer::Value(None));
        assert_eq!(session.run("image.read_file(\"/srv/a\") + image.read_file(\"/srv/b\")"), value("\"12\""));
        let verbs: Vec<String> = session.new_effects().into_iter().map(|effect| effect.verb).collect();
        assert_eq!(verbs, ["write_file", "write_file"]);
        assert!(session.new_effects().is_empty());
        assert_eq!(session.effects().len(), 2);
    }

    #[test]
    fn a_statement_may_take_several_lines() {
        let (_fixture, mut session) = session(&[]);
        for text in ["fn f(a) {", "[1,", "image.exists(", "if true {\n1\n"] {
            assert_eq!(session.run(text), Answer::Incomplete, "{text}");
        }
        assert_eq!(session.run("if true {\n1\n} else { 2 }"), value("1"));
    }

    #[test]
    fn the_elements_permissions_apply_and_a_refusal_does_not_end_the_conversation() {
        let (_fixture, mut session) = session(&[]);
        let Answer::Failed(refused) = session.run("image.write_file(\"/srv/a\", \"\")") else { panic!() };
        assert_eq!(refused.code, "permission.denied");
        assert_eq!(session.run("1 + 1"), value("2"));
        let Answer::Failed(caught) = session.run("try { image.remove(\"/srv\") } catch { }") else { panic!() };
        assert_eq!(caught.code, "permission.denied");
        let Answer::Failed(endless) = session.run("loop { }") else { panic!() };
        assert_eq!(endless.code, "limit.operations");
    }
}
