//! The tools that kiln's elements bring for hooks: run as hooks run them.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use crate::support::{Sandbox, approve, stderr, stdout};

fn tool(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("elements").join(path)
}

/// Every program in a `bin/` of kiln's elements.
fn tools() -> Vec<PathBuf> {
    let elements = fs::read_dir(tool("")).unwrap().map(|entry| entry.unwrap().path().join("bin"));
    let folders = elements.filter(|folder| folder.is_dir());
    folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())).collect()
}

#[test]
fn every_tool_is_executable_bash_that_shellcheck_approves_and_none_needs_python() {
    assert!(tools().len() >= 4);
    for tool in tools() {
        let text = fs::read_to_string(&tool).unwrap();
        assert!(text.starts_with("#!/bin/bash\n"), "{}", tool.display());
        assert!(!text.contains("python"), "{}", tool.display());
        assert_ne!(fs::metadata(&tool).unwrap().permissions().mode() & 0o111, 0, "{}", tool.display());
        approve("shellcheck", &[tool.to_str().unwrap()]);
    }
}

#[test]
fn the_scripts_of_an_initramfs_are_for_any_posix_shell() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/disk/verity_scripts");
    for script in ["hook", "local-block"] {
        // What a hook sources is the image's.
        approve("shellcheck", &["--shell=sh", "--exclude=SC1091", folder.join(script).to_str().unwrap()]);
    }
}

fn names(sandbox: &Sandbox, words: &[&str]) -> Output {
    let table = "release\tcentos\t8\ta\ta8\ndefault\t-\t-\ta\ta-any\nfamily\tredhat\t-\ta\ta-rh\nfamily\tredhat\t-\tskip\t-\n\
        distro\tdebian\t-\tb\tb1 b2\ndefault\t-\t-\tskip\ts\n";
    fs::write(sandbox.path().join("e"), table).unwrap();
    let mut command = Command::new(tool("pkg-map/bin/pkg-map"));
    command.args(words).env_remove("DISTRO_NAME").env_remove("DIB_RELEASE").env("PKG_MAP_TABLES", sandbox.path());
    command.output().unwrap()
}

#[test]
fn pkg_map_prints_the_most_special_name_and_says_why_it_does_not() {
    let sandbox = Sandbox::new();
    let says = |words: &str, status: i32, out: &str, err: &str| {
        let words: Vec<&str> = words.split(' ').collect();
        let output = names(&sandbox, &words);
        assert_eq!(
            (output.status.code(), stdout(&output).as_str()),
            (Some(status), out),
            "{words:?} {}",
            stderr(&output)
        );
        assert!(stderr(&output).contains(err), "{words:?}: {}", stderr(&output));
    };
    says("--element e --distro debian a b", 0, "a-any\nb1 b2\n", "Mapping for e : a b");
    says("--element=e --distro=centos --release 8-stream a", 0, "a8\n", "");
    says("--element e --distro centos --release 9 --prefix - a skip", 0, "-a-rh\n", "");
    says("--element e --distro debian nope", 1, "", "e has no valid mapping for package nope");
    says("--element e --distro debian --missing-ok --prefix x: nope skip", 0, "x:nope\nx:s\n", "");
    says("--element none --distro debian p", 2, "", "Required pkg-map for none element does not exist.");
    says("--element none --distro debian --missing-ok p q", 0, "p\nq\n", "");
    says("--distro debian p", 1, "", "Please specify an --element argument.");
    says("--element e p", 1, "", "Please specify a --distro argument or set DISTRO_NAME.");
    says("--pkg-map e --distro debian p", 1, "", "use --element");
}

#[test]
fn svc_map_prints_a_line_for_each_service() {
    let sandbox = Sandbox::new();
    let table = sandbox.path().join("services");
    fs::write(&table, "kiln-test: other\nkiln-two: a b\n").unwrap();
    let output = Command::new(tool("svc-map/bin/svc-map"))
        .args(["kiln-two", "kiln-none", "kiln-test"])
        .env("SVC_MAP_TABLE", table)
        .output()
        .unwrap();
    assert_eq!(stdout(&output), "a b\nkiln-none\nother\n");
}

/// Runs `install-packages` with an `apt-get` and a `pkg-map` that print their words.
fn install(sandbox: &Sandbox, words: &[&str]) -> Output {
    let bin = sandbox.path().join("bin");
    fs::create_dir_all(&bin).unwrap();
    for (name, text) in [
        ("apt-get", "#!/bin/sh\necho \"apt-get $DEBIAN_FRONTEND $*\"\n"),
        ("pkg-map", "#!/bin/sh\n[ \"$2\" = bad ] && exit 1\nshift 2\nfor n; do echo \"$n-1 $n-2\"; done\n"),
    ] {
        fs::write(bin.join(name), text).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    Command::new(tool("dpkg/bin/install-packages")).args(words).env("PATH", path).output().unwrap()
}

#[test]
fn install_packages_has_dibs_options() {
    let sandbox = Sandbox::new();
    let base = "apt-get noninteractive --assume-yes --option Dpkg::Options::=--force-confold --option \
        Dpkg::Options::=--force-confdef";
    for (words, expected) in [
        (&["a", "b"][..], "install a b"),
        (&["a", "-e", "b"], "remove a b"),
        (&["-u", "a"], "dist-upgrade"),
        (&["-m", "e", "a", "b"], "install a-1 a-2 b-1 b-2"),
        (&["-d", "a b"], "install a b"),
    ] {
        let output = install(&sandbox, words);
        assert_eq!(stdout(&output), format!("{base} {expected}\n"), "{words:?} {}", stderr(&output));
        assert!(output.status.success());
    }
    assert_eq!(stdout(&install(&sandbox, &["-e"])), "Not running install-packages remove with empty packages list\n");
    assert!(stdout(&install(&sandbox, &["-h"])).starts_with("usage: install-packages"));
    assert_eq!(install(&sandbox, &["-m", "bad", "a"]).status.code(), Some(1));
    assert_eq!(install(&sandbox, &["-x"]).status.code(), Some(1));
}

/// Serves one request: whatever was asked for, `/missing` is not there, `/same` has not changed since. The request's text.
fn serve_once() -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut request, mut byte) = (Vec::new(), [0]);
        while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
            request.push(byte[0]);
        }
        let request = String::from_utf8(request).unwrap();
        let (status, body) = match request.split(' ').nth(1).unwrap() {
            "/missing" => ("404 Not Found", "no such page"),
            "/broken" => ("403 Forbidden", "no"),
            "/short" => ("200 OK\r\nX: y", "half"),
            _ if request.contains("If-Modified-Since") => ("304 Not Modified", ""),
            _ => ("200 OK", "content"),
        };
        let length = if request.contains("/short") { 100 } else { body.len() };
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").unwrap();
        request
    });
    (address, served)
}

fn cache_url(sandbox: &Sandbox, words: &[&str]) -> Output {
    let mut command = Command::new(tool("cache-url/bin/cache-url"));
    command.args(words).current_dir(sandbox.path()).env("CACHE_URL_RETRY_DELAY", "1").env("no_proxy", "127.0.0.1");
    command.output().unwrap()
}

#[test]
fn cache_url_asks_again_only_for_what_is_newer() {
    let sandbox = Sandbox::new();
    let (address, first) = serve_once();
    let output = cache_url(&sandbox, &[&format!("{address}/file"), "sub/file"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(!first.join().unwrap().contains("If-Modified-Since"));
    let read = || fs::read_to_string(sandbox.path().join("sub/file")).unwrap();
    assert_eq!(read(), "content");
    fs::write(sandbox.path().join("sub/file"), "cached").unwrap();
    let (address, again) = serve_once();
    let output = cache_url(&sandbox, &[&format!("{address}/file"), "sub/file"]);
    assert!(output.status.success() && stdout(&output).contains("Using locally cached"), "{}", stderr(&output));
    assert!(again.join().unwrap().contains("If-Modified-Since"));
    assert_eq!(read(), "cached");
    let (address, forced) = serve_once();
    assert!(cache_url(&sandbox, &["-f", &format!("{address}/file"), "sub/file"]).status.success());
    let request = forced.join().unwrap();
    assert!(request.contains("no-cache") && !request.contains("If-Modified-Since"), "{request}");
    assert_eq!(read(), "content");
    assert_eq!(fs::read_dir(sandbox.path().join("sub")).unwrap().count(), 1);
}

#[test]
fn cache_url_tells_what_is_missing_from_what_went_wrong() {
    let sandbox = Sandbox::new();
    for (path, status) in [("missing", 44), ("broken", 1)] {
        let (address, served) = serve_once();
        let output = cache_url(&sandbox, &[&format!("{address}/{path}"), "file"]);
        served.join().unwrap();
        assert_eq!(output.status.code(), Some(status), "{}", stderr(&output));
    }
    assert_eq!(cache_url(&sandbox, &["file:///nowhere/at/all", "file"]).status.code(), Some(1));
    assert_eq!(cache_url(&sandbox, &["x"]).status.code(), Some(1));
    assert_eq!(fs::read_dir(sandbox.path()).unwrap().count(), 0);
}

#[test]
fn cache_url_takes_files_and_fills_pipes() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path().join("from"), "content").unwrap();
    let url = format!("file://{}", sandbox.path().join("from").display());
    assert!(cache_url(&sandbox, &[&url, "to"]).status.success());
    assert_eq!(fs::read_to_string(sandbox.path().join("to")).unwrap(), "content");
    let pipe = sandbox.path().join("pipe");
    approve("mkfifo", &[pipe.to_str().unwrap()]);
    let reader = thread::spawn(move || fs::read_to_string(pipe).unwrap());
    let output = cache_url(&sandbox, &[&url, "pipe"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(reader.join().unwrap(), "content");
}
