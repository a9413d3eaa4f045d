//! Rule `shebang`: bash that is called by another path.

use crate::diagnostic::Severity;
use crate::lint::report::Report;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    name: "shebang",
    severity: Severity::Warning,
    dib_name: "",
    docs: "A bash script does not begin with `#!/bin/bash`.

Every image has bash there; `env` finds whatever comes first in PATH, and options in the first line are lost when the script is given to bash.",
    check,
};

fn check(subject: &Subject, report: &mut Report<'_>) {
    for file in subject.files.iter().filter(|file| file.is_bash()) {
        if let Some(line) = file.interpreter().filter(|line| line.text != "#!/bin/bash") {
            report.at(file, line.span(), "a bash script begins with `#!/bin/bash`", "write `#!/bin/bash`");
        }
    }
}
