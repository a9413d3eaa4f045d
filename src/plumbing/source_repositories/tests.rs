//! Sources of every kind, from a local git, from archives and files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::super::testing::Bench;
use crate::event::Events;
use crate::sandbox::command::Command;

const STAGE: &str = "source-repositories";

fn sh(directory: &Utf8Path, script: &str) -> String {
    let git = "export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b HOME=$PWD\n";
    let command = Command::new(["bash", "-euc", &format!("{git}{script}")]).directory(directory);
    let output = command.timeout(Some(Duration::from_secs(60))).check(&Events::none()).unwrap();
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// A bench with a repository at `outside/repo`: `master` with file `f` = `two`, tag `v1` and the first commit with `one`, branch
/// `side`.
fn bench() -> Bench {
    let bench = Bench::new().hook("bin/cache-url", include_str!("../../../elements/cache-url/bin/cache-url"));
    bench.chmod("hooks/bin/cache-url", 0o755);
    sh(
        &bench.path("outside"),
        "git init -q -b master repo; cd repo; echo one > f; git add f; git commit -qm one; git tag v1
         git checkout -q -b side; echo side > f; git commit -qam side; git checkout -q master
         echo two > f; git commit -qam two",
    );
    let cache = bench.path("cache").into_string();
    bench.set("DIB_IMAGE_CACHE", &cache).set("IMAGE_NAME", "out/demo")
}

fn repo(bench: &Bench) -> String {
    format!("file://{}", bench.path("outside/repo"))
}

fn head(bench: &Bench, reference: &str) -> String {
    sh(&bench.path("outside/repo"), &format!("git rev-parse {reference}"))
}

fn failed(bench: &Bench) -> String {
    bench.run(STAGE).unwrap_err().to_string()
}

fn line(bench: Bench, line: &str) -> Bench {
    bench.hook("source-repository-x", &format!("# what it is for, don't count\n\n{line}\n"))
}

#[test]
fn a_repository_is_cloned_through_the_cache_and_written_down() {
    let bench = bench();
    let (url, commit) = (repo(&bench), head(&bench, "master"));
    let bench = line(bench, &format!("my-app git /opt/my/app {url}"));
    bench.run(STAGE).unwrap();
    assert_eq!(bench.image("opt/my/app/f"), "two\n");
    assert_eq!(bench.image("etc/dib-source-repositories"), "/opt/my/app\n");
    assert_eq!(
        bench.image("etc/dib-manifests/dib-manifest-git-demo"),
        format!("my-app git /opt/my/app {url} {commit}\n")
    );
    // The name that DIB gives it: `printf 'git_URL\n' | sha1sum`.
    let digest = sh(&bench.path("here"), &format!("echo git_{url} | sha1sum | cut -d' ' -f1"));
    let cached = bench.path(&format!("cache/source-repositories/my_app_{digest}"));
    assert!(cached.join(".git").is_dir());
    let origin = sh(
        &bench.path("here"),
        &format!("git config --file {}/.git/config remote.origin.url", bench.path("root/opt/my/app")),
    );
    assert_eq!(origin, cached);
    // Again: what is there is what was asked for, and no new line of the manifest.
    bench.run(STAGE).unwrap();
}

#[test]
fn tags_branches_commits_and_everything_can_be_asked_for() {
    let bench = bench();
    let (url, first) = (repo(&bench), head(&bench, "v1"));
    for (reference, text) in [("v1", "one\n"), ("side", "side\n"), (first.as_str(), "one\n"), ("'*'", "two\n")] {
        let name = reference.trim_matches('\'').replace('*', "all");
        let bench = line(Bench::new(), &format!("app git /opt/{name} {url} {reference}"));
        let cache = bench.path("cache").into_string();
        let bench = bench.set("DIB_IMAGE_CACHE", &cache);
        bench.run(STAGE).unwrap();
        assert_eq!(bench.image(&format!("opt/{name}/f")), text, "{reference}");
        let branches = sh(&bench.path("root/opt").join(&name), "git branch --format='%(refname:short)'");
        let expected = if name == "all" { "master\nside" } else { &format!("fetch_{reference}\nmaster") };
        assert_eq!(branches, expected);
    }
}

#[test]
fn a_reference_that_is_nowhere_is_named() {
    let bench = bench();
    let url = repo(&bench);
    let error = failed(&line(bench, &format!("app git /opt/a {url} nowhere")));
    assert!(error.starts_with("Failed to find reference to nowhere in file:///"), "{error}");
}

#[test]
fn a_repository_that_is_not_there_is_tried_five_times() {
    let bench = bench();
    let error = failed(&line(bench, "app git /opt/a file:///nowhere/at/all"));
    assert!(error.starts_with("The command failed after 5 attempts: `git clone"), "{error}");
}

#[test]
fn what_changed_upstream_is_fetched_unless_offline_or_pinned() {
    let mut bench = bench();
    let (url, first) = (repo(&bench), head(&bench, "master"));
    bench = line(bench, &format!("app git /opt/a {url}"));
    bench.run(STAGE).unwrap();
    sh(&bench.path("outside/repo"), "echo three > f; git commit -qam three");
    fs::remove_dir_all(bench.path("root/opt")).unwrap();
    bench.offline = true;
    bench.run(STAGE).unwrap();
    assert_eq!(bench.image("opt/a/f"), "two\n");
    fs::remove_dir_all(bench.path("root/opt")).unwrap();
    bench.offline = false;
    bench.run(STAGE).unwrap();
    assert_eq!(bench.image("opt/a/f"), "three\n");
    // A pinned commit that is cached needs nobody.
    fs::rename(bench.path("outside/repo"), bench.path("outside/gone")).unwrap();
    let bench = line(bench, &format!("app git /opt/pinned {url} {first}"));
    bench.run(STAGE).unwrap();
    assert_eq!(bench.image("opt/pinned/f"), "two\n");
}

#[test]
fn offline_what_is_not_cached_says_so() {
    let mut bench = bench();
    bench.offline = true;
    let url = repo(&bench);
    bench = line(bench, &format!("app git /opt/a {url}"));
    assert!(failed(&bench).contains("is not in the cache at"), "{}", failed(&bench));
    bench.offline = false;
    bench.run(STAGE).unwrap();
    bench.offline = true;
    let bench = line(bench, &format!("app git /opt/b {url} later"));
    assert!(failed(&bench).starts_with("Failed to find reference to later"), "{}", failed(&bench));
    let bench = line(bench, &format!("app tar /opt/b {url}.tgz ."));
    assert!(failed(&bench).contains("build it once online"), "{}", failed(&bench));
}

#[test]
fn variables_of_the_user_override_type_location_and_reference() {
    let bench = bench();
    let url = repo(&bench);
    let bench = line(bench, "my.app tar /opt/a file:///nowhere .")
        .set("DIB_REPOTYPE_my_app", "git")
        .set("DIB_REPOLOCATION_my_app", &url)
        .set("DIB_REPOREF_my_app", "side")
        .set("DIB_GITREPOBASE", "file:///elsewhere/");
    bench.run(STAGE).unwrap();
    assert_eq!(bench.image("opt/a/f"), "side\n");
}

#[test]
fn lines_are_evaluated_by_bash() {
    let bench = bench();
    let url = repo(&bench);
    let line_text = "\"$NAME\" git ${WHERE:-/opt/b} $(echo \"$URL\") 'v1'";
    let bench = line(bench, line_text).set("NAME", "app").set("URL", &url);
    bench.run(STAGE).unwrap();
    assert_eq!(bench.image("opt/b/f"), "one\n");
    let error = failed(&line(bench, "$UNSET git /opt/b x"));
    assert!(error.starts_with("cannot evaluate source-repository-x") && error.contains("UNSET"), "{error}");
}

#[test]
fn what_is_no_source_is_refused_in_dibs_words() {
    let error = failed(&line(bench(), "app svn /opt/b http://x"));
    assert!(error.starts_with("Couldn't parse 'app svn /opt/b http://x' as a source repository"), "{error}");
    let error = failed(&line(bench(), "app git /opt/b http://x").set("DIB_REPOTYPE_app", "hg"));
    assert!(error.starts_with("Unsupported repository type: hg"), "{error}");
    let error = failed(&line(bench(), "app git"));
    assert!(error.contains("lacks a path in the image or a location"), "{error}");
}

#[test]
fn install_types_and_the_switch_leave_sources_out() {
    let bench = bench();
    let line_text = "app git /opt/a file:///nowhere";
    let bench = line(bench, line_text).set("DIB_INSTALLTYPE_app", "package");
    bench.run(STAGE).unwrap();
    let bench = line(bench.set("DIB_INSTALLTYPE_app", "source"), "app package");
    bench.run(STAGE).unwrap();
    let bench = line(bench, line_text).set("NO_SOURCE_REPOSITORIES", "1");
    bench.run(STAGE).unwrap();
    assert!(!bench.exists("opt") && !bench.exists("etc/dib-source-repositories"));
}

#[test]
fn a_path_that_is_taken_must_hold_the_same() {
    let bench = bench();
    let url = repo(&bench);
    let bench = line(bench, &format!("app git /opt/a {url} v1"));
    bench.run(STAGE).unwrap();
    let bench = line(bench, &format!("app git /opt/a {url} side"));
    assert!(
        failed(&bench).starts_with("REPOREFS don't match - failed to get sha1 of fetch_side"),
        "{}",
        failed(&bench)
    );
    let bench = line(bench, &format!("app git /opt/a {url} v1"))
        .hook("source-repository-y", &format!("other git /opt/a {url}\n"));
    assert!(failed(&bench).starts_with("REPOLOCATIONS don't match ("), "{}", failed(&bench));
}

#[test]
fn a_base_replaces_the_host_and_stays_in_the_cache() {
    let bench = bench();
    let base = format!("file://{}/", bench.path("outside"));
    let bench = line(bench, "app git /opt/a https://host.example/~me/repo v1").set("DIB_GITREPOBASE", &base);
    // sed's `\2` begins with the slash after the host or the user.
    bench.run(STAGE).unwrap();
    assert_eq!(bench.image("opt/a/f"), "one\n");
    let cached = bench.path("cache/source-repositories").read_dir_utf8().unwrap();
    assert!(cached.flatten().any(|entry| entry.file_name().starts_with("app_")));
}

/// An archive of `top/{a,run}`, `other/b` and `loose`, at `outside/x.tgz`.
fn archive(bench: &Bench) -> String {
    let script = "mkdir -p t/top t/other; echo a > t/top/a; echo r > t/top/run; chmod 750 t/top/run; ln -s a t/top/l
        echo b > t/other/b; echo c > t/loose; touch -d 2001-02-03T00:00:00Z t/top/a; ln -s / t/evil; tar -C t -czf x.tgz .";
    sh(&bench.path("outside"), script);
    format!("file://{}", bench.path("outside/x.tgz"))
}

#[test]
fn an_archive_is_unpacked_whole_or_by_folder() {
    let bench = bench();
    let url = archive(&bench);
    for (reference, names) in
        [(".", "evil loose other top"), ("top", "a l run"), ("'*'", "a b l run"), ("to?", "a l run"), ("", "a b l run")]
    {
        let bench = line(self::bench(), &format!("app tar /opt/a {url} {reference}"));
        bench.run(STAGE).unwrap();
        let mut found: Vec<String> = bench
            .path("root/opt/a")
            .read_dir_utf8()
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_owned())
            .collect();
        found.sort();
        assert_eq!(found.join(" "), names, "{reference}");
        assert_eq!(bench.warnings().len(), usize::from(reference.is_empty()));
        if reference == "top" {
            assert_eq!(bench.mode("opt/a/run"), 0o750);
            let modified = bench.path("root/opt/a/a").metadata().unwrap().modified().unwrap();
            let seconds = modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
            assert_eq!(seconds, 981_158_400);
        }
    }
    for reference in ["evil", "..", "nothing"] {
        let error = failed(&line(self::bench(), &format!("app tar /opt/a {url} {reference}")));
        assert!(error.contains(&format!("has no folder `{reference}`")), "{error}");
    }
}

#[test]
fn a_file_is_copied_and_offline_it_comes_from_the_cache() {
    let mut bench = bench();
    let file = bench.path("outside/file");
    fs::write(&file, "content").unwrap();
    bench = line(bench, &format!("app file /opt/sub/file file://{file}"));
    bench.run(STAGE).unwrap();
    assert_eq!(bench.image("opt/sub/file"), "content");
    fs::remove_file(&file).unwrap();
    bench.write("opt/sub/file", "old");
    bench.offline = true;
    bench.run(STAGE).unwrap();
    assert_eq!(bench.image("opt/sub/file"), "content");
    bench.offline = false;
    let error = failed(&bench);
    assert!(error.contains("cannot be fetched from file:///"), "{error}");
    let bench = line(bench, "app file /etc file:///x").set("DIB_OFFLINE", "");
    fs::remove_file(bench.path("hooks/bin/cache-url")).unwrap();
    assert!(failed(&bench).contains("depend on `cache-url`"));
}

#[test]
fn a_link_of_the_image_does_not_lead_a_source_out() {
    let bench = bench();
    let outside = bench.path("outside/host");
    fs::create_dir(&outside).unwrap();
    let (url, tar) = (repo(&bench), archive(&bench));
    bench.link(outside.as_str(), "opt");
    let bench = line(bench, &format!("app git /opt/a {url}\nz tar /opt/z {tar} top\ny file /opt/y {tar}"));
    bench.run(STAGE).unwrap();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    let inside: Utf8PathBuf = bench.path("root").join(outside.as_str().trim_start_matches('/'));
    assert!(inside.join("a/f").is_file() && inside.join("z/run").is_file() && inside.join("y").is_file());
    assert_eq!(inside.join("a/f").metadata().unwrap().permissions().mode() & 0o600, 0o600);
}

#[test]
fn the_caches_of_older_builds_are_taken_over() {
    let bench = bench();
    let url = repo(&bench);
    let digest = sh(&bench.path("here"), &format!("echo git_{url} | sha1sum | cut -d' ' -f1"));
    let old = bench.path("cache/repository-sources");
    fs::create_dir_all(&old).unwrap();
    sh(&old, &format!("git clone -q {url} {digest}"));
    let bench = line(bench, &format!("app git /opt/a {url}"));
    bench.run(STAGE).unwrap();
    assert!(!old.exists());
    assert!(bench.path(&format!("cache/source-repositories/app_{digest}/.git")).is_dir());
}

#[test]
fn a_server_of_git_is_asked_for_one_reference() {
    let bench = bench();
    // Port 0 is not for `git daemon`: a free one is looked for first.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let pid = bench.path("daemon.pid");
    let base = bench.path("outside");
    sh(
        &base,
        &format!(
            "git daemon --detach --listen=127.0.0.1 --port={port} --export-all --base-path={base} --pid-file={pid} --reuseaddr
             for i in $(seq 50); do [ -s {pid} ] && (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && exit 0; sleep 0.1; done; exit 1"
        ),
    );
    sh(&bench.path("outside/repo"), "git update-ref refs/changes/01/1 v1");
    let bench = line(bench, &format!("app git /opt/a git://127.0.0.1:{port}/repo refs/changes/01/1"));
    let result = bench.run(STAGE);
    sh(&base, &format!("kill $(cat {pid})"));
    result.unwrap();
    assert_eq!(bench.image("opt/a/f"), "one\n");
}
