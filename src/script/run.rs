//! Calls one function of one Rhai file.
//!
//! In: [`Call`], a target. Out: what it did, or why it failed with a place in the file. The script has a thread and a stack of
//! its own: it may use all its call levels, and a panic of the interpreter ends the script, not the build.
//! Not here: order of calls (`plan/`).

use std::sync::Arc;
use std::thread;

use camino::Utf8PathBuf;
use rhai::{AST, CallFnOptions, Dynamic, Engine, Scope};

use super::effect::Effect;
use super::engine;
use super::error;
use super::image::{Declared, Image, Test};
use super::imports::Imports;
use super::nearest::nearest;
use super::source::{self, Sources};
use crate::diagnostic::Diagnostic;
use crate::event::Events;
use crate::plan::PlannedElement;
use crate::target::fake::FakeTarget;
use crate::target::{Facts, Target};

/// Native stack of a script's thread; 64 call levels need up to 3 MiB without optimisation.
const STACK: usize = 16 << 20;

/// What to call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The element that the file belongs to.
    pub element: PlannedElement,
    /// The file: the element's `element.rhai` or one of its hooks.
    pub file: Utf8PathBuf,
    /// The function, named after its phase: `pre_install`.
    pub function: String,
    /// What it may ask about the build.
    pub facts: Facts,
}

/// Calls the function with the image and returns what it did.
///
/// # Errors
/// Whatever went wrong, with its place; a caught refusal of a permission too.
pub fn run(call: &Call, target: Arc<dyn Target>, events: &Events) -> Result<Vec<Effect>, Diagnostic> {
    let script = Script::new(&call.element, &call.file, call.facts.clone(), target, events, None)?;
    script.call(&call.function)?;
    Ok(script.image.effects())
}

/// Calls the function for what it says of the disk alone: on an image in memory, whose changes nobody sees.
///
/// # Errors
/// As [`run`].
pub fn declared(call: &Call, events: &Events) -> Result<(Vec<Declared>, Sources), Diagnostic> {
    let target = Arc::new(FakeTarget::new());
    let script = Script::new(&call.element, &call.file, call.facts.clone(), target, events, None)?;
    script.call(&call.function)?;
    Ok((script.image.declared(), script.sources))
}

/// A loaded file with its engine and image: good for one call.
pub struct Script {
    engine: Engine,
    ast: AST,
    sources: Sources,
    name: String,
    /// What the function gets.
    pub image: Image,
}

impl Script {
    /// Reads and compiles `file`; runs nothing.
    ///
    /// # Errors
    /// When it cannot be read, is no Rhai, or a grant of the element is no permission.
    pub fn new(
        element: &PlannedElement,
        file: &camino::Utf8Path,
        facts: Facts,
        target: Arc<dyn Target>,
        events: &Events,
        test: Option<Test>,
    ) -> Result<Self, Diagnostic> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Diagnostic::new("script.unreadable", format!("cannot read {file}: {error}")))?;
        let testing = test.is_some();
        let image = Image::new(element, facts, target, events, test)
            .map_err(|error| Diagnostic::new("permission.unknown", format!("element `{}`: {error}", element.name)))?;
        let (sources, name) = (Sources::default(), source::name(element, file));
        sources.add(&name, &text);
        let clock = image.clone();
        let imports = Imports::new(element, &sources);
        let engine = engine::engine(imports, events, move || clock.verbs(), testing);
        let mut ast =
            engine.compile(&text).map_err(|error| error::explain(&engine, None, &sources, &name, error.into()))?;
        ast.set_source(&name);
        Ok(Self { engine, ast, sources, name, image })
    }

    /// Names and numbers of parameters of the file's functions, in no order.
    pub fn functions(&self) -> Vec<(String, usize)> {
        self.ast.iter_functions().map(|function| (function.name.to_owned(), function.params.len())).collect()
    }

    /// Calls `function` on a thread of its own, with the image when it takes one argument.
    ///
    /// # Errors
    /// As [`run`].
    pub fn call(&self, function: &str) -> Result<(), Diagnostic> {
        let functions = self.functions();
        let with_image = match functions.iter().find(|(name, _)| name == function) {
            Some((_, 0)) => false,
            Some((_, 1)) => true,
            Some((_, count)) => {
                let text = format!("`{function}` in {} takes {count} parameters instead of the image only", self.name);
                return Err(
                    Diagnostic::new("script.parameters", text).help(format!("write `fn {function}(image) {{ … }}`"))
                );
            }
            None => {
                let missing = Diagnostic::new("script.function", format!("{} has no function `{function}`", self.name));
                return Err(match nearest(function, functions.iter().map(|(name, _)| name.as_str())) {
                    Some(near) => missing.help(format!("there is `{near}`; was `{function}` meant?")),
                    None => missing.help(format!("write `fn {function}(image) {{ … }}`")),
                });
            }
        };
        self.image.calling(function);
        let ended = on_own_thread(|| {
            // The file's own declarations run with each call: without them a function would see no imports.
            let options = CallFnOptions::new().eval_ast(true).with_tag(self.image.clone());
            let mut scope = Scope::new();
            if with_image {
                let arguments = (self.image.clone(),);
                self.engine.call_fn_with_options::<Dynamic>(options, &mut scope, &self.ast, function, arguments)
            } else {
                self.engine.call_fn_with_options::<Dynamic>(options, &mut scope, &self.ast, function, ())
            }
        })
        .map_err(|panic| {
            let text = format!("internal error in `{function}` of {}: {panic}", self.name);
            Diagnostic::new("internal.panic", text).help("this is a bug in kiln, please report it with this file")
        })?;
        if let Err(failed) = ended {
            return Err(error::explain(&self.engine, Some((function, &self.image)), &self.sources, &self.name, failed));
        }
        match self.image.violation() {
            Some(violation) => Err(error::violation(&violation, &self.sources)),
            None => Ok(()),
        }
    }
}

/// Runs `work` on a thread with a large stack; a panic becomes its text.
fn on_own_thread<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("script".into()).stack_size(STACK).spawn_scoped(scope, work);
        let thread = thread.map_err(|error| format!("cannot start a thread: {error}"))?;
        thread.join().map_err(|panic| match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => panic.downcast::<&str>().map_or_else(|_| "a panic".to_owned(), |text| (*text).to_owned()),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use crate::target::Target;

    fn code(permissions: &[&str], text: &str) -> String {
        Fixture::new(permissions).script(text).unwrap_err().code
    }

    #[test]
    fn an_element_acts_through_verbs_and_every_call_is_recorded() {
        let fixture = Fixture::new(&["packages", "write:/etc/vim"])
            .file("static/vimrc.j2", "set {{ what }}\n")
            .file("element.rhai", "import \"std/packages\" as packages;\nconst ELEMENT = #{ summary: \"x\" };\nconst HOME = \"/etc/vim\";\nfn install(image) {\n    packages::ensure(image, [\"vim\"]);\n    image.write_file(global::HOME + \"/vimrc\", image.render(\"static/vimrc.j2\", #{ what: \"number\" }), #{ mode: 0o600 });\n}\n");
        let effects = fixture.install().unwrap();
        let lines: Vec<_> = effects.iter().map(|e| (e.verb.as_str(), e.file.as_str(), e.line)).collect();
        assert_eq!(lines, [("install_packages", "std/packages.rhai", 21), ("write_file", "vim/element.rhai", 6)]);
        assert_eq!(fixture.target.read("/etc/vim/vimrc".into()).unwrap(), b"set number\n");
        assert_eq!(fixture.target.stat("/etc/vim/vimrc".into()).unwrap().unwrap().mode, 0o600);
    }

    #[test]
    fn a_runaway_script_is_stopped() {
        assert_eq!(code(&[], "fn install(image) { loop { } }"), "limit.operations");
        assert_eq!(code(&[], "fn install(image) { let s = \"x\"; loop { s += s; } }"), "limit.size");
        assert_eq!(code(&[], "fn install(image) { let a = [1]; loop { a += a; } }"), "limit.size");
        assert_eq!(code(&[], "fn f(x) { f(x + 1) } fn install(image) { f(0) }"), "limit.calls");
        let mutual = "fn f(x) { if x > 0 { [x].map(|y| g(y)) } } fn g(x) { f(x + 1) } fn install(image) { f(1) }";
        assert_eq!(code(&[], mutual), "limit.calls");
        assert_eq!(code(&[], "fn install(image) { try { loop { } } catch { } }"), "limit.operations");
    }

    #[test]
    fn deep_nesting_is_refused_before_it_runs() {
        let deep = format!("fn install(image) {{ let x = {}1{}; }}", "(".repeat(5000), ")".repeat(5000));
        assert_eq!(code(&[], &deep), "script.syntax");
    }

    #[test]
    fn the_statement_that_makes_the_optimiser_panic_is_a_plain_error() {
        let text = "const M = #{ a: 1 };\nM.a = 2;\nfn install(image) { }";
        assert_eq!(code(&[], text), "script.failed");
    }

    #[test]
    fn eval_sleep_and_exit_do_not_exist() {
        assert_eq!(code(&[], "fn install(image) { eval(\"1\"); }"), "script.syntax");
        assert_eq!(code(&[], "fn install(image) { sleep(1000); }"), "usage.sleep");
        assert_eq!(code(&[], "fn install(image) { sleep(1000.0); }"), "usage.sleep");
        assert_eq!(code(&[], "fn install(image) { exit(); }"), "usage.exit");
        assert_eq!(code(&[], "fn install(image) { exit(7); }"), "usage.exit");
    }

    #[test]
    fn imports_reach_the_library_and_the_elements_folder_only() {
        let with = |path: &str| {
            let fixture = Fixture::new(&[]).file("lib/a.rhai", "fn a() { }\n");
            std::fs::write(fixture.outside().join("secret.rhai"), "fn a() { }\n").unwrap();
            std::os::unix::fs::symlink("../../secret.rhai", fixture.element.directory.join("lib/link.rhai")).unwrap();
            let path = path.replace("OUTSIDE", fixture.outside().to_str().unwrap());
            fixture.script(&format!("import \"{path}\" as x;\nfn install(image) {{ }}\n")).map_err(|error| error.code)
        };
        assert!(with("./lib/a").is_ok());
        assert!(with("std/services").is_ok());
        assert_eq!(with("./../secret").unwrap_err(), "element.outside");
        assert_eq!(with("./lib/link").unwrap_err(), "element.outside");
        assert_eq!(with("OUTSIDE/secret").unwrap_err(), "import.denied");
        assert_eq!(with("lib/a").unwrap_err(), "import.denied");
        assert_eq!(with("./lib/none").unwrap_err(), "element.not-found");
        assert_eq!(with("std/nothing").unwrap_err(), "import.not-found");
        assert_eq!(with("std/../Cargo").unwrap_err(), "import.not-found");
    }

    #[test]
    fn files_that_import_each_other_are_refused() {
        let fixture = Fixture::new(&[]).file("a.rhai", "import \"./b\" as b;").file("b.rhai", "import \"./a\" as a;");
        let error = fixture.script("import \"./a\" as a;\nfn install(image) { }").unwrap_err();
        assert_eq!(error.code, "import.cycle");
        assert!(error.message.contains("vim/a.rhai -> vim/b.rhai -> vim/a.rhai"), "{}", error.message);
    }

    #[test]
    fn a_symlink_in_the_image_does_not_widen_a_grant() {
        let trick =
            "fn install(image) { image.symlink(\"/etc\", \"/srv/a/x\"); image.write_file(\"/srv/a/x/shadow\", \"\"); }";
        let error = Fixture::new(&["write:/srv/a"]).script(trick).unwrap_err();
        assert_eq!(error.code, "permission.denied");
        assert!(error.message.contains("leads to `/etc/shadow`"), "{}", error.message);
        // The granted folder itself replaced by a link.
        let trick =
            "fn install(image) { image.symlink(\"/etc\", \"/srv/a\"); image.write_file(\"/srv/a/shadow\", \"\"); }";
        assert_eq!(code(&["write:/srv/a"], trick), "permission.denied");
        let trick = "fn install(image) { image.write_file(\"/srv/a/../../etc/shadow\", \"\"); }";
        assert_eq!(code(&["write:/srv/a"], trick), "permission.denied");
        let trick = "fn install(image) { image.symlink(\"/etc/shadow\", \"/srv/a/x\"); image.append_to_file(\"/srv/a/x\", \"\"); }";
        assert_eq!(code(&["write:/srv/a"], trick), "permission.denied");
    }

    #[test]
    fn two_grants_do_not_widen_each_other() {
        let trick =
            "fn install(image) { image.symlink(\"/\", \"/srv/a/x\"); image.write_file(\"/etc/shadow\", \"\"); }";
        assert_eq!(code(&["write:/srv/a", "write:/srv/a/x/etc"], trick), "permission.denied");
        let useful = "fn install(image) { image.write_file(\"/srv/a/b/c\", \"\"); }";
        Fixture::new(&["write:/srv/a", "write:/srv/a/b"]).script(useful).unwrap();
    }

    #[test]
    fn a_template_without_end_is_stopped() {
        let loops = "{% for a in range(10000) %}{% for b in range(10000) %}{% for c in range(10000) %}x{% endfor %}{% endfor %}{% endfor %}";
        let fixture = Fixture::new(&[]).file("static/t.j2", loops);
        let error = fixture.script("fn install(image) { image.render(\"static/t.j2\", #{}); }").unwrap_err();
        assert_eq!(error.code, "template.failed");
    }

    #[test]
    fn a_text_that_grows_without_end_is_stopped() {
        let text = "fn install(image) { image.write_file(\"/srv/x\", \"0123456789abcdef\"); for i in 0..40 { image.edit_file(\"/srv/x\", \"(?s).+\", \"$0$0\"); } }";
        assert_eq!(code(&["write:/srv"], text), "limit.string");
    }

    #[test]
    fn a_grant_below_a_merged_folder_covers_its_real_place() {
        let fixture = Fixture::new(&["write:/lib/systemd"]);
        fixture.target.symlink("usr/lib".into(), "/lib".into()).unwrap();
        let fixture =
            fixture.file("element.rhai", "fn install(image) { image.write_file(\"/lib/systemd/x\", \"1\"); }");
        fixture.install().unwrap();
        assert_eq!(fixture.target.read("/usr/lib/systemd/x".into()).unwrap(), b"1");
    }

    #[test]
    fn copy_in_takes_nothing_from_outside_the_element() {
        let text = "fn install(image) { image.copy_in(\"../secret\", \"/etc/x\"); }";
        assert_eq!(code(&["write:/"], text), "element.outside");
        let fixture = Fixture::new(&["write:/opt"]).file("static/d/run", "#!\n").file("static/d/sub/f", "f");
        std::os::unix::fs::symlink("/etc/passwd", fixture.element.directory.join("static/d/link")).unwrap();
        let fixture = fixture.file("element.rhai", "fn install(image) { image.copy_in(\"static/d\", \"/opt/d\"); }");
        fixture.install().unwrap();
        assert_eq!(fixture.target.read("/opt/d/sub/f".into()).unwrap(), b"f");
        assert_eq!(fixture.target.read_link("/opt/d/link".into()).unwrap(), "/etc/passwd");
    }

    #[test]
    fn a_panic_ends_the_script_and_not_the_program() {
        let ended = super::on_own_thread(|| -> i32 { std::panic::resume_unwind(Box::new("boom".to_owned())) });
        assert_eq!(ended.unwrap_err(), "boom");
        assert_eq!(super::on_own_thread(|| 7).unwrap(), 7);
    }

    #[test]
    fn every_file_of_the_library_loads_and_works() {
        let text = r#"
            import "std/files" as files;
            import "std/packages" as packages;
            import "std/services" as services;
            fn install(image) {
                files::write_once(image, "/etc/a", "1");
                files::write_once(image, "/etc/a", "2");
                files::write_script(image, "/etc/b.sh", "x");
                files::truncate(image, "/etc/none");
                packages::ensure(image, ["vim"]);
                packages::ensure(image, ["vim"]);
                if !packages::installed(image, "vim") { throw "vim"; }
                if image.read_file("/etc/a") != "1" || image.stat("/etc/b.sh").mode != 0o755 { throw "files"; }
                services::add(image, "job.service", "[Install]\nWantedBy=multi-user.target\n");
                services::disable(image, "job");
                files::remove_all(image, ["/etc/[ab]*"]);
                if image.exists("/etc/a") || image.exists("/etc/b.sh") || image.exists("/etc/none") { throw "removed"; }
            }
        "#;
        let effects = Fixture::new(&["packages", "services", "write:/etc"]).script(text);
        let effects = effects.unwrap_or_else(|error| panic!("{}", error.render(false)));
        assert_eq!(effects.iter().filter(|effect| effect.verb == "install_packages").count(), 1);
        assert!(effects.iter().all(|effect| effect.file.starts_with("std/") && effect.line > 0));
    }

    #[test]
    fn users_and_commands_take_their_options() {
        let text = r#"
            fn install(image) {
                image.add_group("web", #{ gid: 500 });
                image.add_group("a");
                image.add_user("web", #{ uid: 500, group: "web", groups: ["a"], shell: "/bin/sh" });
                image.add_user("root");
                let ended = image.run_in_chroot(["false"], #{ check: false, env: #{ A: "b" }, stdin: "x", timeout: 5 });
                if ended.status != 1 || ended.stdout != "out" { throw "status"; }
                try { image.run_in_chroot(["false"]); throw "no error"; } catch (err) { if err.code != "command.failed" { throw err; } }
            }
        "#;
        let fixture = Fixture::new(&["users", "run"]);
        let output = crate::target::RunOutput { status: 1, stdout: b"out".to_vec(), stderr: Vec::new() };
        fixture.target.add_command(vec!["false".into()], output);
        let fixture = fixture.file("element.rhai", text);
        fixture.install().unwrap_or_else(|error| panic!("{}", error.render(false)));
        let text = |path: &str| String::from_utf8(fixture.target.read(path.into()).unwrap()).unwrap();
        assert!(text("/etc/passwd").ends_with("web:x:500:500::/home/web:/bin/sh\n"), "{}", text("/etc/passwd"));
        assert_eq!(text("/etc/group"), "root:x:0:\nweb:x:500:\na:x:1000:web\n");
        assert_eq!(text("/etc/shadow"), "web:!::0:99999:7:::\n");
    }

    #[test]
    fn a_panic_inside_a_verb_is_reported_as_a_bug() {
        struct Broken;
        impl crate::target::Packages for Broken {
            fn install(&self, _: &[String]) -> Result<(), crate::target::TargetError> {
                std::panic::resume_unwind(Box::new("boom"))
            }
            fn remove(&self, _: &[String]) -> Result<(), crate::target::TargetError> {
                Ok(())
            }
            fn update(&self) -> Result<(), crate::target::TargetError> {
                Ok(())
            }
            fn version(&self, _: &str) -> Result<Option<String>, crate::target::TargetError> {
                Ok(None)
            }
        }
        let root = tempfile::tempdir().unwrap();
        let root = camino::Utf8Path::from_path(root.path()).unwrap().to_owned();
        let events = crate::event::Events::none();
        let tree = crate::target::tree::Tree::new(&root, std::sync::Arc::new(Broken), events.clone()).unwrap();
        let text = "fn install(image) { try { image.install_packages([\"vim\"]); } catch { } }";
        let fixture = Fixture::new(&["packages"]).file("element.rhai", text);
        let call = super::Call {
            element: fixture.element.clone(),
            file: fixture.element.directory.join("element.rhai"),
            function: "install".into(),
            facts: super::super::testing::facts(&fixture.element),
        };
        let error = super::run(&call, std::sync::Arc::new(tree), &events).unwrap_err();
        assert_eq!(error.code, "internal.panic");
        assert_eq!(error.message, "internal error in `install` of vim/element.rhai: boom");
        assert!(error.help[0].contains("report"));
    }

    #[test]
    fn host_files_are_read_below_the_granted_path_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap().to_owned();
        std::fs::create_dir(folder.path().join("in")).unwrap();
        std::fs::write(folder.path().join("in/a"), "a").unwrap();
        std::fs::write(folder.path().join("b"), "b").unwrap();
        std::os::unix::fs::symlink("../b", folder.path().join("in/link")).unwrap();
        let grant = format!("read-host:{path}/in");
        let read = |file: &str| {
            let text = format!("fn install(image) {{ image.read_host_file(\"{path}/{file}\"); }}");
            Fixture::new(&[&grant]).script(&text).map_err(|error| error.code)
        };
        assert!(read("in/a").is_ok());
        assert_eq!(read("b").unwrap_err(), "permission.denied");
        assert_eq!(read("in/link").unwrap_err(), "permission.denied");
        assert_eq!(read("in/../b").unwrap_err(), "permission.denied");
        assert_eq!(read("none").unwrap_err(), "permission.denied");
        assert_eq!(read("in/none").unwrap_err(), "io.not-found");
    }

    #[test]
    fn services_are_enabled_by_what_their_units_say() {
        let fixture = Fixture::new(&["services"]);
        let unit = b"[Install]\nWantedBy=multi-user.target\nAlias=sshd.service\n";
        fixture.target.write("/usr/lib/systemd/system/ssh.service".into(), unit, Default::default()).unwrap();
        let fixture = fixture.file("element.rhai", "import \"std/services\" as services;\nfn install(image) { services::enable(image, \"ssh\"); image.mask_service(\"apt-daily.timer\"); }");
        fixture.install().unwrap();
        let link = |path: &str| fixture.target.read_link(path.into()).map(String::from).ok();
        let wants = "/etc/systemd/system/multi-user.target.wants/ssh.service";
        assert_eq!(link(wants).as_deref(), Some("/usr/lib/systemd/system/ssh.service"));
        assert_eq!(link("/etc/systemd/system/sshd.service").as_deref(), Some("/usr/lib/systemd/system/ssh.service"));
        assert_eq!(link("/etc/systemd/system/apt-daily.timer").as_deref(), Some("/dev/null"));
        let fixture = fixture.file("element.rhai", "fn install(image) { image.disable_service(\"ssh\"); }");
        fixture.install().unwrap();
        assert_eq!(fixture.target.stat(wants.into()).unwrap(), None);
        assert_eq!(fixture.target.stat("/etc/systemd/system/sshd.service".into()).unwrap(), None);
    }

    #[test]
    fn a_script_branches_on_an_errors_code() {
        let text = "fn install(image) { try { image.read_file(\"/none\"); } catch (err) { if err.code != \"io.not-found\" { throw err; } } }";
        Fixture::new(&[]).script(text).unwrap();
    }

    #[test]
    fn reading_verbs_see_lines_and_patterns() {
        let text = "fn install(image) {\n    let found = image.lines(\"/etc/passwd\", \"^root:\");\n    if found.len != 1 { throw \"lines\"; }\n    let g = image.glob(\"/etc/pass*\");\n    if g != [\"/etc/passwd\"] { throw `glob ${g}`; }\n    if image.stat(\"/etc\").kind != \"directory\" { throw \"stat\"; }\n    if image.stat(\"/none\") != () { throw \"none\"; }\n    if image.env(\"DIB_X\") != \"\" { throw \"env\"; }\n    if image.option(\"port\") != 80 { throw \"option\"; }\n}\n";
        if let Err(error) = Fixture::new(&[]).script(text) {
            panic!("{}", error.render(false));
        }
    }
}
