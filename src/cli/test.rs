//! `kiln test`: runs the tests that elements bring.
//!
//! In: names of elements. Out: lines like those of `cargo test`, and an exit status. Needs no root and changes
//! nothing. Not here: what a test can do (`script/testing`).

use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use camino::Utf8PathBuf;

use super::prepare::explain;
use super::{meaning, variables};
use crate::diagnostic::Diagnostic;
use crate::disk;
use crate::element::{Catalog, Element};
use crate::plan::PlannedElement;
use crate::script::testing::{self, TestedElement};
use crate::store::builtin;

/// Runs the tests of elements on an image in memory.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TestArgs {
    /// Elements to test; all on the search path when none is named
    #[arg(value_name = "ELEMENT")]
    pub elements: Vec<String>,
    /// Run only the tests whose name contains this text
    #[arg(long, value_name = "NAME")]
    pub filter: Option<String>,
    /// Folder that holds elements, before those of `ELEMENTS_PATH`; may be repeated
    #[arg(long, value_name = "FOLDER")]
    pub elements_path: Vec<Utf8PathBuf>,
    /// Folder of what is kept between builds
    #[arg(long, value_name = "FOLDER")]
    pub store: Option<Utf8PathBuf>,
}

/// An element to test.
pub struct Tested {
    /// What its test functions need.
    pub element: TestedElement,
    /// What its declarations are worth: the test that every element has without writing one.
    pub declarations: Result<(), Diagnostic>,
}

/// Finds the elements that `args` name and runs their tests.
pub fn main(args: &TestArgs) -> ExitCode {
    let colour = super::colour();
    let tested = match find(args, colour) {
        Ok(tested) => tested,
        Err(message) => return super::refuse(&message),
    };
    match run(args, &tested, &mut io::stdout().lock(), colour) {
        Ok(status) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
        Err(_) => ExitCode::FAILURE,
    }
}

/// The elements to test, each with its options' defaults.
fn find(args: &TestArgs, colour: bool) -> Result<Vec<Tested>, String> {
    let environment = variables::environment();
    let store = meaning::store(args.store.as_deref(), &environment)?;
    let builtin =
        builtin::elements(&store).map_err(|error| format!("cannot write to the store at {store}: {error}"))?;
    let search_path = meaning::search_path(&args.elements_path, &environment)?;
    let catalog = Catalog::new(&search_path, &builtin).map_err(|error| explain(&error, colour))?;
    let named = !args.elements.is_empty();
    let names: Vec<String> = if named { args.elements.clone() } else { catalog.names().map(str::to_owned).collect() };
    let mut tested = Vec::new();
    for name in names {
        let element = catalog.load(&name).map_err(|error| explain(&error, colour))?;
        let element = element.ok_or_else(|| format!("element '{name}' not found"))?;
        let declarations = declarations(&element, &catalog);
        let options = element.options.iter().map(|(name, option)| (name.clone(), option.default_value.clone()));
        let element = TestedElement {
            element: PlannedElement {
                name: element.name,
                directory: element.directory,
                permissions: element.permissions,
                options: options.collect(),
            },
            variables: element.environment.into_iter().collect(),
        };
        tested.push(Tested { element, declarations });
    }
    Ok(tested)
}

/// What an element says must hold among the elements there are: its dependencies exist, its block-device descriptions can be
/// read. Manifest and package lists were read already.
fn declarations(element: &Element, catalog: &Catalog) -> Result<(), Diagnostic> {
    for name in &element.depends {
        if catalog.folder(name).is_none() && catalog.providers(name).is_empty() {
            let text = format!("`{}` depends on `{name}`, which no element is or provides", element.name);
            return Err(Diagnostic::new("element.depends", text));
        }
    }
    let files = element.directory.read_dir_utf8().into_iter().flatten().flatten();
    for file in
        files.filter(|file| file.file_name().starts_with("block-device-") && file.file_name().ends_with(".yaml"))
    {
        let origin = format!("{}/{}", element.name, file.file_name());
        let text = fs::read_to_string(file.path())
            .map_err(|error| Diagnostic::new("element.unreadable", format!("cannot read {origin}: {error}")))?;
        disk::config::parse(&text, &origin).map_err(|error| *error.diagnostic)?;
    }
    Ok(())
}

/// Runs the tests of `elements` that `args` lets through, writes to `out` how they end, and returns the exit status: 0 when
/// all passed, 1 when one failed or there was none to run.
///
/// # Errors
/// When `out` cannot be written.
pub fn run(args: &TestArgs, elements: &[Tested], out: &mut impl Write, colour: bool) -> io::Result<i32> {
    let start = Instant::now();
    let (mut passed, mut left_out) = (0_usize, 0_usize);
    let mut failures: Vec<(String, Diagnostic)> = Vec::new();
    let wanted = |name: &str| args.filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()));
    for tested in elements {
        for (name, run) in cases(tested) {
            if !wanted(&name) {
                left_out += 1;
                continue;
            }
            match run() {
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

/// A test that has not run yet.
type Case<'a> = (String, Box<dyn FnOnce() -> Result<(), Diagnostic> + 'a>);

/// The tests of an element: the one of its declarations, then those it brings.
fn cases(tested: &Tested) -> Vec<Case<'_>> {
    let Tested { element, declarations } = tested;
    let mut cases: Vec<Case<'_>> =
        vec![(format!("{}::declarations", element.element.name), Box::new(|| declarations.clone()))];
    for case in testing::find(element) {
        cases.push(match case {
            Ok(case) => {
                let name = case.name.clone();
                (name, Box::new(move || testing::run(element, &case).map_err(|diagnostic| *diagnostic)))
            }
            Err((name, diagnostic)) => (name, Box::new(move || Err(diagnostic))),
        });
    }
    cases
}

fn paint(text: &str, code: &str, colour: bool) -> String {
    if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ELEMENT: &str = "const ELEMENT = #{ summary: \"x\" };
fn install(image) {
    image.install_packages([\"vim\"]);
    image.write_file(\"/etc/vim/vimrc\", `port ${image.option(\"port\")} ${image.env(\"DIB_X\")}`);
}
";
    const TESTS: &str = "import \"./element\" as e;
fn test_installs(image) {
    image.write_file(\"/etc/hosts\", \"the test itself needs no permission\");
    fake_package(image, \"vim\");
    image.set_env(\"DIB_X\", \"y\");
    image.set_option(\"port\", 81);
    e::install(image);
    assert_eq(image.read_file(\"/etc/vim/vimrc\"), \"port 81 y\");
    assert_eq(image.effects().map(|effect| effect.verb), [\"install_packages\", \"write_file\"]);
    assert(image.package_version(\"vim\") != ());
}
fn test_arithmetic() { assert_eq(1 + 1, 2); }
fn test_variables(image) { assert_eq(image.env(\"DIB_Z\"), \"z\"); }
fn test_without_the_package(image) {
    fake_package(image, \"emacs\");
    assert_throws(\"packages.missing\", || e::install(image));
}
fn test_wrong() {
    assert_eq([1], [2]);
}
fn helper() { throw \"never called\"; }
";

    fn element(permissions: &[&str]) -> (tempfile::TempDir, TestedElement) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tests")).unwrap();
        std::fs::write(folder.path().join("element.rhai"), ELEMENT).unwrap();
        std::fs::write(folder.path().join("tests/install.rhai"), TESTS).unwrap();
        let element = PlannedElement {
            name: "vim".into(),
            directory: camino::Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap(),
            permissions: permissions.iter().map(|text| (*text).to_owned()).collect(),
            options: [("port".to_owned(), 80.into())].into(),
        };
        (folder, TestedElement { element, variables: [("DIB_Z".to_owned(), "z".to_owned())].into() })
    }

    fn transcript(permissions: &[&str], filter: Option<&str>) -> (String, i32) {
        let (_folder, tested) = element(permissions);
        let args = TestArgs { filter: filter.map(str::to_owned), ..TestArgs::default() };
        let mut out = Vec::new();
        let status = run(&args, &[Tested { element: tested, declarations: Ok(()) }], &mut out, false).unwrap();
        let text = String::from_utf8(out).unwrap();
        (text.split("; finished in").next().unwrap_or_default().to_owned(), status)
    }

    #[test]
    fn tests_are_reported_as_cargo_reports_them() {
        let (text, status) = transcript(&["packages", "write:/etc/vim"], None);
        assert_eq!(status, 1);
        insta::assert_snapshot!(text, @r#"
        test vim::declarations ... ok
        test vim::install::test_installs ... ok
        test vim::install::test_arithmetic ... ok
        test vim::install::test_variables ... ok
        test vim::install::test_without_the_package ... ok
        test vim::install::test_wrong ... FAILED

        failures:

        ---- vim::install::test_wrong ----
        error[test.assertion]: the values differ
                                 left:  [1]
                                 right: [2]
          --> vim/tests/install.rhai:19:5
           |
        19 |     assert_eq([1], [2]);
           |     ^^^^^^^^^

        test result: FAILED. 5 passed; 1 failed; 0 filtered out
        "#);
    }

    #[test]
    fn the_elements_own_grants_apply_to_its_own_calls() {
        let (text, status) = transcript(&["packages"], Some("installs"));
        assert_eq!(status, 1);
        assert!(text.contains("`write_file` needs the permission `write:/etc/vim/vimrc`"), "{text}");
        assert_eq!(transcript(&["packages", "write:/etc/vim"], Some("installs")).1, 0);
    }

    #[test]
    fn nothing_to_run_is_not_success() {
        assert_eq!(transcript(&[], Some("no such test")).1, 1);
    }
}
