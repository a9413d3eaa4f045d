//! The python that hooks are offered, and the library's python files.

use super::*;

fn python(library: &Path, program: &str) -> Output {
    hook(library.join("python/python"), library).args(["-c", program]).output().unwrap()
}

#[test]
fn logs_have_dibs_form() {
    let sandbox = Sandbox::new();
    let library = library(&sandbox);
    let program = "import logging; from diskimage_builder import logging_config; logging_config.setup()\n\
                   log = logging.getLogger('squash'); log.info('Info'); log.debug('Debug')";
    assert_eq!(stderr(&python(&library, program)), "INFO squash [-] Info\n");
    let traced =
        hook(library.join("python/python"), &library).args(["-c", program]).env("DIB_DEBUG_TRACE", "1").output();
    assert_eq!(stderr(&traced.unwrap()), "INFO squash [-] Info\nDEBUG squash [-] Debug <module> <string>:2\n");
    let config = sandbox.path().join("log.json");
    write(
        &config,
        r#"{"version": 1, "formatters": {"f": {"()": "diskimage_builder.logging_config.DibFormatter", "fmt": "%(message)s!",
            "debug_suffix": "?"}}, "handlers": {"h": {"class": "logging.StreamHandler", "formatter": "f"}},
            "root": {"handlers": ["h"], "level": "DEBUG"}}"#,
        0o644,
    );
    let mut own = hook(library.join("python/python"), &library);
    let own = own.args(["-c", program]).env("DIB_PYTHON_LOGGING_CONFIG_FILE", &config).output().unwrap();
    assert_eq!(stderr(&own), "Info!\nDebug!?\n");
}

#[test]
fn paths_and_version_are_kilns() {
    let sandbox = Sandbox::new();
    let library = library(&sandbox);
    let store = sandbox.path().join("store");
    let program = "from diskimage_builder import paths, version; paths.show_path('lib'); paths.show_path('elements'); \
                   print(version.version_info.release_string())";
    let output = hook(library.join("python/python"), &library).args(["-c", program]).env("KILN_STORE", &store).output();
    let text = said(&output.unwrap());
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], library.to_str().unwrap());
    assert!(Path::new(lines[1]).join("vm").is_dir(), "{}", lines[1]);
    assert_eq!(lines[2], env!("CARGO_PKG_VERSION"));
    // Nothing was written beside the library's files.
    assert!(files(&library).iter().all(|file| !file.to_string_lossy().contains("__pycache__")));
}

#[test]
fn elements_come_from_element_info() {
    let sandbox = Sandbox::new();
    let library = library(&sandbox);
    let kiln = sandbox.path().join("programs/kiln");
    write(&kiln, "", 0o755);
    // Answers as element-info does, for paths that need quotes too.
    write(
        &sandbox.path().join("programs/element-info"),
        "#!/bin/bash\n[ \"$1\" = --env ] || { echo \"plain $*\"; exit; }\n\
         [ \"$2\" != gone ] || { echo \"error: Element 'gone' not found\" >&2; exit 1; }\n\
         cat <<'END'\nexport IMAGE_ELEMENT='base vm'\nfunction get_image_element_array {\n\
         echo \"[vm]=/e/vm [base]='/a b/base' \"\n};\nexport -f get_image_element_array;\nEND\n",
        0o755,
    );
    let run = |program: &str| {
        hook(library.join("python/python"), &library).args(["-c", program]).env("KILN", &kiln).output().unwrap()
    };
    let module = "from diskimage_builder import element_dependencies as e; ";
    let pairs = run(&format!("{module}print(e.get_elements(['vm'], '/e'))"));
    assert_eq!(said(&pairs), "[('base', '/a b/base'), ('vm', '/e/vm')]\n");
    let names = run(&format!("{module}print(sorted(e.expand_dependencies(['vm'], '/e')))"));
    assert_eq!(said(&names), "['base', 'vm']\n");
    let gone =
        run(&format!("{module}\ntry: e.get_elements(['gone'], '/e')\nexcept e.MissingElementException as x: print(x)"));
    assert_eq!(said(&gone), "error: Element 'gone' not found\n");
    assert!(stderr(&run(&format!("{module}e.get_elements(['vm'])"))).contains("$ELEMENTS_PATH must be set."));
    let script =
        hook("python3", &library).arg(library.join("element-info.py")).args(["a", "b"]).env("KILN", &kiln).output();
    assert_eq!(said(&script.unwrap()), "plain a b\n");
}

#[test]
fn a_machine_without_python_is_told_so_and_one_without_yaml_helped() {
    let sandbox = Sandbox::new();
    let library = library(&sandbox);
    let empty = sandbox.path().join("path");
    fs::create_dir(&empty).unwrap();
    let output =
        Command::new("/bin/bash").arg(library.join("python/python")).env_clear().env("PATH", &empty).output().unwrap();
    assert_eq!(output.status.code(), Some(127));
    assert!(stderr(&output).contains("apt-get install python3"), "{}", stderr(&output));

    let program = "import io, yaml; print(yaml.safe_load('a: [1, yes, \"x\"]')); print(yaml.safe_load(io.StringIO('')));\
                   \nprint(yaml.safe_load(yaml.dump({'b': {'c': None}}, default_flow_style=False)))\
                   \ntry: yaml.safe_load('a: [')\nexcept yaml.YAMLError: print('refused')";
    let fallback = format!("{}:{}", library.join("python").display(), library.join("python/fallback").display());
    let output =
        hook("python3", &library).args(["-S", "-B", "-c", program]).env("PYTHONPATH", fallback).output().unwrap();
    assert_eq!(said(&output), "{'a': [1, True, 'x']}\nNone\n{'b': {'c': None}}\nrefused\n");
}

#[test]
fn the_output_filter_stamps_lines_and_drops_traced_tracing() {
    let sandbox = Sandbox::new();
    let library = library(&sandbox);
    let log = sandbox.path().join("log");
    let script = format!(
        "printf '%s\\n' 'an xtrace of a fault' '+ a:b:3:   set +o xtrace' '++ set +o' 'last' | \
         python3 $_LIB/outfilter.py -v -b -o {}",
        log.display()
    );
    assert_eq!(said(&bash(&library, &script)), "an xtrace of a fault\nlast\n");
    said(&bash(&library, &script));
    let text = fs::read_to_string(&log).unwrap();
    assert_eq!(text.lines().count(), 4, "{text}");
    for line in text.lines() {
        let (stamp, _) = line.split_once(" | ").unwrap();
        assert_eq!(stamp.len(), "2026-11-25 03:40:11.123".len(), "{line}");
    }
}
