//! `kiln test`: runs the tests that elements bring.
//!
//! In: elements already found and read. Out: lines like those of `cargo test`, and an exit status. Needs no root and changes
//! nothing. Not here: what a test can do (`script/testing`).

use std::io::{self, Write};
use std::time::Instant;

use crate::diagnostic::Diagnostic;
use crate::script::testing::{self, TestedElement};

/// Runs the tests of elements on an image in memory.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TestArgs {
    /// Elements to test; all on the search path when none is named
    #[arg(value_name = "ELEMENT")]
    pub elements: Vec<String>,
    /// Run only the tests whose name contains this text
    #[arg(long, value_name = "NAME")]
    pub filter: Option<String>,
}

/// Runs the tests of `elements` that `args` lets through, writes to `out` how they end, and returns the exit status: 0 when
/// all passed, 1 when one failed or there was none to run.
///
/// # Errors
/// When `out` cannot be written.
pub fn run(args: &TestArgs, elements: &[TestedElement], out: &mut impl Write, colour: bool) -> io::Result<i32> {
    let start = Instant::now();
    let (mut passed, mut left_out) = (0_usize, 0_usize);
    let mut failures: Vec<(String, Diagnostic)> = Vec::new();
    let wanted = |name: &str| args.filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()));
    for tested in elements {
        for case in testing::find(tested) {
            let (name, ended) = match case {
                Ok(case) if !wanted(&case.name) => {
                    left_out += 1;
                    continue;
                }
                Ok(case) => {
                    let ended = testing::run(tested, &case).map_err(|diagnostic| *diagnostic);
                    (case.name, ended)
                }
                Err((name, diagnostic)) => (name, Err(diagnostic)),
            };
            match ended {
                Ok(()) => {
                    passed += 1;
                    writeln!(out, "test {name} ... {}", paint("ok", "32", colour))?;
                }
                Err(diagnostic) => {
                    writeln!(out, "test {name} ... {}", paint("FAILED", "31", colour))?;
                    failures.push((name, diagnostic));
                }
            }
        }
    }
    if !failures.is_empty() {
        writeln!(out, "\nfailures:")?;
        for (name, diagnostic) in &failures {
            writeln!(out, "\n---- {name} ----\n{}", diagnostic.render(colour))?;
        }
    }
    let result = if failures.is_empty() { paint("ok", "32", colour) } else { paint("FAILED", "31", colour) };
    writeln!(
        out,
        "\ntest result: {result}. {passed} passed; {} failed; {left_out} filtered out; finished in {:.2}s",
        failures.len(),
        start.elapsed().as_secs_f64()
    )?;
    if passed + failures.len() == 0 {
        writeln!(out, "no test ran: tests are functions `test_…` in an element's `tests/*.rhai`")?;
        return Ok(1);
    }
    Ok(i32::from(!failures.is_empty()))
}

fn paint(text: &str, code: &str, colour: bool) -> String {
    if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}
