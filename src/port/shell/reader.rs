//! Reads a script with brush-parser.
//!
//! In: text. Out: a [`Script`]. With `words` and `braces` the only file that knows that parser.

use std::io::Cursor;
use std::ops::Range;

use brush_parser::ast::{
    self, AndOr, AssignmentName, AssignmentValue, CaseItemPostAction, CommandPrefixOrSuffixItem, CompoundCommand,
    ExtendedTestExpr, IoFileRedirectKind, IoFileRedirectTarget, IoRedirect, SeparatorOperator, SourceLocation,
};
use brush_parser::{Parser, ParserOptions, SourceSpan};

use super::{Assignment, Command, Node, Redirect, Script, Statement, Test, braces, comments, documents, words};

/// Reads `text`.
///
/// # Errors
/// It is no shell script; the text says where.
pub fn read(text: &str) -> Result<Script, String> {
    let interpreter = text.lines().next().and_then(|line| line.strip_prefix("#!")).unwrap_or_default().trim();
    let spelled = documents::respelled(text)?;
    let mut parser = Parser::new(Cursor::new(spelled.as_bytes()), &ParserOptions::default());
    let program = parser.parse_program().map_err(|error| error.to_string())?;
    let mut reader = Reader { documents: Vec::new(), line: 1 };
    let statements = program.complete_commands.iter().flat_map(|list| reader.list(list)).collect();
    Ok(Script { interpreter: interpreter.into(), statements, comments: comments::find(text, &reader.documents) })
}

struct Reader {
    /// Lines of here-documents.
    documents: Vec<Range<usize>>,
    /// Where the last statement with a place began.
    line: usize,
}

impl Reader {
    fn list(&mut self, list: &ast::CompoundList) -> Vec<Statement> {
        list.0.iter().map(|item| self.item(item)).collect()
    }

    fn item(&mut self, item: &ast::CompoundListItem) -> Statement {
        let mut statement = self.pipeline(&item.0.first);
        for more in &item.0.additional {
            let (line, first) = (statement.line, Box::new(statement));
            let (node, end) = match more {
                AndOr::And(pipeline) => {
                    let second = self.pipeline(pipeline);
                    let end = second.end;
                    (Node::And(first, Box::new(second)), end)
                }
                AndOr::Or(pipeline) => {
                    let second = self.pipeline(pipeline);
                    let end = second.end;
                    (Node::Or(first, Box::new(second)), end)
                }
            };
            statement = Statement { line, end, node };
        }
        if matches!(item.1, SeparatorOperator::Async) {
            statement.node = Node::Other("a command in the background (`&`)".into());
        }
        statement
    }

    fn pipeline(&mut self, pipeline: &ast::Pipeline) -> Statement {
        let mut parts: Vec<Statement> = pipeline.seq.iter().map(|command| self.command(command)).collect();
        let (line, end) = (parts.first().map_or(self.line, |part| part.line), parts.last().map_or(0, |part| part.end));
        let node = match parts.len() {
            _ if pipeline.timed.is_some() => Node::Other("`time`".into()),
            1 => parts.remove(0).node,
            _ => Node::Pipe(parts),
        };
        let statement = Statement { line, end, node };
        if !pipeline.bang {
            return statement;
        }
        Statement { line, end, node: Node::Not(Box::new(statement)) }
    }

    fn command(&mut self, command: &ast::Command) -> Statement {
        let span = command.location();
        let (line, mut end) = self.place(span.as_ref());
        let other = |text: &str| Node::Other(text.into());
        let node = match command {
            ast::Command::Simple(simple) => {
                let node = self.simple(simple);
                // A here-document ends after the command.
                end = end.max(self.documents.last().filter(|range| range.start > line).map_or(end, |range| range.end));
                node
            }
            ast::Command::Compound(_, Some(_)) => other("a redirection of a whole block"),
            ast::Command::Compound(compound, None) => self.compound(compound),
            ast::Command::Function(_) => other("a function"),
            ast::Command::ExtendedTest(_, Some(_)) => other("a redirection of a test"),
            ast::Command::ExtendedTest(test, None) => {
                test_expression(&test.expr).map_or_else(|| other("an unusual test in `[[ … ]]`"), Node::Test)
            }
        };
        Statement { line, end, node }
    }

    fn compound(&mut self, compound: &CompoundCommand) -> Node {
        let other = |text: &str| Node::Other(text.into());
        match compound {
            CompoundCommand::BraceGroup(group) => Node::Group(self.list(&group.list)),
            CompoundCommand::ForClause(clause) => match &clause.values {
                None => other("a loop over the hook's arguments"),
                Some(values) => {
                    let words = values.iter().flat_map(|word| braces::expand(&word.value)).collect();
                    Node::For(clause.variable_name.clone(), words, self.list(&clause.body.list))
                }
            },
            CompoundCommand::IfClause(clause) => {
                let mut branches = vec![(self.list(&clause.condition), self.list(&clause.then))];
                let mut otherwise = None;
                for part in clause.elses.iter().flatten() {
                    match &part.condition {
                        Some(condition) => branches.push((self.list(condition), self.list(&part.body))),
                        None => otherwise = Some(self.list(&part.body)),
                    }
                }
                Node::If(branches, otherwise)
            }
            CompoundCommand::CaseClause(clause) => {
                let mut arms = Vec::new();
                for item in &clause.cases {
                    if !matches!(item.post_action, CaseItemPostAction::ExitCase) {
                        return other("a `case` that goes on into the next branch");
                    }
                    let patterns = item.patterns.iter().map(|word| words::word(&word.value)).collect();
                    arms.push((patterns, item.cmd.as_ref().map(|list| self.list(list)).unwrap_or_default()));
                }
                Node::Case(words::word(&clause.value.value), arms)
            }
            CompoundCommand::Arithmetic(_) | CompoundCommand::ArithmeticForClause(_) => other("arithmetic (`((…))`)"),
            CompoundCommand::Subshell(_) => other("a subshell"),
            CompoundCommand::WhileClause(_) => other("a `while` loop"),
            CompoundCommand::UntilClause(_) => other("an `until` loop"),
            CompoundCommand::Coprocess(_) => other("a coprocess"),
        }
    }

    fn simple(&mut self, simple: &ast::SimpleCommand) -> Node {
        let mut command = Command::default();
        let prefix = simple.prefix.iter().flat_map(|prefix| &prefix.0);
        let suffix = simple.suffix.iter().flat_map(|suffix| &suffix.0);
        if let Some(name) = &simple.word_or_name {
            command.words.push(words::word(&name.value));
        }
        // `export X=y`: its assignments are arguments.
        let declares = ["export", "local", "declare", "readonly", "typeset"];
        let declares = command.literal(0).is_some_and(|name| declares.contains(&name.as_str()));
        for (item, leads) in prefix.map(|item| (item, true)).chain(suffix.map(|item| (item, false))) {
            match item {
                CommandPrefixOrSuffixItem::IoRedirect(redirect) => {
                    let redirect = self.redirect(redirect);
                    command.redirects.push(redirect);
                }
                CommandPrefixOrSuffixItem::Word(word) => command.words.extend(braces::expand(&word.value)),
                CommandPrefixOrSuffixItem::AssignmentWord(assignment, _) if leads || declares => {
                    let (AssignmentName::VariableName(name), AssignmentValue::Scalar(value)) =
                        (&assignment.name, &assignment.value)
                    else {
                        return Node::Other("an array".into());
                    };
                    let (name, value) = (name.clone(), words::word(&value.value));
                    command.assignments.push(Assignment { name, value, append: assignment.append });
                }
                CommandPrefixOrSuffixItem::AssignmentWord(_, word) => command.words.push(words::word(&word.value)),
                CommandPrefixOrSuffixItem::ProcessSubstitution(..) => {
                    return Node::Other("a process substitution (`<(…)`)".into());
                }
            }
        }
        Node::Command(command)
    }

    fn redirect(&mut self, redirect: &IoRedirect) -> Redirect {
        let other = |text: &str| Redirect::Other(text.into());
        match redirect {
            IoRedirect::File(stream, kind, IoFileRedirectTarget::Filename(to)) => {
                let to = words::word(&to.value);
                match kind {
                    IoFileRedirectKind::Write | IoFileRedirectKind::Clobber => {
                        Redirect::Write { stream: stream.unwrap_or(1), to, append: false }
                    }
                    IoFileRedirectKind::Append => Redirect::Write { stream: stream.unwrap_or(1), to, append: true },
                    _ => other("input from a file (`<`)"),
                }
            }
            IoRedirect::File(_, IoFileRedirectKind::DuplicateOutput, IoFileRedirectTarget::Duplicate(of)) => {
                Redirect::Duplicate { of: of.value.clone() }
            }
            IoRedirect::File(_, IoFileRedirectKind::DuplicateOutput, IoFileRedirectTarget::Fd(of)) => {
                Redirect::Duplicate { of: of.to_string() }
            }
            IoRedirect::File(..) => other("an unusual redirection"),
            IoRedirect::HereDocument(stream, document) => {
                if let Some(span) = document.doc.location() {
                    self.documents.push(span.start.line..span.start.line + document.doc.value.lines().count() + 1);
                }
                match (stream.unwrap_or(0), document.requires_expansion) {
                    (0, true) => Redirect::Here(words::document(&document.doc.value)),
                    (0, false) => Redirect::Here(words::verbatim(&document.doc.value)),
                    _ => other("a here-document on another stream"),
                }
            }
            IoRedirect::HereString(..) => other("a here-string (`<<<`)"),
            IoRedirect::OutputAndError(to, append) => {
                Redirect::Write { stream: -1, to: words::word(&to.value), append: *append }
            }
        }
    }

    fn place(&mut self, span: Option<&SourceSpan>) -> (usize, usize) {
        if let Some(span) = span {
            self.line = span.start.line;
            return (span.start.line, span.end.line.max(span.start.line));
        }
        (self.line, self.line)
    }
}

fn test_expression(expression: &ExtendedTestExpr) -> Option<Test> {
    let both = |a: &ExtendedTestExpr, b: &ExtendedTestExpr| {
        Some((Box::new(test_expression(a)?), Box::new(test_expression(b)?)))
    };
    Some(match expression {
        ExtendedTestExpr::And(a, b) => both(a, b).map(|(a, b)| Test::And(a, b))?,
        ExtendedTestExpr::Or(a, b) => both(a, b).map(|(a, b)| Test::Or(a, b))?,
        ExtendedTestExpr::Not(a) => Test::Not(Box::new(test_expression(a)?)),
        ExtendedTestExpr::Parenthesized(a) => test_expression(a)?,
        ExtendedTestExpr::UnaryTest(operator, word) => Test::Unary(operator.to_string(), words::word(&word.value)),
        ExtendedTestExpr::BinaryTest(operator, a, b) => {
            Test::Binary(operator_text(operator)?.into(), words::word(&a.value), words::word(&b.value))
        }
    })
}

/// As `[[ … ]]` spells it; `None` for what no port translates.
fn operator_text(operator: &ast::BinaryPredicate) -> Option<&'static str> {
    use ast::BinaryPredicate as B;
    Some(match operator {
        B::StringExactlyMatchesPattern | B::StringExactlyMatchesString => "==",
        B::StringDoesNotExactlyMatchPattern | B::StringDoesNotExactlyMatchString => "!=",
        B::StringMatchesRegex | B::StringContainsSubstring => "=~",
        B::ArithmeticEqualTo => "-eq",
        B::ArithmeticNotEqualTo => "-ne",
        B::ArithmeticLessThan => "-lt",
        B::ArithmeticLessThanOrEqualTo => "-le",
        B::ArithmeticGreaterThan => "-gt",
        B::ArithmeticGreaterThanOrEqualTo => "-ge",
        _ => return None,
    })
}
