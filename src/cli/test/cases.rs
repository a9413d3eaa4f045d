//! The tests of an element: that of its declarations, the checks that need no test, those it brings.

use super::Tested;
use crate::script::derived::{self, Check, Outcome};
use crate::script::testing;

/// A test that has not run yet.
pub struct Case<'a> {
    /// Its name: `vim::install::test_writes_the_defaults`.
    pub name: String,
    /// Runs it.
    pub run: Box<dyn Fn() -> Outcome + Send + Sync + 'a>,
}

/// All of an element's tests. Effects are compared where they are recorded, and recorded when `bless`.
pub fn cases(tested: &Tested, bless: bool) -> Vec<Case<'_>> {
    let Tested { element, declarations } = tested;
    let name = &element.element.name;
    let ended = |result: Result<(), _>| result.map_or_else(Outcome::Failed, |()| Outcome::Passed);
    let mut cases = vec![Case {
        name: format!("{name}::declarations"),
        run: Box::new(move || ended(declarations.clone().map_err(Box::new))),
    }];
    let mut tests = testing::find(element);
    let written = std::mem::take(&mut tests.cases);
    if !element.hooks.is_empty() {
        let several = tests.distributions.len() > 1;
        let tests = std::sync::Arc::new(tests);
        for check in Check::ALL {
            for distribution in tests.distributions.clone() {
                if check == Check::Effects && !bless && !derived::record(element, distribution).is_file() {
                    continue;
                }
                let on = if several { format!(" ({})", distribution.name) } else { String::new() };
                let tests = std::sync::Arc::clone(&tests);
                cases.push(Case {
                    name: format!("{name}::derived::{}{on}", check.name()),
                    run: Box::new(move || derived::run(element, &tests, check, distribution, bless)),
                });
            }
        }
    }
    for case in written {
        cases.push(match case {
            Ok(case) => {
                let name = case.name.clone();
                Case { name, run: Box::new(move || ended(testing::run(element, &case))) }
            }
            Err((name, diagnostic)) => {
                Case { name, run: Box::new(move || Outcome::Failed(Box::new(diagnostic.clone()))) }
            }
        });
    }
    cases
}
