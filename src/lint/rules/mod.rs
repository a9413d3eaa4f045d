//! The rules, one a file.
//!
//! A rule deserves to be one when what it finds is wrong for every author, or doubtful enough that it should be said; when its name can
//! be read as the thing that is wrong; and when its documentation says what to do instead. An error means that something will not
//! work, a warning that it should be changed.

pub mod debug_trace;
pub mod declarations_only;
pub mod deps_sorted;
pub mod environment_executable;
pub mod environment_trace;
pub mod executable;
pub mod export_substitution;
pub mod family_check;
pub mod final_newline;
pub mod hook_not_run;
pub mod indent;
pub mod loading;
pub mod manifest_field;
pub mod manifest_literal;
pub mod missing_readme;
pub mod missing_tests;
pub mod package_map;
pub mod phase_arity;
pub mod reserved_alias;
pub mod set_e;
pub mod set_pipefail;
pub mod set_u;
pub mod shadows_host;
pub mod shebang;
pub mod syntax;
pub mod tabs;
pub mod typed_method;
pub mod undeclared_permission;
pub mod unknown_dependency;
pub mod unknown_folder;
pub mod unknown_function;
pub mod unknown_import;
pub mod unknown_permission;
pub mod unknown_phase;
pub mod unsafe_sudo;
pub mod unused_import;
pub mod unused_permission;
pub mod which;
pub mod wrong_arity;
pub mod yaml;

#[cfg(test)]
mod tests;

use super::rule::Rule;

/// Every rule, sorted by name.
pub static ALL: [&Rule; 40] = [
    &debug_trace::RULE,
    &declarations_only::RULE,
    &deps_sorted::RULE,
    &environment_executable::RULE,
    &environment_trace::RULE,
    &executable::RULE,
    &export_substitution::RULE,
    &family_check::RULE,
    &final_newline::RULE,
    &hook_not_run::RULE,
    &indent::RULE,
    &loading::RULE,
    &manifest_field::RULE,
    &manifest_literal::RULE,
    &missing_readme::RULE,
    &missing_tests::RULE,
    &package_map::RULE,
    &phase_arity::RULE,
    &reserved_alias::RULE,
    &set_e::RULE,
    &set_pipefail::RULE,
    &set_u::RULE,
    &shadows_host::RULE,
    &shebang::RULE,
    &syntax::RULE,
    &tabs::RULE,
    &typed_method::RULE,
    &undeclared_permission::RULE,
    &unknown_dependency::RULE,
    &unknown_folder::RULE,
    &unknown_function::RULE,
    &unknown_import::RULE,
    &unknown_permission::RULE,
    &unknown_phase::RULE,
    &unsafe_sudo::RULE,
    &unused_import::RULE,
    &unused_permission::RULE,
    &which::RULE,
    &wrong_arity::RULE,
    &yaml::RULE,
];

/// Rules whose findings mean that a script cannot work. What loading refuses is refused without them.
pub static BEFORE_A_BUILD: [&Rule; 8] = [
    &declarations_only::RULE,
    &reserved_alias::RULE,
    &shadows_host::RULE,
    &syntax::RULE,
    &typed_method::RULE,
    &undeclared_permission::RULE,
    &unknown_function::RULE,
    &wrong_arity::RULE,
];

/// The rule called `name`.
pub fn find(name: &str) -> Option<&'static Rule> {
    ALL.into_iter().find(|rule| rule.name == name)
}

/// The letters of the options that a line of shell switches on with `set`, empty for other lines.
fn shell_options(line: &str) -> String {
    let Some(rest) = line.strip_prefix("set ") else { return String::new() };
    let words = rest.split_whitespace().take_while(|word| word.starts_with('-'));
    words.flat_map(|word| word.trim_start_matches('-').chars()).collect()
}

/// `word` is a group of short options with `letter` among them.
fn short_option(word: &str, letter: char) -> bool {
    word.strip_prefix('-').is_some_and(|letters| !letters.starts_with('-') && letters.contains(letter))
}
