//! `install-packages`, the tool of diskimage-builder's distributions.

use super::{Call, has};
use crate::port::hook::{Hook, Use};
use crate::port::kept::Kept;
use crate::port::shell::{Piece, Word};
use crate::port::step::{Step, verb};
use crate::port::value::Base;

/// `install-packages`
///
/// # Errors
/// It maps names, or they come from a command.
pub fn install_packages(hook: &mut Hook<'_>, call: &Call<'_>) -> Result<Vec<Step>, Kept> {
    call.unredirected()?;
    let (options, operands) = call.options(&["-m"])?;
    if has(&options, &["-m"]) {
        return Err(Kept::new(
            "`install-packages -m`: names of another element's map; list them in package-installs.yaml",
        ));
    }
    if let Some((name, _)) = options.iter().find(|(name, _)| !["-u", "-e"].contains(&name.as_str())) {
        return Err(Kept::new(format!("`install-packages {name}`")));
    }
    hook.need("packages");
    if has(&options, &["-u"]) {
        return match operands.as_slice() {
            [] => Ok(vec![verb("update_packages", Vec::new())]),
            _ => Err(Kept::new("an update of single packages")),
        };
    }
    let name = if has(&options, &["-e"]) { "remove_packages" } else { "install_packages" };
    Ok(vec![verb(name, vec![list(hook, &operands)?])])
}

/// A Rhai list of names; an unquoted variable may hold several.
fn list(hook: &mut Hook<'_>, words: &[&Word]) -> Result<String, Kept> {
    let mut parts: Vec<String> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for word in words {
        if let [Piece::Variable { bare: true, .. }] = word.pieces.as_slice() {
            let value = hook.value(word, Use::Whole)?;
            hook.import("variables");
            if !names.is_empty() {
                parts.push(format!("[{}]", names.join(", ")));
                names.clear();
            }
            parts.push(format!("variables::words({})", value.code()));
            continue;
        }
        let value = hook.value(word, Use::Split)?;
        if value.base != Base::Plain || value.pattern {
            return Err(Kept::new("a package by its file"));
        }
        names.push(value.code());
    }
    if !names.is_empty() || parts.is_empty() {
        parts.push(format!("[{}]", names.join(", ")));
    }
    Ok(parts.join(" + "))
}
