//! Which permissions the scripts of an element use.
//!
//! In: what they call. Out: for each call of a verb the permission that it needs, as far as it is known; calls of the library are
//! followed to the verbs that it calls. Tests do not count. Not here: what the element declares.

use camino::{Utf8Component, Utf8Path};

use super::subject::{Role, Script, Subject};
use crate::plan::Phase;
use crate::script::needs::{self, Need};
use crate::script::permission::Permission;
use crate::script::reference::{Module, reference};
use crate::script::syntax::Source;
use crate::script::syntax::calls::{Argument, Call};

/// Files of the library call each other no deeper than this.
const DEPTH: usize = 8;

/// What everybody calls the image.
const IMAGE: &str = "image";

/// Folders that are symlinks to folders below `/usr` in most images: a grant for the one may cover the other.
const MERGED: [&str; 4] = ["/bin", "/lib", "/lib64", "/sbin"];

/// A permission that a call needs.
#[derive(Debug)]
pub struct Use<'a> {
    /// Where.
    pub script: &'a Script,
    /// The call in the element's own script.
    pub call: &'a Call,
    /// The verb that asks.
    pub verb: String,
    /// What it asks for.
    pub need: Need,
    /// What is known of the value: path, address, name of a secret.
    pub value: Argument,
}

/// Every use in the element's scripts, in the order of files and lines.
pub fn uses(subject: &Subject) -> Vec<Use<'_>> {
    let mut found = Vec::new();
    for (script, source) in subject.readable().filter(|(script, _)| script.role != Role::Test) {
        for call in &script.calls.calls {
            let mut add = |verb: &str, need: Need, value: Argument| {
                found.push(Use { script, call, verb: verb.to_owned(), need, value });
            };
            if call.namespace.is_empty() {
                if !script.has(&call.name, call.count()) && is_verb(source, call) {
                    direct(call, &mut add);
                }
            } else if let Some(module) = library(source, &call.namespace) {
                let arguments: Vec<Argument> = call.arguments.clone();
                through(module, &call.name, &arguments, DEPTH, &mut add);
            }
        }
    }
    found
}

/// The call is one of a verb, and not of a function of the language with the same name: lists have `remove`, too.
fn is_verb(source: &Source, call: &Call) -> bool {
    if !reference().is_language(&call.name, call.count()) {
        return true;
    }
    let of_phase = |name: &String| {
        let function = call.within.as_ref().and_then(|within| source.function(within));
        function
            .is_some_and(|function| function.parameters.first() == Some(name) && Phase::parse(&function.name).is_some())
    };
    call.receiver.as_ref().is_some_and(|name| name == IMAGE || of_phase(name))
}

fn library(source: &Source, alias: &str) -> Option<&'static Module> {
    let import = source.imports.iter().find(|import| import.alias == alias)?;
    reference().module(import.path.strip_prefix("std/")?)
}

fn direct(call: &Call, add: &mut dyn FnMut(&str, Need, Argument)) {
    for need in needs::of(&call.name) {
        let value = value(*need, |index| call.argument(index).cloned());
        add(&call.name, *need, value);
    }
}

fn value(need: Need, argument: impl Fn(usize) -> Option<Argument>) -> Argument {
    match need {
        Need::Plain(_) => Argument::Unknown,
        Need::Write(index) | Need::ReadHost(index) | Need::Fetch(index) | Need::Secret(index) => {
            argument(index).unwrap_or(Argument::Unknown)
        }
    }
}

/// The verbs that a function of the library calls, with the values that its caller gives.
fn through(
    module: &'static Module,
    function: &str,
    arguments: &[Argument],
    depth: usize,
    add: &mut dyn FnMut(&str, Need, Argument),
) {
    let Some(found) = module
        .source
        .functions
        .iter()
        .find(|known| known.name == function && known.parameters.len() == arguments.len())
    else {
        return;
    };
    let given = |argument: Argument| match argument {
        Argument::Variable(name) => {
            let place = found.parameters.iter().position(|parameter| *parameter == name);
            place.and_then(|place| arguments.get(place)).cloned().unwrap_or(Argument::Unknown)
        }
        known => known,
    };
    for call in module.calls.calls.iter().filter(|call| call.within.as_deref() == Some(function)) {
        let own =
            module.source.functions.iter().any(|own| own.name == call.name && own.parameters.len() == call.count());
        let next = if own { Some(module) } else { library(&module.source, &call.namespace) };
        match next {
            Some(next) if depth > 0 => {
                let mut values: Vec<Argument> = call.arguments.iter().cloned().map(given).collect();
                if call.method {
                    values.insert(0, Argument::Unknown);
                }
                through(next, &call.name, &values, depth - 1, add);
            }
            Some(_) => {}
            None if call.namespace.is_empty() && is_verb(&module.source, call) => {
                direct(call, &mut |verb, need, value| add(verb, need, given(value)));
            }
            None => {}
        }
    }
}

impl Use<'_> {
    /// The permission in full, when its value is known.
    pub fn exact(&self) -> Option<Permission> {
        let text = match (&self.need, &self.value) {
            (Need::Plain(plain), _) => return Some(plain.permission()),
            (_, Argument::Text(text)) => text,
            _ => return None,
        };
        Some(match self.need {
            Need::Write(_) => Permission::Write(normal(text)?),
            Need::ReadHost(_) => Permission::ReadHost(normal(text)?),
            Need::Fetch(_) => Permission::Fetch(host(text)?),
            Need::Secret(_) => Permission::Secret(text.clone()),
            Need::Plain(plain) => plain.permission(),
        })
    }

    /// The grant may be what this use needs; when in doubt, it is.
    pub fn may_be_covered_by(&self, grant: &Permission) -> bool {
        if let Some(exact) = self.exact() {
            return grant.covers(&exact) || merged(grant, &exact);
        }
        let beginning = match &self.value {
            Argument::Beginning(text) => text.as_str(),
            _ => "",
        };
        let may_begin = |prefix: &Utf8Path| {
            let prefix = prefix.as_str();
            beginning.is_empty()
                || beginning.starts_with(prefix)
                || prefix.starts_with(beginning)
                || MERGED.iter().any(|folder| beginning.starts_with(folder) || prefix.starts_with(folder))
        };
        match (self.need, grant) {
            (Need::Write(_), Permission::Write(prefix)) | (Need::ReadHost(_), Permission::ReadHost(prefix)) => {
                may_begin(prefix)
            }
            (Need::Fetch(_), Permission::Fetch(name)) => {
                host(beginning).is_none_or(|host| name.starts_with(&host) || host == *name)
            }
            (Need::Secret(_), Permission::Secret(id)) => id.starts_with(beginning),
            _ => false,
        }
    }
}

/// One of the two stands in a folder that may be a symlink, so they may be one place.
fn merged(grant: &Permission, need: &Permission) -> bool {
    let (Permission::Write(grant), Permission::Write(need)) = (grant, need) else { return false };
    let real = |path: &Utf8Path| match MERGED.iter().any(|folder| path.starts_with(folder)) {
        true => Utf8Path::new("/usr").join(path.as_str().trim_start_matches('/')),
        false => path.to_owned(),
    };
    real(need).starts_with(real(grant))
}

/// An absolute path without `..`.
fn normal(text: &str) -> Option<camino::Utf8PathBuf> {
    let path = Utf8Path::new(text);
    let plain = path.is_absolute() && path.components().all(|part| part != Utf8Component::ParentDir);
    plain.then(|| path.components().collect())
}

/// The host of an address.
fn host(address: &str) -> Option<String> {
    let (_, rest) = address.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    let host = host.rsplit('@').next()?.split(':').next()?;
    (!host.is_empty()).then(|| host.to_owned())
}
