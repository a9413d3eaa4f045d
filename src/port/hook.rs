//! What is known of a hook while it is translated.
//!
//! In: where it stands, what it assigns. Out: words as values, paths in the image, permissions and imports that its draft
//! needs. Not here: statements (`translate`), commands (`idioms`), what `$(…)` comes to (`substitution`).

use std::collections::{BTreeMap, BTreeSet};

use super::kept::Kept;
use super::shell::{Form, Piece, Word};
use super::substitution;
use super::value::{Base, Part, Value, quoted};
use super::variable::{self, Known};
use crate::plan::Phase;

/// A hook being translated.
pub struct Hook<'a> {
    /// Files of the element, by their paths in it.
    pub files: &'a BTreeSet<String>,
    /// Variables that the element's `environment.d` sets.
    pub declared: &'a BTreeSet<String>,
    /// When it runs.
    pub phase: Phase,
    /// Variables of the script that the draft has, by their shell names.
    pub locals: BTreeMap<String, Local>,
    /// Names of variables all of whose values are single words.
    pub single: BTreeSet<String>,
    /// Names of variables that have one value, written out, with that value.
    pub constants: BTreeMap<String, String>,
    /// A variable that is not set stops the script (`set -u`).
    pub nounset: bool,
    /// A pipe fails when a part of it does (`set -o pipefail`).
    pub pipefail: bool,
    /// A command in `$(…)` that fails stops the script, as in `X=$(…)`; elsewhere nobody looks at its status.
    pub checked: bool,
    /// Shell names of variables that must be declared before anything else.
    pub early: BTreeSet<String>,
    /// Permissions that the draft needs.
    pub needs: BTreeSet<String>,
    /// Modules of the standard library that the draft needs.
    pub imports: BTreeSet<&'static str>,
    /// Variables of the environment that the draft reads.
    pub reads: BTreeSet<String>,
    /// Constructs that keep it in shell.
    pub kept: Vec<Kept>,
    /// How deep the statement is in blocks.
    pub depth: usize,
    /// How deep it is in loops.
    pub loops: usize,
}

/// A variable of the draft.
#[derive(Clone, Debug)]
pub struct Local {
    /// Its name there.
    pub name: String,
    /// What its text begins with.
    pub base: Base,
    /// Its value instead of a variable, when it is a folder of the element's own.
    pub constant: Option<Value>,
    /// The folder of the image that its values are in, when they are paths of one.
    pub folder: Option<String>,
}

/// What happens to a word after its expansion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Nothing: an assignment, a here-document, `[[ … ]]`.
    Whole,
    /// It is split at blanks and matched against files: an argument.
    Split,
}

impl<'a> Hook<'a> {
    /// A hook of `phase` of an element with `files`, whose `environment.d` sets what is `declared`.
    pub fn new(files: &'a BTreeSet<String>, declared: &'a BTreeSet<String>, phase: Phase) -> Self {
        Self {
            files,
            declared,
            phase,
            locals: BTreeMap::new(),
            single: BTreeSet::new(),
            constants: BTreeMap::new(),
            nounset: false,
            pipefail: false,
            checked: false,
            early: BTreeSet::new(),
            needs: BTreeSet::new(),
            imports: BTreeSet::new(),
            reads: BTreeSet::new(),
            kept: Vec::new(),
            depth: 0,
            loops: 0,
        }
    }

    /// A Rhai hook sees the variable too.
    pub fn sees(&self, name: &str) -> bool {
        name.starts_with("DIB_") || variable::is_common(name) || self.declared.contains(name)
    }

    /// Shell hooks of its phase run in the image, not on the host.
    pub fn in_image(&self) -> bool {
        matches!(self.phase, Phase::PreInstall | Phase::Install | Phase::PostInstall | Phase::Finalise)
    }

    /// Takes a module of the standard library.
    pub fn import(&mut self, module: &'static str) {
        self.imports.insert(module);
    }

    /// Asks for a permission.
    pub fn need(&mut self, permission: impl Into<String>) {
        self.needs.insert(permission.into());
    }

    /// Asks for leave to change what is at `path`.
    pub fn need_write(&mut self, path: &Value) {
        let prefix = path.prefix();
        let folder = match (path.literal(), &path.folder) {
            (Some(whole), _) => whole,
            (None, Some(folder)) if prefix.is_empty() => folder.clone(),
            // What follows is not known: the folder that is.
            _ => prefix.rsplit_once('/').map_or_else(String::new, |(folder, _)| folder.to_owned()),
        };
        let folder = if path.pattern {
            let plain = folder.split(['*', '?', '[']).next().unwrap_or_default();
            plain.rsplit_once('/').map_or_else(String::new, |(folder, _)| folder.to_owned())
        } else {
            folder
        };
        let folder = folder.trim_end_matches('/');
        let parts = folder.split('/').filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>();
        if parts.contains(&"..") {
            self.need("write:/");
        } else {
            self.need(format!("write:/{}", parts.join("/")));
        }
    }

    /// The value of a word.
    ///
    /// # Errors
    /// It holds an expansion that is not translated.
    pub fn value(&mut self, word: &Word, how: Use) -> Result<Value, Kept> {
        let mut value = Value::default();
        for (index, piece) in word.pieces.iter().enumerate() {
            self.piece(&mut value, piece, index, how)?;
        }
        Ok(value)
    }

    fn piece(&mut self, value: &mut Value, piece: &Piece, index: usize, how: Use) -> Result<(), Kept> {
        match piece {
            Piece::Text { text, bare } => {
                let pattern = text.contains(['*', '?', '[']);
                if how == Use::Split && !bare && pattern && value.pattern {
                    return Err(Kept::new("a pattern of files with quoted parts"));
                }
                value.pattern |= how == Use::Split && *bare && pattern;
                value.push_text(text);
                Ok(())
            }
            Piece::Home if self.in_image() => {
                value.push_text("/root");
                Ok(())
            }
            Piece::Home => Err(Kept::new("the home folder of who builds (`~`)")),
            Piece::Command { text, .. } => substitution::value(self, value, text, index),
            Piece::Other(what) => Err(Kept::new(what.clone())),
            Piece::Variable { name, bare, form } => self.variable(value, name, form, index, *bare && how == Use::Split),
        }
    }

    /// Adds what a variable comes to; `index` is the place of the piece in its word, `split` says that it is split at blanks.
    ///
    /// # Errors
    /// A draft does not have it, or not in this form.
    pub fn variable(
        &mut self,
        value: &mut Value,
        name: &str,
        form: &Form,
        index: usize,
        split: bool,
    ) -> Result<(), Kept> {
        if let Form::Other(what) = form {
            return Err(Kept::new(what.clone()));
        }
        if let Some(local) = self.locals.get(name).cloned() {
            if local.base != Base::Plain {
                return self.placed(value, &local, form, index, name);
            }
            let safe = self.single.contains(name);
            if index == 0 && matches!(form, Form::Plain) {
                value.folder.clone_from(&local.folder);
            }
            let code = self.formed(local.name.clone(), name, form, None)?;
            value.push_code(if split && !safe { self.word(code, name) } else { code });
            return Ok(());
        }
        match variable::known(name, self.phase) {
            Known::Image if index == 0 && matches!(form, Form::Plain | Form::Required) => {
                value.base = Base::Image;
                Ok(())
            }
            Known::Image => Err(Kept::new(format!("`${name}` inside a word"))),
            Known::Refused(reason) => Err(Kept::new(format!("`${name}`: {reason}"))),
            Known::Fact(code) => {
                let code = self.formed(code.to_owned(), name, form, None)?;
                value.push_code(code);
                Ok(())
            }
            Known::Environment if !self.sees(name) => {
                let reason = "only variables of elements, and those that begin with DIB_, reach a Rhai hook";
                Err(Kept::new(format!("`${name}`: {reason}")))
            }
            Known::Environment => {
                self.reads.insert(name.to_owned());
                let code = format!("image.env({})", quoted(name));
                let code = self.formed(code, name, form, Some(name))?;
                value.push_code(if split && !variable::is_single(name) { self.word(code, name) } else { code });
                Ok(())
            }
        }
    }

    /// A variable that holds a folder of the image or of the hook.
    fn placed(&mut self, value: &mut Value, local: &Local, form: &Form, index: usize, name: &str) -> Result<(), Kept> {
        let changed = matches!(form, Form::Changed(..)) && local.base == Base::Image && local.constant.is_none();
        if index != 0 || !(matches!(form, Form::Plain) || changed) {
            return Err(Kept::new(format!("`${name}`, a folder, inside a word")));
        }
        value.base = local.base;
        match &local.constant {
            Some(constant) => value.append(constant),
            None => {
                if !changed {
                    value.folder.clone_from(&local.folder);
                }
                let code = self.formed(local.name.clone(), name, form, None)?;
                value.push_code(code);
            }
        }
        Ok(())
    }

    /// What `translation` makes; when it cannot, what it asked for meanwhile is forgotten.
    ///
    /// # Errors
    /// Those of `translation`.
    pub fn attempt<T>(&mut self, translation: impl FnOnce(&mut Self) -> Result<T, Kept>) -> Result<T, Kept> {
        let before = (self.needs.clone(), self.imports.clone(), self.reads.clone());
        let result = translation(self);
        if result.is_err() {
            (self.needs, self.imports, self.reads) = before;
        }
        result
    }

    /// The text of an unquoted variable, which must be one word: the shell would make several of it, or none.
    fn word(&mut self, code: String, name: &str) -> String {
        self.import("variables");
        format!("variables::word({code}, {})", quoted(name))
    }

    /// `${X:-…}` and its like, of the expression `code`.
    fn formed(&mut self, code: String, name: &str, form: &Form, environment: Option<&str>) -> Result<String, Kept> {
        Ok(match form {
            Form::Plain => code,
            Form::Default(word) | Form::DefaultUnset(word)
                if word.pieces.is_empty() || word.literal().as_deref() == Some("") =>
            {
                code
            }
            Form::Default(word) => {
                let default = self.value(word, Use::Whole)?;
                if default.base != Base::Plain {
                    return Err(Kept::new(format!("a folder as default of `${name}`")));
                }
                self.import("variables");
                format!("variables::or({code}, {})", default.code())
            }
            Form::DefaultUnset(word) if environment.is_some() => {
                let default = self.value(word, Use::Whole)?;
                format!("(if image.has_env({}) {{ {code} }} else {{ {} }})", quoted(name), default.code())
            }
            Form::DefaultUnset(_) => return Err(Kept::new(format!("a default for when `${name}` is not set at all"))),
            Form::Required => {
                self.import("variables");
                format!("variables::required({code}, {})", quoted(name))
            }
            Form::Changed(function, texts) => {
                self.import("variables");
                let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
                format!("variables::{function}({code}, {})", texts.join(", "))
            }
            Form::Other(what) => return Err(Kept::new(what.clone())),
        })
    }

    /// The text of a word that is one variable of the script with one value, written out.
    pub fn constant(&self, word: &Word) -> Option<&str> {
        let [Piece::Variable { name, form: Form::Plain, .. }] = word.pieces.as_slice() else { return None };
        // Where it is not set, the script stops.
        let certain = self.nounset && self.locals.contains_key(name) && !self.sees(name);
        self.constants.get(name).filter(|_| certain).map(String::as_str)
    }

    /// The path in the image that a word names.
    ///
    /// # Errors
    /// It is relative, or on the host.
    pub fn path(&mut self, word: &Word) -> Result<Value, Kept> {
        let value = self.value(word, Use::Split)?;
        self.located(value, &word.source)
    }

    /// `value` as a path in the image.
    ///
    /// # Errors
    /// As [`Hook::path`].
    pub fn located(&self, value: Value, source: &str) -> Result<Value, Kept> {
        let starts = value.prefix().starts_with('/');
        let dynamic = matches!(value.parts.first(), Some(Part::Code(_)));
        match value.base {
            Base::Image if value.parts.is_empty() => Ok(Value { base: Base::Plain, ..Value::text("/") }),
            Base::Image if starts || dynamic => Ok(Value { base: Base::Plain, ..value }),
            Base::Image => Err(Kept::new(format!("`{source}` is beside the image's folder"))),
            Base::Hook => Err(Kept::new(format!("`{source}` is in the folder of hooks"))),
            Base::Plain if !self.in_image() => Err(Kept::new(format!("`{source}` is on the host"))),
            Base::Plain
                if starts
                    && (value.prefix() == "/tmp/in_target.d" || value.prefix().starts_with("/tmp/in_target.d/")) =>
            {
                Err(Kept::new(format!("`{source}` is in the folder of hooks")))
            }
            Base::Plain
                if starts && ["/dev/", "/proc/", "/sys/"].iter().any(|head| value.prefix().starts_with(head)) =>
            {
                Err(Kept::new(format!("`{source}` belongs to the kernel")))
            }
            Base::Plain if starts || dynamic => Ok(value),
            Base::Plain => Err(Kept::new(format!("`{source}` is relative to the working folder"))),
        }
    }

    /// The path in the element of one of its own files, when the word names one by way of the hook's folder.
    pub fn own_file(&mut self, word: &Word) -> Option<String> {
        let value = self.value(word, Use::Split).ok()?;
        let rest = (value.base == Base::Hook).then(|| value.literal()).flatten().filter(|_| !value.pattern)?;
        let folder = self.phase.directory();
        let mut parts = vec![folder.as_str()];
        for part in rest.split('/').filter(|part| !part.is_empty() && *part != ".") {
            if part == ".." {
                parts.pop()?;
            } else {
                parts.push(part);
            }
        }
        let path = parts.join("/");
        let inside = format!("{path}/");
        // A folder that stands beside the phases is merged with those of other elements.
        let own =
            self.files.contains(&path) || (parts.len() > 1 && self.files.iter().any(|file| file.starts_with(&inside)));
        own.then_some(path)
    }
}

/// A text that the shell leaves one word.
pub fn single(text: &str) -> bool {
    !text.is_empty() && !text.contains(|letter: char| letter.is_whitespace() || "*?[".contains(letter))
}

/// A text short enough for a reason.
pub fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= 50 {
        return line;
    }
    line.chars().take(49).chain(['…']).collect()
}
