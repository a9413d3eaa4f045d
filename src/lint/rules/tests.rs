//! Each rule finds what it is for, at its place, and finds nothing in a good element.

use std::os::unix::fs::PermissionsExt;
use std::rc::Rc;

use camino::{Utf8Path, Utf8PathBuf};

use crate::lint::subject::Surroundings;
use crate::lint::{Finding, Subject, fix, rules, run};

const MANIFEST: &str = "const ELEMENT = #{ summary: \"s\", permissions: [\"write:/etc/x\"] };\n";
const BASH: &str = "#!/bin/bash\nif [ ${DIB_DEBUG_TRACE:-0} -gt 0 ]; then\n    set -x\nfi\nset -eu\nset -o pipefail\n";

struct Folder(tempfile::TempDir);

impl Folder {
    /// An element called `vim`; a path that begins with `+` is executable.
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(folder.path()).unwrap();
        for (path, text) in files {
            let executable = path.starts_with('+');
            let path = folder.path().join(path.trim_start_matches('+'));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            let mode = if executable { 0o755 } else { 0o644 };
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        folder
    }

    fn path(&self) -> Utf8PathBuf {
        Utf8Path::from_path(self.0.path()).unwrap().join("vim")
    }

    fn findings(&self) -> Vec<Finding> {
        let names = ["vim", "base"].map(str::to_owned).into();
        let surroundings = Rc::new(Surroundings { names, ignored: vec!["indent".into()] });
        run::check(&Subject::read("vim", &self.path(), &surroundings).unwrap())
    }

    /// Rule, file and line of each finding, without those that small examples always have.
    fn found(&self) -> Vec<String> {
        let small = ["missing-readme", "missing-tests"];
        let findings = self.findings().into_iter().filter(|finding| !small.contains(&finding.rule.name));
        let shown = findings.map(|finding| {
            let file = finding.file.as_ref().map_or("-", |file| file.as_str()).to_owned();
            let line = finding.region().map_or(0, |((line, _), _)| line);
            format!("{} {file}:{line}", finding.rule.name)
        });
        shown.collect()
    }
}

fn found(files: &[(&str, &str)]) -> Vec<String> {
    Folder::new(files).found()
}

/// What is found in an element.rhai that has a manifest and this code.
fn in_script(code: &str) -> Vec<String> {
    found(&[("element.rhai", &format!("{MANIFEST}{code}\n"))])
}

#[test]
fn a_good_element_has_no_findings() {
    let folder = Folder::new(&[
        ("README.md", "# vim\n"),
        (
            "element.rhai",
            "import \"./lib/theme\" as theme;\nimport \"std/files\" as files;\nconst ELEMENT = #{\n    summary: \"s\",\n    depends: [\"base\"],\n    permissions: [\"write:/etc/x\"],\n};\nconst HOME = \"/etc/x\";\nfn install(image) {\n    files::write_script(image, global::HOME + \"/a\", theme::dark());\n    let actions = #{ act: |x| x + 1 };\n    image.write_file(`/etc/x/${actions.act(1)}`, [1, 2].map(|n| n.to_string()).len().to_string());\n}\n",
        ),
        ("lib/theme.rhai", "fn dark() { \"dark\" }\n"),
        (
            "tests/install.rhai",
            "import \"./element\" as vim;\nfn test_it(image) { vim::install(image); assert(image.exists(\"/etc/x/a\")); }\n",
        ),
        ("+pre-install.d/10-old", BASH),
        ("environment.d/10-x", "export A=1\nexport B=$((A + 1))\n"),
    ]);
    assert_eq!(folder.findings(), []);
}

#[test]
fn rules_about_scripts_find_their_place() {
    assert_eq!(
        in_script(
            "fn install(image) {\n    image.write_fil(\"/etc/x/a\", \"\"); image.write_file(\"/etc/x/a\", \"\");\n}"
        ),
        ["unknown-function element.rhai:3"]
    );
    assert_eq!(in_script("fn install(image) {\n    image.write_file(\"/etc/x\");\n}"), ["wrong-arity element.rhai:3"]);
    assert_eq!(
        in_script("fn act(image) { image.write_file(\"/etc/x\", \"\") }\nfn exists(image, path) { true }"),
        ["shadows-host element.rhai:3"]
    );
    assert_eq!(
        in_script("fn act(image) { image.write_file(\"/etc/x\", \"\") }\nfn Image.stop(a) { }"),
        ["typed-method element.rhai:3"]
    );
    assert_eq!(
        in_script("import \"std/files\" as files;\nfn install(image) { image.remove(\"/etc/x\"); }"),
        ["unused-import element.rhai:2"]
    );
    assert_eq!(
        in_script(
            "import \"std/fils\" as f;\nimport \"./no\" as n;\nimport \"no\" as o;\nfn install(image) { image.remove(\"/etc/x\"); f::a(); n::a(); o::a(); }"
        ),
        ["unknown-import element.rhai:2", "unknown-import element.rhai:3", "unknown-import element.rhai:4"]
    );
    assert_eq!(
        in_script("fn install(image) {\n    if image.family() == \"debian\" { image.remove(\"/etc/x\"); }\n}"),
        ["family-check element.rhai:3"]
    );
    assert_eq!(
        in_script("fn install(image) { image.remove(\"/etc/x\"); }\nprint(1);"),
        ["declarations-only element.rhai:3"]
    );
    assert_eq!(in_script("fn install(image) {\n    let = 1;\n}"), ["syntax element.rhai:3"]);
    assert_eq!(in_script("fn install(image, more) { image.remove(\"/etc/x\"); }"), ["phase-arity element.rhai:2"]);
    assert_eq!(in_script("fn instal(image) { image.remove(\"/etc/x\"); }"), ["unknown-phase element.rhai:2"]);
    let library = found(&[
        (
            "element.rhai",
            &format!("import \"./lib/a\" as packages;\n{MANIFEST}fn install(image) {{ packages::a(image); }}\n"),
        ),
        ("lib/a.rhai", "fn a(image) { image.remove(\"/etc/x\"); }\n"),
    ]);
    assert_eq!(library, ["reserved-alias element.rhai:1"]);
}

#[test]
fn rules_about_the_manifest_find_their_place() {
    let manifest = |fields: &str| {
        found(&[("element.rhai", &format!("const ELEMENT = #{{\n    summary: \"s\",\n    {fields}\n}};\n"))])
    };
    assert_eq!(manifest("depend: []"), ["manifest-field element.rhai:3"]);
    assert_eq!(manifest("depends: [\"a\" + \"b\"]"), ["manifest-literal element.rhai:3"]);
    assert_eq!(manifest("permissions: [\"pakages\"]"), ["unknown-permission element.rhai:3"]);
    assert_eq!(manifest("depends: [\"bsae\"]"), ["unknown-dependency element.rhai:3"]);
    assert_eq!(found(&[("element-deps", "nothing-like-it\n")]), ["unknown-dependency element-deps:1"]);
}

#[test]
fn permissions_are_compared_with_what_scripts_call_also_through_the_library() {
    let with = |permissions: &str, code: &str| {
        found(&[(
            "element.rhai",
            &format!(
                "import \"std/services\" as services;\nconst ELEMENT = #{{\n    summary: \"s\", permissions: [{permissions}],\n}};\nfn install(image) {{\n    services::add(image, \"a\", \"\");\n    {code}\n}}\n"
            ),
        )])
    };
    assert_eq!(with("\"services\"", ""), [""; 0]);
    // `services::add` calls two verbs
    assert_eq!(with("", ""), ["undeclared-permission element.rhai:6", "undeclared-permission element.rhai:6"]);
    assert_eq!(with("\"services\", \"packages\"", ""), ["unused-permission element.rhai:3"]);
    assert_eq!(with("\"services\"", "image.write_file(\"/etc/x\", \"\");"), ["undeclared-permission element.rhai:7"]);
    assert_eq!(
        with("\"services\", \"write:/srv\"", "image.write_file(\"/etc/x\", \"\");"),
        ["unused-permission element.rhai:3", "undeclared-permission element.rhai:7"]
    );
    assert_eq!(with("\"services\", \"write:/etc/x\"", "image.write_file(\"/etc/x/a\", \"\");"), [""; 0]);
    assert_eq!(with("\"services\", \"write:/etc/x\"", "let a = \"/etc/x/a\"; image.write_file(a, \"\");"), [""; 0]);
    assert_eq!(
        with("\"services\", \"write:/etc\"", "image.write_file(`/srv/${1}`, \"\");"),
        ["unused-permission element.rhai:3", "undeclared-permission element.rhai:7"]
    );
    assert_eq!(with("\"services\", \"write:/etc/x\"", "image.write_file(`/etc/${1}`, \"\");"), [""; 0]);
    assert_eq!(with("\"services\", \"write:/usr/lib/x\"", "image.write_file(\"/lib/x/a\", \"\");"), [""; 0]);
    assert_eq!(with("\"services\"", "let list = [1]; list.remove(0); list.extract(0, 1);"), [""; 0]);
    assert_eq!(with("\"services\", \"network\"", ""), ["unused-permission element.rhai:3"]);
    assert_eq!(with("\"services\", \"network\", \"run\"", "image.run_in_chroot([\"a\"]);"), [""; 0]);
}

#[test]
fn rules_about_shell_and_files_find_their_place() {
    assert_eq!(
        found(&[("+bin/a", "#!/bin/bash\n")]),
        ["debug-trace bin/a:0", "set-e bin/a:0", "set-pipefail bin/a:0", "set-u bin/a:0"]
    );
    assert_eq!(found(&[("+bin/a", "#!/bin/sh\n")]), ["set-e bin/a:0"]);
    assert_eq!(found(&[("+bin/a", "#!/bin/sh -eu\n")]), [""; 0]);
    let bash = |path: &str, line: &str| found(&[(path, &format!("{BASH}{line}\n"))]);
    assert_eq!(bash("bin/a", ""), ["executable bin/a:0"]);
    assert_eq!(bash("+bin/a", "\ttrue"), ["tabs bin/a:7"]);
    assert_eq!(bash("+bin/a", "a=$(which ls)"), ["which bin/a:7"]);
    assert_eq!(bash("+bin/a", "echo \"in which all is well\" # which it is"), [""; 0]);
    assert_eq!(bash("+bin/a", "export A=$(date)"), ["export-substitution bin/a:7"]);
    assert_eq!(bash("+finalise.d/50-a", "sudo rm /etc/x"), ["unsafe-sudo finalise.d/50-a:7"]);
    assert_eq!(bash("+finalise.d/50-a", "sudo rm $TARGET_ROOT/etc/x"), [""; 0]);
    assert_eq!(bash("+finalise.d/50-a", "sudo rm \\\n    $TARGET_ROOT/etc/x"), [""; 0]);
    assert_eq!(bash("+install.d/50-a", "sudo rm /etc/x"), [""; 0]);
    assert_eq!(bash("install.d/50-a", ""), ["hook-not-run install.d/50-a:0"]);
    assert_eq!(bash("+install.d/50-a.sh", ""), ["hook-not-run install.d/50-a.sh:0"]);
    let copies = format!("{BASH}cp $(dirname $0)/a.conf /etc/a.conf\n");
    assert_eq!(found(&[("+install.d/50-a", &copies), ("install.d/a.conf", "a\n")]), [""; 0]);
    assert_eq!(
        found(&[("+install.d/50-a", &copies), ("install.d/b.conf", "a\n")]),
        ["hook-not-run install.d/b.conf:0"]
    );
    assert_eq!(bash("+finalize.d/50-a", ""), ["unknown-folder -:0"]);
    assert_eq!(found(&[("+bin/a", &BASH.replace("/bin/bash", "/usr/bin/env bash"))]), ["shebang bin/a:1"]);
    assert_eq!(
        found(&[("+environment.d/10-a", "set -x\n")]),
        ["environment-executable environment.d/10-a:0", "environment-trace environment.d/10-a:1"]
    );
    assert_eq!(found(&[("element-deps", "vim\nbase")]), ["final-newline element-deps:0", "deps-sorted element-deps:2"]);
    assert_eq!(found(&[("pkg-map", "{\n")]), ["package-map -:0"]);
    assert_eq!(found(&[("static/x.yaml", "a: [\n")]), ["yaml static/x.yaml:0"]);
    assert_eq!(found(&[("svc-map", "a: [\n")]), ["yaml svc-map:0"]);
    assert_eq!(found(&[("block-device-default.yaml", "- nothing: {}\n")]), ["yaml block-device-default.yaml:1"]);
    assert_eq!(found(&[("package-installs.yaml", "p: {when: []\n")]).len(), 1);
}

#[test]
fn an_indent_is_found_unless_the_project_does_not_want_to_hear_of_it() {
    let text = format!("{BASH}if true; then\n  true\nfi\n");
    let folder = Folder::new(&[("+bin/a", &text)]);
    assert_eq!(folder.found(), [""; 0], "tox.ini says so");
    let subject = Subject::read("vim", &folder.path(), &Rc::default()).unwrap();
    assert!(run::check(&subject).iter().any(|finding| finding.rule.name == "indent"));
}

#[test]
fn comments_switch_rules_off() {
    let compared = "if image.family() == \"a\" { image.remove(\"/etc/x\"); }";
    assert_eq!(
        in_script(&format!("fn install(image) {{\n    // kiln-lint: allow family-check\n    {compared}\n}}")),
        [""; 0]
    );
    assert_eq!(in_script(&format!("fn install(image) {{\n    // kiln-lint: allow which\n    {compared}\n}}")).len(), 1);
    assert_eq!(
        in_script(&format!("// kiln-lint: allow-file family-check\nfn install(image) {{\n\n    {compared}\n}}")),
        [""; 0]
    );
    assert_eq!(found(&[("+bin/a", "#!/bin/bash\n# dib-lint: disable=sete setu setpipefail dibdebugtrace\n")]), [""; 0]);
    assert_eq!(found(&[("+finalise.d/50-a", &format!("{BASH}sudo true # dib-lint: safe_sudo\n"))]), [""; 0]);
    let manifest = format!(
        "// kiln-lint: allow-file missing-readme, missing-tests\n{MANIFEST}fn install(image) {{ image.remove(\"/etc/x\"); }}\n"
    );
    assert_eq!(Folder::new(&[("element.rhai", &manifest)]).findings(), []);
}

#[test]
fn what_is_certain_is_mended_and_stays_so() {
    let folder = Folder::new(&[
        ("README.md", "vim"),
        (
            "element.rhai",
            &format!("import \"std/files\" as files;\n{MANIFEST}fn install(image) {{ image.remove(\"/etc/x\"); }}"),
        ),
        ("tests/a.rhai", "import \"std/files\" as files;\nfn test_a(image) { }\n"),
        ("install.d/50-a", "#!/bin/sh\ntrue\n"),
        ("+environment.d/10-a", "A=1\n"),
        ("bin/a", "#!/bin/sh -e"),
        ("element-deps", "vim\nbase\n"),
    ]);
    let findings = folder.findings();
    assert!(findings.iter().all(|finding| finding.fix.is_some()), "{findings:#?}");
    assert_eq!(fix::apply(&folder.path(), &findings).unwrap(), findings.len());
    assert_eq!(folder.findings(), []);
    let read = |path: &str| std::fs::read_to_string(folder.path().join(path)).unwrap();
    assert_eq!(read("install.d/50-a"), "#!/bin/sh\nset -e\ntrue\n");
    assert_eq!(read("tests/a.rhai"), "fn test_a(image) { }\n");
    assert_eq!(read("element-deps"), "base\nvim\n");
    assert_eq!(read("bin/a"), "#!/bin/sh -e\n");
    let mode = |path: &str| std::fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("install.d/50-a"), mode("environment.d/10-a")), (0o755, 0o644));
}

#[test]
fn rules_have_unique_sorted_names_and_documentation_that_says_what_to_do() {
    let names: Vec<&str> = rules::ALL.iter().map(|rule| rule.name).collect();
    assert!(names.is_sorted(), "{names:?}");
    for rule in rules::ALL {
        let paragraphs = rule.docs.split("\n\n").count();
        assert!(paragraphs >= 2 && rule.summary().ends_with('.'), "{}", rule.name);
        assert_eq!(rules::find(rule.name).unwrap().name, rule.name);
    }
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lint/rules")).unwrap();
    let files = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> = files.map(|name| name.replace('_', "-").replace(".rs", "")).collect();
    files.retain(|name| !["mod", "tests"].contains(&name.as_str()));
    files.sort();
    assert_eq!(files, names);
}
