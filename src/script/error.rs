//! From Rhai's errors to diagnostics.
//!
//! In: an error, the sources. Out: a message in the reader's words and the places, innermost first. Rhai names the *called*
//! function's file in a frame but gives the position in the *caller's*: frame n's position belongs to the file that frame
//! n-1 announced. Not here: drawing (`crate::diagnostic`).

use rhai::{Dynamic, Engine, EvalAltResult, Map, ParseErrorType};

use super::host_error::HostError;
use super::image::{Image, Violation};
use super::nearest::nearest;
use super::source::Sources;
use super::{engine, image};
use crate::diagnostic::Diagnostic;

/// What `error` means to the author of the file called `entry`, when its function `called` ran with the image (`None` while
/// the file was compiled). The image knows the last verb called.
pub fn explain(
    engine: &Engine,
    called: Option<(&str, &Image)>,
    sources: &Sources,
    entry: &str,
    error: Box<EvalAltResult>,
) -> Diagnostic {
    let mut frames = Vec::new();
    let mut source = entry.to_owned();
    let mut error = error;
    // The function that was running, for errors that have nothing else.
    let mut function = called.map(|(function, _)| function.to_owned());
    let mut inner = loop {
        match *error {
            EvalAltResult::ErrorInFunctionCall(name, file, inner, position) => {
                frames.push((source.clone(), position, in_call(&name)));
                if !file.is_empty() {
                    source = file;
                }
                function = Some(name);
                error = inner;
            }
            EvalAltResult::ErrorInModule(name, inner, position) => {
                frames.push((source.clone(), position, "imported here".to_owned()));
                if !name.is_empty() {
                    source = name;
                }
                error = inner;
            }
            _ => break error,
        }
    };
    let mut position = inner.take_position();
    let mut note = String::new();
    if position.is_none()
        && limit(&inner)
        && let Some(last) = called.and_then(|(_, image)| image.last())
    {
        note = format!("the last verb called was `{}`, here", last.verb);
        (source, position) = (last.source, last.position);
        frames.clear();
    }
    let mut diagnostic = meaning(engine, *inner, function.as_deref());
    diagnostic.labels.extend(sources.label(&source, position, note));
    frames.reverse();
    diagnostic.labels.extend(frames.into_iter().filter_map(|(source, at, text)| sources.label(&source, at, text)));
    diagnostic
}

/// A refusal that the script caught.
pub fn violation(violation: &Violation, sources: &Sources) -> Diagnostic {
    let image::Site { source, position, .. } = &violation.site;
    let mut diagnostic = host(&violation.error).help("catching the error does not grant the permission");
    diagnostic.labels.extend(sources.label(source, *position, ""));
    diagnostic
}

fn in_call(name: &str) -> String {
    if name.starts_with("anon$") { "in this closure".to_owned() } else { format!("in this call to `{name}`") }
}

fn host(error: &HostError) -> Diagnostic {
    let mut diagnostic = Diagnostic::new(&error.code, &error.message);
    diagnostic.help.extend(error.help.clone());
    diagnostic
}

/// Errors that Rhai strips of their place on the way out.
fn limit(error: &EvalAltResult) -> bool {
    matches!(
        error,
        EvalAltResult::ErrorTooManyOperations(_)
            | EvalAltResult::ErrorStackOverflow(_)
            | EvalAltResult::ErrorDataTooLarge(..)
            | EvalAltResult::ErrorTooManyModules(_)
            | EvalAltResult::ErrorTerminated(..)
    )
}

fn meaning(engine: &Engine, error: EvalAltResult, function: Option<&str>) -> Diagnostic {
    use EvalAltResult as E;
    let during = function.map_or_else(String::new, |name| format!(" in `{name}`"));
    match error {
        E::ErrorRuntime(value, _) => thrown(&value),
        E::ErrorParsing(kind, _) => syntax(&kind),
        E::ErrorFunctionNotFound(signature, _) => no_function(engine, &signature),
        E::ErrorVariableNotFound(name, _) => Diagnostic::new("script.variable", format!("no variable `{name}`")),
        E::ErrorPropertyNotFound(name, _) => Diagnostic::new("script.property", format!("no property `{name}`")),
        E::ErrorModuleNotFound(name, _) => Diagnostic::new("script.import", format!("no import `{name}`")),
        E::ErrorTooManyOperations(_) => {
            let text =
                format!("the script did not end after {} million operations{during}", engine::OPERATIONS / 1_000_000);
            Diagnostic::new("limit.operations", text).help("look for a loop that never ends")
        }
        E::ErrorTerminated(why, _) if why.is_string() && why.to_string() == engine::TIME_OVER => {
            let text = format!("the script computed for more than {} s{during}", engine::TIME.as_secs_f64());
            Diagnostic::new("limit.time", text).help("look for a loop over too much data")
        }
        E::ErrorTerminated(why, _) if why.is_string() && why.to_string() == engine::TOO_MANY_CALLS => {
            let text = format!("the script called more than {} verbs{during}", engine::CALLS);
            Diagnostic::new("limit.verbs", text).help("look for a loop that never ends")
        }
        E::ErrorTerminated(..) => Diagnostic::new("limit.stopped", format!("the script was stopped{during}")),
        E::ErrorStackOverflow(_) => {
            let text = format!("functions called each other {} levels deep{during}", engine::CALL_LEVELS);
            Diagnostic::new("limit.calls", text).help("look for a function that calls itself without end")
        }
        E::ErrorDataTooLarge(what, _) => {
            let (text, entries) = (what.to_lowercase(), engine::ENTRIES);
            let size = engine::STRING >> 20;
            Diagnostic::new("limit.size", format!("a value grew too large{during}: {text}"))
                .help(format!("a string may have {size} MiB, an array or a map {entries} entries"))
        }
        E::ErrorMismatchDataType(wanted, got, _) | E::ErrorMismatchOutputType(wanted, got, _) => {
            Diagnostic::new("script.type", format!("expected `{wanted}`, found `{got}`"))
        }
        E::ErrorSystem(..) => Diagnostic::new("internal.error", lower(&error.to_string())),
        other => Diagnostic::new("script.failed", lower(&other.to_string())),
    }
}

/// A value that `throw` or a verb threw.
fn thrown(value: &Dynamic) -> Diagnostic {
    if let Some(error) = value.read_lock::<HostError>() {
        return host(&error);
    }
    if let Some(map) = value.read_lock::<Map>() {
        let text = |key: &str| map.get(key).map(ToString::to_string);
        if let Some(message) = text("message") {
            return Diagnostic::new(text("code").unwrap_or_else(|| "script.thrown".to_owned()), message);
        }
    }
    Diagnostic::new("script.thrown", if value.is_unit() { "the script gave up".to_owned() } else { value.to_string() })
}

fn syntax(kind: &ParseErrorType) -> Diagnostic {
    match kind {
        ParseErrorType::VariableUndefined(name) => Diagnostic::new("script.variable", format!("no variable `{name}`"))
            .help("functions see their parameters and the file's constants and imports, nothing else"),
        ParseErrorType::ModuleUndefined(name) => Diagnostic::new("script.import", format!("no import `{name}`"))
            .help(format!("write `import \"std/{name}\" as {name};` at the head of the file")),
        ParseErrorType::Reserved(name) => {
            Diagnostic::new("script.reserved", format!("`{name}` is a reserved word")).help("choose another name")
        }
        other => Diagnostic::new("script.syntax", lower(&other.to_string())),
    }
}

/// `signature` is `name (type, type)`, as Rhai has it.
fn no_function(engine: &Engine, signature: &str) -> Diagnostic {
    let (name, types) = signature.split_once(" (").unwrap_or((signature, ")"));
    let diagnostic = Diagnostic::new("script.function", format!("no function `{name}({types}"));
    let mut known = engine.gen_fn_signatures(true);
    known.sort();
    let with_name = |line: &&String| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('('));
    let same: Vec<&String> = known.iter().filter(with_name).collect();
    if !same.is_empty() {
        // Operators and getters of the language have dozens; a reader needs the few of a verb.
        let shown = same.iter().take(4).map(|line| readable(line));
        return shown.fold(diagnostic, |diagnostic, line| diagnostic.help(format!("there is `{line}`")));
    }
    let names = known.iter().filter_map(|line| line.split('(').next());
    let last = name.rsplit("::").next().unwrap_or(name);
    match nearest(last, names.filter(|name| name.chars().all(|letter| letter.is_alphanumeric() || letter == '_'))) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None => diagnostic,
    }
}

/// A signature in the words of a script's author.
fn readable(signature: &str) -> String {
    let arguments = signature.split(" -> ").next().unwrap_or(signature);
    let words = [
        ("&mut ", ""),
        ("&str", "string"),
        ("ImmutableString", "string"),
        ("Array", "array"),
        ("Map", "map"),
        ("Dynamic", "any"),
        ("FnPtr", "function"),
        ("i64", "int"),
        ("INT", "int"),
    ];
    words.iter().fold(arguments.to_owned(), |text, (from, to)| text.replace(from, to))
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::fixture::{Fixture, failure};

    #[test]
    fn a_missing_package_is_shown_with_every_call_that_led_to_it() {
        let fixture = Fixture::new(&["packages"]).file(
            "lib/all.rhai",
            "import \"std/packages\" as packages;\n\nfn all(image, names) {\n    packages::ensure(image, names);\n}\n",
        );
        fixture.target.add_package("vim", None);
        let text =
            "import \"./lib/all\" as mine;\n\nfn install(image) {\n    mine::all(image, [\"vim\", \"wim\"]);\n}\n";
        assert_snapshot!(fixture.script(text).unwrap_err().render(false), @r#"
        error[packages.missing]: package `wim` is not available
          --> std/packages.rhai:21:15
           |
        21 |         image.install_packages(missing);
           |               ^^^^^^^^^^^^^^^^
           |
          ::: vim/lib/all.rhai:4:15
           |
         4 |     packages::ensure(image, names);
           |               ------ in this call to `ensure`
           |
          ::: vim/element.rhai:4:11
           |
         4 |     mine::all(image, ["vim", "wim"]);
           |           --- in this call to `all`
        "#);
    }

    #[test]
    fn a_missing_permission_is_named_with_the_line_that_declares_it() {
        let text = "fn install(image) {\n    image.write_file(\"/etc/vim/vimrc\", \"\");\n}\n";
        assert_snapshot!(failure(&["write:/etc/vim-tiny"], text), @r#"
        error[permission.denied]: `write_file` needs the permission `write:/etc/vim/vimrc`
         --> vim/element.rhai:2:11
          |
        2 |     image.write_file("/etc/vim/vimrc", "");
          |           ^^^^^^^^^^
          |
          = help: declare it in `ELEMENT` of vim/element.rhai: `permissions: ["write:/etc/vim"]`
        "#);
    }

    #[test]
    fn a_caught_refusal_still_fails() {
        let text = "fn install(image) {\n    try { image.install_packages([\"vim\"]); } catch { }\n}\n";
        assert_snapshot!(failure(&[], text), @r#"
        error[permission.denied]: `install_packages` needs the permission `packages`
         --> vim/element.rhai:2:17
          |
        2 |     try { image.install_packages(["vim"]); } catch { }
          |                 ^^^^^^^^^^^^^^^^
          |
          = help: declare it in `ELEMENT` of vim/element.rhai: `permissions: ["packages"]`
          = help: catching the error does not grant the permission
        "#);
    }

    #[test]
    fn an_unknown_verb_gets_the_nearest_name() {
        let text = "fn install(image) {\n    image.instal_package([\"vim\"]);\n}\n";
        assert_snapshot!(failure(&["packages"], text), @r#"
        error[script.function]: no function `instal_package(Image, array)
         --> vim/element.rhai:2:11
          |
        2 |     image.instal_package(["vim"]);
          |           ^^^^^^^^^^^^^^
          |
          = help: did you mean `install_packages`?
        "#);
    }

    #[test]
    fn a_wrong_type_gets_the_right_signatures() {
        let text = "fn install(image) {\n    image.write_file(\"/a\", 42);\n}\n";
        assert_snapshot!(failure(&["write:/"], text), @r#"
        error[script.function]: no function `write_file(Image, &str | ImmutableString | String, i64)
         --> vim/element.rhai:2:11
          |
        2 |     image.write_file("/a", 42);
          |           ^^^^^^^^^^
          |
          = help: there is `write_file(image: Image, path: string, text: string)`
          = help: there is `write_file(image: Image, path: string, text: string, options: map)`
        "#);
    }

    #[test]
    fn a_misspelt_variable_is_found_before_anything_runs() {
        let text = "fn install(image) {\n    image.log(\"x\");\n    /* größe */ imge.log(\"x\");\n}\n";
        assert_snapshot!(failure(&[], text), @r#"
        error[script.variable]: no variable `imge`
         --> vim/element.rhai:3:17
          |
        3 |     /* größe */ imge.log("x");
          |                 ^^^^
          |
          = help: functions see their parameters and the file's constants and imports, nothing else
        "#);
    }

    #[test]
    fn an_unknown_option_of_a_verb_is_named() {
        let text = "fn install(image) {\n    image.write_file(\"/a\", \"\", #{ mod: 0o600 });\n}\n";
        assert_snapshot!(failure(&["write:/"], text), @r#"
        error[usage.option]: `write_file`: unknown field `mod`, expected one of `mode`, `owner`, `group`
         --> vim/element.rhai:2:11
          |
        2 |     image.write_file("/a", "", #{ mod: 0o600 });
          |           ^^^^^^^^^^
        "#);
    }

    #[test]
    fn an_unknown_option_of_the_element_gets_the_nearest_name() {
        assert_snapshot!(failure(&[], "fn install(image) {\n    image.option(\"prt\");\n}\n"), @r#"
        error[usage.option]: element `vim` has no option `prt`
         --> vim/element.rhai:2:11
          |
        2 |     image.option("prt");
          |           ^^^^^^
          |
          = help: did you mean `port`?
        "#);
    }

    #[test]
    fn a_failed_command_shows_its_last_lines() {
        let fixture = Fixture::new(&["run"]);
        let output = crate::target::RunOutput { status: 2, stdout: Vec::new(), stderr: b"one\ntwo\n".to_vec() };
        fixture.target.add_command(vec!["false".into()], output);
        let text = "fn install(image) {\n    image.run_in_chroot([\"false\", \"-x\"]);\n}\n";
        assert_snapshot!(fixture.script(text).unwrap_err().render(false), @r#"
        error[command.failed]: `false -x` ended with status 2; its last lines:
                                 one
                                 two
         --> vim/element.rhai:2:11
          |
        2 |     image.run_in_chroot(["false", "-x"]);
          |           ^^^^^^^^^^^^^
        "#);
    }

    #[test]
    fn an_endless_loop_names_the_last_verb() {
        let text = "fn install(image) {\n    image.exists(\"/etc\");\n    loop { }\n}\n";
        assert_snapshot!(failure(&[], text), @r#"
        error[limit.operations]: the script did not end after 10 million operations in `install`
         --> vim/element.rhai:2:11
          |
        2 |     image.exists("/etc");
          |           ^^^^^^ the last verb called was `exists`, here
          |
          = help: look for a loop that never ends
        "#);
    }

    #[test]
    fn a_syntax_error_in_an_import_shows_both_files() {
        let fixture = Fixture::new(&[]).file("lib/a.rhai", "fn a( {\n}\n");
        let text = "import \"./lib/a\" as a;\nfn install(image) {\n    a::a();\n}\n";
        assert_snapshot!(fixture.script(text).unwrap_err().render(false), @r#"
        error[script.syntax]: expecting ')' to close the parameters list of function 'a'
         --> vim/lib/a.rhai:1:7
          |
        1 | fn a( {
          |       ^
          |
         ::: vim/element.rhai:1:8
          |
        1 | import "./lib/a" as a;
          |        --------- imported here
        "#);
    }

    #[test]
    fn what_a_script_throws_is_its_own_words() {
        assert_snapshot!(failure(&[], "fn install(image) {\n    throw \"no disk\";\n}\n"), @r#"
        error[script.thrown]: no disk
         --> vim/element.rhai:2:5
          |
        2 |     throw "no disk";
          |     ^^^^^
        "#);
        assert_snapshot!(failure(&[], "fn install(image) {\n    image.fail(\"no disk\");\n}\n"), @r#"
        error[element.failed]: no disk
         --> vim/element.rhai:2:11
          |
        2 |     image.fail("no disk");
          |           ^^^^
        "#);
    }

    #[test]
    fn a_closure_is_called_a_closure() {
        let text = "fn install(image) {\n    [1].for_each(|| image.fail(\"no\"));\n}\n";
        assert_snapshot!(failure(&[], text), @r#"
        error[element.failed]: no
         --> vim/element.rhai:2:27
          |
        2 |     [1].for_each(|| image.fail("no"));
          |         --------          ^^^^
          |         |
          |         in this closure
          |         in this call to `for_each`
        "#);
    }

    #[test]
    fn a_missing_function_is_said_with_the_file() {
        assert_snapshot!(failure(&[], "fn instal(image) { }\n"), @r#"
        error[script.function]: vim/element.rhai has no function `install`
         |
         = help: there is `instal`; was `install` meant?
        "#);
    }
}
