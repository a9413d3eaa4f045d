//! dib-run-parts: which files it runs, in which order, and what it says.

use super::*;

/// A folder of hooks whose names sort in every way that matters.
fn hooks(sandbox: &Sandbox) -> PathBuf {
    let folder = sandbox.path().join("hooks/install.d");
    for name in ["100-q", "20-z", "010-d", "10-b", "3-x", "-3x", "foo"] {
        write(&folder.join(name), &format!("#!/bin/bash\necho \"{name} ${{FOO:-}}\"\n"), 0o755);
    }
    write(&folder.join("50-no-shebang"), "echo by bash\n", 0o755);
    write(&folder.join("60-data"), "", 0o644);
    write(&folder.join("70-unit.service"), "", 0o755);
    write(&folder.join("static/80-below"), "#!/bin/sh\necho never\n", 0o755);
    symlink("10-b", folder.join("11-link")).unwrap();
    symlink("/nowhere", folder.join("12-dangling")).unwrap();
    folder
}

const ORDER: &[&str] = &["-3x", "foo", "3-x", "010-d", "10-b", "11-link", "20-z", "50-no-shebang", "100-q"];

fn run(library: &Path, folder: &Path, extra: &[(&str, &str)]) -> Output {
    hook(library.join("dib-run-parts"), library).arg(folder).envs(extra.iter().copied()).output().unwrap()
}

#[test]
fn hooks_are_chosen_by_name_and_run_by_number() {
    let sandbox = Sandbox::new();
    let (library, folder) = (library(&sandbox), hooks(&sandbox));
    let list = hook(library.join("dib-run-parts"), &library).arg("--list").arg(&folder).output().unwrap();
    let expected: Vec<_> = ORDER.iter().map(|name| format!("{}/{name}", folder.display())).collect();
    assert_eq!(said(&list).lines().collect::<Vec<_>>(), expected);

    let output = said(&run(&library, &folder, &[]));
    assert_eq!(output, "-3x \nfoo \n3-x \n010-d \n10-b \n10-b \n20-z \nby bash\n100-q \n");

    let only = run(&library, &folder, &[("RUN_PARTS_REGEX", "^[0-9]+-z$")]);
    assert_eq!(said(&only), "20-z \n");
}

#[test]
fn the_transcript_has_a_line_for_each_step_and_ends_with_the_times() {
    let sandbox = Sandbox::new();
    let library = library(&sandbox);
    let folder = sandbox.path().join("in_target.d/pre-install.d");
    write(&folder.join("04-foo"), "#!/bin/bash\nsleep 0.12\n", 0o755);
    write(&folder.join("20-bar"), "#!/bin/bash\necho \"$FOO\"\n", 0o755);
    write(&folder.join("../environment.d/10-x.bash"), "export FOO=bar\n", 0o644);
    let output = run(&library, &folder, &[]);
    assert_eq!(said(&output), "bar\n");
    let shown = folder.display();
    let transcript = stderr(&output);
    let lines: Vec<_> = transcript.lines().collect();
    let steps = [
        format!("dib-run-parts Sourcing environment file {shown}/../environment.d/10-x.bash"),
        format!("+ source {shown}/../environment.d/10-x.bash"),
        "++ export FOO=bar".into(),
        "++ FOO=bar".into(),
        format!("dib-run-parts Running {shown}/04-foo"),
        "dib-run-parts 04-foo completed".into(),
        format!("dib-run-parts Running {shown}/20-bar"),
        "dib-run-parts 20-bar completed".into(),
        "dib-run-parts ----------------------- PROFILING -----------------------".into(),
        "dib-run-parts ".into(),
        "dib-run-parts Target: pre-install.d".into(),
        "dib-run-parts ".into(),
        "dib-run-parts Script                                     Seconds".into(),
        "dib-run-parts ---------------------------------------  ----------".into(),
        "dib-run-parts ".into(),
    ];
    assert_eq!(lines[..steps.len()], steps);
    assert_eq!(
        lines[steps.len() + 2..],
        ["dib-run-parts ", "dib-run-parts --------------------- END PROFILING ---------------------"]
    );
    for (line, name, least) in [(lines[steps.len()], "04-foo", 0.12), (lines[steps.len() + 1], "20-bar", 0.0)] {
        let row = line.strip_prefix("dib-run-parts ").unwrap();
        assert_eq!(row.len(), 51, "{row}");
        assert_eq!(row[..40].trim_end(), name);
        let seconds = row[41..].trim_start();
        assert_eq!(seconds.split('.').nth(1).unwrap().len(), 3, "{row}");
        assert!((least..5.0).contains(&seconds.parse::<f64>().unwrap()), "{row}");
    }
}

#[test]
fn environment_files_are_sourced_bytewise_and_reach_the_hooks() {
    let sandbox = Sandbox::new();
    let library = library(&sandbox);
    let folder = sandbox.path().join("hooks/install.d");
    write(&folder.join("10-show"), "#!/bin/bash\necho \"$ORDER $(umask) $PWD ${PLAIN:-no} $#\"\n", 0o755);
    let environment = sandbox.path().join("hooks/environment.d");
    write(&environment.join("100-a.bash"), "export ORDER=100\numask 027\ncd /\nPLAIN=x\nshopt -s extglob\n", 0o644);
    write(&environment.join("20-b"), "LIST=(a b)\nexport ORDER=$ORDER,20\nreturn 0\nexit 9\n", 0o755);
    write(&environment.join("3-c"), "export ORDER=$ORDER,3,${LIST[1]}\nset +e\n", 0o644);
    write(&environment.join("not this"), "exit 8\n", 0o644);
    assert_eq!(said(&run(&library, &folder, &[])), "100,20,3,b 0027 / no 0\n");

    write(&environment.join("5-d"), "echo $NEVER_SET\n", 0o644);
    let unset = run(&library, &folder, &[]);
    assert_eq!(unset.status.code(), Some(1));
    assert!(stderr(&unset).contains("NEVER_SET: unbound variable"), "{}", stderr(&unset));

    write(&environment.join("5-d"), "exit 6\n", 0o644);
    assert_eq!(run(&library, &folder, &[]).status.code(), Some(6));
}

#[test]
fn the_first_hook_that_fails_gives_its_status() {
    let sandbox = Sandbox::new();
    let library = library(&sandbox);
    let folder = sandbox.path().join("install.d");
    write(&folder.join("10-bad"), "#!/bin/bash\nexit 7\n", 0o755);
    write(&folder.join("20-never"), "#!/bin/bash\necho never\n", 0o755);
    let output = run(&library, &folder, &[]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(7), ""));
    assert_eq!(stderr(&output), format!("dib-run-parts Running {}/10-bad\n", folder.display()));
}

#[test]
fn a_wrong_folder_and_ignored_files_are_named() {
    let sandbox = Sandbox::new();
    let (library, folder) = (library(&sandbox), hooks(&sandbox));
    let missing = run(&library, Path::new("/nowhere/at/all"), &[]);
    assert_eq!(missing.status.code(), Some(1));
    let text = stderr(&missing);
    assert!(
        text.starts_with("dib-run-parts Scripts directory [/nowhere/at/all] must exist and be a directory\n"),
        "{text}"
    );
    let bare = hook(library.join("dib-run-parts"), &library).output().unwrap();
    assert_eq!(bare.status.code(), Some(1));
    assert!(stderr(&bare).starts_with("Usage: dib-run-parts"), "{}", stderr(&bare));
    let traced = stderr(&run(&library, &folder, &[("DIB_DEBUG_TRACE", "1")]));
    assert!(traced.contains("dib-run-parts Ignoring non-executable files: 60-data\n"), "{traced}");
    assert!(traced.contains("dib-run-parts Ignoring non-conforming filenames: 70-unit.service\n"), "{traced}");
}
