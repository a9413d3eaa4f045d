//! Rule `unknown-phase`: names that are almost those of a phase.

use crate::diagnostic::Severity;
use crate::lint::load_error;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "unknown-phase",
    severity: Severity::Error,
    dib_name: "",
    docs: "A function or a key is named almost like a phase, or names a phase that the element has nothing for.

Nothing would call it. Spell the phase as in `pre_install`, `post_install`, `finalise`; a helper deserves a name that does not look like a phase.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    load_error::report(RULE.name, subject, report);
}
