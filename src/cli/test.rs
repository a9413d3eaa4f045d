//! `kiln test`: runs the tests that elements bring, and the checks that need none.
//!
//! In: names of elements, words that names of tests contain. Out: lines like those of `cargo test`, and an exit status. Needs no
//! root and changes nothing but, with `--bless`, the records of effects. Not here: what a test can do (`script/testing`), the
//! checks (`script/derived`).

mod cases;

use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use camino::Utf8PathBuf;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::prepare::explain;
use super::{meaning, variables};
use crate::diagnostic::Diagnostic;
use crate::disk;
use crate::element::{Catalog, Element, HookKind};
use crate::lint;
use crate::plan::PlannedElement;
use crate::script::derived::Outcome;
use crate::script::nearest::{close, suggestion};
use crate::script::testing::TestedElement;
use crate::store::builtin;
use cases::{Case, cases};

/// Runs the tests of elements on an image in memory.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TestArgs {
    /// Elements to test; all on the search path when none is named. Any other word is a part of the names of the tests to run
    #[arg(value_name = "ELEMENT|FILTER")]
    pub words: Vec<String>,
    /// Run only the tests whose name contains this text
    #[arg(long, value_name = "NAME")]
    pub filter: Option<String>,
    /// Record what the elements do, beside their tests; later runs compare
    #[arg(long)]
    pub bless: bool,
    /// Folder that holds elements, before those of `ELEMENTS_PATH`; may be repeated
    #[arg(long, value_name = "FOLDER")]
    pub elements_path: Vec<Utf8PathBuf>,
    /// Folder of what is kept between builds
    #[arg(long, value_name = "FOLDER")]
    pub store: Option<Utf8PathBuf>,
}

/// Which tests run, and how.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Texts of which a test's name must contain one; all tests run without any.
    pub filters: Vec<String>,
    /// Effects are recorded instead of compared.
    pub bless: bool,
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
    let (tested, selection) = match find(args, colour) {
        Ok(found) => found,
        Err(message) => return super::refuse(&message),
    };
    match run(&selection, &tested, &mut io::stdout().lock(), colour) {
        Ok(status) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
        Err(_) => ExitCode::FAILURE,
    }
}

/// The elements to test, each with its options' defaults, and which tests of them.
fn find(args: &TestArgs, colour: bool) -> Result<(Vec<Tested>, Selection), String> {
    let environment = variables::environment();
    let store = meaning::store(args.store.as_deref(), &environment)?;
    let builtin =
        builtin::elements(&store).map_err(|error| format!("cannot write to the store at {store}: {error}"))?;
    let search_path = meaning::search_path(&args.elements_path, &environment)?;
    let catalog = Catalog::new(&search_path, &builtin).map_err(|error| explain(&error, colour))?;
    let (mut names, filters): (Vec<String>, Vec<String>) =
        args.words.iter().cloned().partition(|word| catalog.folder(word).is_some());
    if names.is_empty() {
        names = catalog.names().map(str::to_owned).collect();
    }
    let mut tested = Vec::new();
    for name in names {
        let element = catalog.load(&name).map_err(|error| explain(&error, colour))?;
        let element = element.ok_or_else(|| format!("element '{name}' not found"))?;
        let declarations = declarations(&element, &catalog);
        tested.push(Tested { element: testable(element), declarations });
    }
    for word in &filters {
        let all = tested.iter().flat_map(|tested| cases(tested, args.bless));
        if !all.into_iter().any(|case| case.name.contains(word)) {
            let near = suggestion(&close(word, catalog.names()));
            return Err(format!("`{word}` is no element, and no test's name contains it{near}"));
        }
    }
    let filters = filters.into_iter().chain(args.filter.clone()).collect();
    Ok((tested, Selection { filters, bless: args.bless }))
}

/// The element as its tests see it.
fn testable(element: Element) -> TestedElement {
    let hooks = element.hooks.iter().filter_map(|hook| match &hook.kind {
        HookKind::Script { file, function } => Some((hook.phase, file.clone(), function.clone())),
        HookKind::Shell { .. } | HookKind::BuiltIn { .. } => None,
    });
    let hooks = hooks.collect();
    let options = element.options.iter().map(|(name, option)| (name.clone(), option.default_value.clone()));
    let planned = PlannedElement {
        name: element.name.clone(),
        directory: element.directory.clone(),
        permissions: element.permissions.clone(),
        options: options.collect(),
    };
    TestedElement { element: planned, variables: element.environment.into_iter().collect(), hooks }
}

/// What an element says must hold among the elements there are: its dependencies exist, its block-device descriptions can be
/// read, its scripts call what there is. Manifest and package lists were read already.
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
    let found =
        lint::run::before_a_build(element).map_err(|error| Diagnostic::new("element.unreadable", error.to_string()))?;
    found.into_iter().next().map_or(Ok(()), Err)
}

/// Runs the tests of `elements` that `selection` lets through, several at a time, writes to `out` how they end, and returns the exit
/// status: 0 when all passed, 1 when one failed or there was none to run.
///
/// # Errors
/// When `out` cannot be written.
pub fn run(selection: &Selection, elements: &[Tested], out: &mut impl Write, colour: bool) -> io::Result<i32> {
    let start = Instant::now();
    let filters = &selection.filters;
    let wanted =
        |case: &Case<'_>| filters.is_empty() || filters.iter().any(|filter| case.name.contains(filter.as_str()));
    let all: Vec<Case<'_>> = elements.iter().flat_map(|tested| cases(tested, selection.bless)).collect();
    let (chosen, left_out): (Vec<Case<'_>>, Vec<Case<'_>>) = all.into_iter().partition(wanted);
    let outcomes: Vec<Outcome> = chosen.par_iter().map(|case| (case.run)()).collect();
    writeln!(out, "running {} test{}", chosen.len(), if chosen.len() == 1 { "" } else { "s" })?;
    let (mut passed, mut ignored) = (0_usize, 0_usize);
    let mut failures: Vec<(&str, &Diagnostic)> = Vec::new();
    for (case, outcome) in chosen.iter().zip(&outcomes) {
        let name = &case.name;
        match outcome {
            Outcome::Passed => {
                passed += 1;
                writeln!(out, "test {name} ... {}", paint("ok", "32", colour))?;
            }
            Outcome::Ignored(why) => {
                ignored += 1;
                writeln!(out, "test {name} ... {}, {why}", paint("ignored", "33", colour))?;
            }
            Outcome::Failed(diagnostic) => {
                writeln!(out, "test {name} ... {}", paint("FAILED", "31", colour))?;
                failures.push((name, diagnostic));
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
        "\ntest result: {result}. {passed} passed; {} failed; {ignored} ignored; {} filtered out; finished in {:.2}s",
        failures.len(),
        left_out.len(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Phase;

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
        let hooks = vec![(Phase::Install, element.directory.join("element.rhai"), "install".to_owned())];
        (folder, TestedElement { element, variables: [("DIB_Z".to_owned(), "z".to_owned())].into(), hooks })
    }

    fn transcript(permissions: &[&str], filter: Option<&str>) -> (String, i32) {
        let (_folder, tested) = element(permissions);
        let selection = Selection { filters: filter.into_iter().map(str::to_owned).collect(), bless: false };
        let mut out = Vec::new();
        let status = run(&selection, &[Tested { element: tested, declarations: Ok(()) }], &mut out, false).unwrap();
        let text = String::from_utf8(out).unwrap();
        (text.split("; finished in").next().unwrap_or_default().to_owned(), status)
    }

    #[test]
    fn tests_are_reported_as_cargo_reports_them() {
        let (text, status) = transcript(&["packages", "write:/etc/vim"], None);
        assert_eq!(status, 1);
        insta::assert_snapshot!(text, @r#"
        running 9 tests
        test vim::declarations ... ok
        test vim::derived::runs_twice ... ok
        test vim::derived::stays_within_its_grants ... ok
        test vim::derived::is_repeatable ... ok
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

        test result: FAILED. 8 passed; 1 failed; 0 ignored; 0 filtered out
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

    #[test]
    fn a_test_runs_once_for_every_distribution_that_its_file_names() {
        let (folder, tested) = element(&["packages", "write:/etc/vim"]);
        let tests = "const DISTROS = [\"debian\", \"fedora\"];\nfn test_family(image) { assert_eq(image.family(), \"redhat\"); }\n";
        std::fs::write(folder.path().join("tests/family.rhai"), tests).unwrap();
        let selection = Selection { filters: vec!["family".into(), "runs_twice".into()], bless: false };
        let mut out = Vec::new();
        run(&selection, &[Tested { element: tested, declarations: Ok(()) }], &mut out, false).unwrap();
        let text = String::from_utf8(out).unwrap();
        for line in [
            "test vim::derived::runs_twice (debian) ... ok",
            "test vim::derived::runs_twice (fedora) ... ok",
            "test vim::family::test_family (debian) ... FAILED",
            "test vim::family::test_family (fedora) ... ok",
        ] {
            assert!(text.contains(line), "no `{line}` in\n{text}");
        }
    }

    #[test]
    fn effects_are_recorded_when_asked_and_compared_from_then_on() {
        let (folder, tested) = element(&["packages", "write:/etc/vim"]);
        let tested = [Tested { element: tested, declarations: Ok(()) }];
        let run = |bless| {
            let mut out = Vec::new();
            let selection = Selection { filters: vec!["derived::effects".into()], bless };
            let status = run(&selection, &tested, &mut out, false).unwrap();
            (String::from_utf8(out).unwrap(), status)
        };
        assert_eq!(run(false).1, 1, "there is nothing to compare with");
        assert_eq!(run(true).1, 0);
        let file = folder.path().join("tests/effects.debian.txt");
        let recorded = std::fs::read_to_string(&file).unwrap();
        assert_eq!(
            recorded,
            "install: install_packages([\"vim\"])\ninstall: write_file(\"/etc/vim/vimrc\", \"port 80 \")\n"
        );
        assert_eq!(run(false).1, 0);
        std::fs::write(&file, recorded.replace("port 80", "port 81")).unwrap();
        let (text, status) = run(false);
        assert!(status == 1 && text.contains("- install: write_file(\"/etc/vim/vimrc\", \"port 81 \")"), "{text}");
    }
}
