//! kiln's built-in stages against the hooks of upstream whose work they do: the same input gives the same tree.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use kiln::event::Events;
use kiln::plumbing::{self, Site};

use crate::support::{Sandbox, approve, stderr, stdout, upstream_elements};

/// The image below a place. Upstream takes what is between the last dot and the last slash of it for the name of the build.
const TREE: &str = "build.x/mnt";

/// Two equal places, one for each program.
struct Pair {
    sandbox: Sandbox,
    elements: Vec<(String, Utf8PathBuf)>,
    variables: BTreeMap<String, String>,
}

impl Pair {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        for side in ["dib", "kiln"] {
            for folder in
                ["build.x/mnt/etc/dib-manifests", "build.x/mnt/tmp", "hooks/bin", "hooks/install.d", "here", "cache"]
            {
                fs::create_dir_all(sandbox.path().join(side).join(folder)).unwrap();
            }
        }
        let bin = sandbox.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let sudo = "#!/bin/sh\nwhile case $1 in -*) :;; *) false;; esac; do shift; done\nexec \"$@\"\n";
        fs::write(bin.join("sudo"), sudo).unwrap();
        fs::set_permissions(bin.join("sudo"), fs::Permissions::from_mode(0o755)).unwrap();
        let variables = [
            ("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())),
            ("HOME", sandbox.path().display().to_string()),
            ("DIB_DEBUG_TRACE", "0".to_owned()),
            ("IMAGE_NAME", "out/demo".to_owned()),
            ("DIB_MANIFEST_IMAGE_DIR", "/etc/dib-manifests".to_owned()),
            ("DIB_DEFAULT_INSTALLTYPE", "source".to_owned()),
            ("DIB_OFFLINE", String::new()),
            ("DISTRO_NAME", "debian".to_owned()),
        ];
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { sandbox, elements: Vec::new(), variables }
    }

    fn side(&self, side: &str) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(self.sandbox.path().join(side)).unwrap()
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn element(mut self, name: &str, files: &[(&str, &str)]) -> Self {
        let folder = self.side("elements").join(name);
        fs::create_dir_all(&folder).unwrap();
        for (path, text) in files {
            put(&folder.join(path), text);
        }
        self.elements.push((name.to_owned(), folder));
        self
    }

    /// A file in both hooks folders.
    fn hook(self, path: &str, text: &str) -> Self {
        for side in ["dib", "kiln"] {
            put(&self.side(side).join("hooks").join(path), text);
        }
        self
    }

    fn environment(&self, side: &str) -> BTreeMap<String, String> {
        let mut variables = self.variables.clone();
        let names: Vec<&str> = self.elements.iter().map(|(name, _)| name.as_str()).collect();
        variables.insert("IMAGE_ELEMENT".to_owned(), names.join(" "));
        let yaml: String = self.elements.iter().map(|(name, path)| format!("{name}: {path}\n")).collect();
        variables.insert("IMAGE_ELEMENT_YAML".to_owned(), yaml);
        for (name, below) in [("TMP_HOOKS_PATH", "hooks"), ("TMP_MOUNT_PATH", TREE), ("DIB_IMAGE_CACHE", "cache")] {
            variables.insert(name.to_owned(), self.side(side).join(below).into_string());
        }
        variables.entry("DIB_MANIFEST_SAVE_DIR".to_owned()).or_insert_with(|| "out/demo.d/".to_owned());
        variables
    }

    /// Runs upstream's `hooks` and kiln's `stage`, and wants the same folder `below` of both.
    fn same(&self, hooks: &[&str], stage: &str, below: &str) {
        let array: String = self.elements.iter().map(|(name, path)| format!(" [{name}]={path}")).collect();
        for hook in hooks {
            let script = format!(
                "get_image_element_array() {{ echo '{array}'; }}; export -f get_image_element_array; exec \"$1\""
            );
            let output = Command::new("bash")
                .args(["-c", &script, "hook"])
                .arg(upstream_elements().join(hook))
                .env_clear()
                .envs(self.environment("dib"))
                .current_dir(self.side("dib/here"))
                .output()
                .unwrap();
            assert!(output.status.success(), "{hook}: {}{}", stdout(&output), stderr(&output));
        }
        let (environment, root, hooks, here) =
            (self.environment("kiln"), self.side("kiln").join(TREE), self.side("kiln/hooks"), self.side("kiln/here"));
        let site = Site {
            root: &root,
            hooks: &hooks,
            elements: &self.elements,
            variables: &environment,
            distribution: "debian",
            family: "debian",
            release: "bookworm",
            arch: "amd64",
            image_name: "demo",
            directory: &here,
            offline: false,
            events: &Events::none(),
        };
        plumbing::run(stage, &site).unwrap_or_else(|error| panic!("{stage}: {error}"));
        let (dib, kiln) = (listed(&self.side("dib").join(below)), listed(&self.side("kiln").join(below)));
        assert!(!dib.is_empty(), "{stage}");
        assert_eq!(kiln, dib, "{stage}: kiln's (left) is not upstream's (right)");
    }
}

fn put(path: &Utf8Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Path, mode and content of everything below `root`, but for what git keeps for itself, folders that hold nothing and kiln's own
/// table of names.
fn listed(root: &Utf8Path) -> Vec<String> {
    let walk = walkdir::WalkDir::new(root).sort_by_file_name().min_depth(1).into_iter();
    let walk = walk.filter_entry(|entry| ![".git", ".table", "tmp"].contains(&&*entry.file_name().to_string_lossy()));
    walk.map(|entry| {
        let entry = entry.unwrap();
        let path = entry.path().strip_prefix(root).unwrap().display().to_string();
        let metadata = entry.path().symlink_metadata().unwrap();
        let mode = metadata.permissions().mode() & 0o7777;
        if metadata.is_symlink() {
            format!("{path} -> {}", fs::read_link(entry.path()).unwrap().display())
        } else if metadata.is_dir() {
            format!("{path}/ {mode:o}")
        } else {
            format!("{path} {mode:o} {}", fs::read_to_string(entry.path()).unwrap())
        }
    })
    .collect()
}

#[test]
fn source_repositories() {
    let pair = Pair::new();
    let repo = pair.side("repo");
    let script = "git init -q -b master \"$0\"; cd \"$0\"; git config user.email a@b; git config user.name a
        echo one > f; echo x > run; chmod 755 run; ln -s f l; git add .; git commit -qm one; git tag v1
        git checkout -q -b side; echo side > f; git commit -qam side; git checkout -q master";
    approve("bash", &["-euc", script, repo.as_str()]);
    let commit = approve("git", &["-C", repo.as_str(), "rev-parse", "side"]);
    put(&pair.side("file"), "content");
    let text = format!(
        "# isn't a source\n\nmy-app git /opt/my/app file://{repo} v1\nall git $WHERE \"file://{repo}\" *\n\
         pinned git /opt/pinned file://{repo} {commit}\
         moved git /opt/moved file:///nowhere v1\nleft git /opt/left file:///nowhere\nf file /opt/f file://{}\n",
        pair.side("file")
    );
    let tool = fs::read_to_string(upstream_elements().join("cache-url/bin/cache-url")).unwrap();
    let pair = pair
        .hook("source-repository-x", &text)
        .hook("bin/cache-url", &tool)
        .set("WHERE", "/opt/all")
        .set("DIB_REPOLOCATION_moved", &format!("file://{repo}"))
        .set("DIB_REPOREF_moved", "side")
        .set("DIB_INSTALLTYPE_left", "package");
    for side in ["dib", "kiln"] {
        let tool = pair.side(side).join("hooks/bin/cache-url");
        fs::set_permissions(tool, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let hook = ["source-repositories/extra-data.d/98-source-repositories"];
    pair.same(&hook, "source-repositories", TREE);
    let cached = |side: &str| {
        let cache = pair.side(side).join("cache/source-repositories");
        let mut names: Vec<String> =
            cache.read_dir_utf8().unwrap().map(|entry| entry.unwrap().file_name().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(cached("kiln"), cached("dib"));
    for name in ["my/app", "all", "pinned", "moved"] {
        let git = |side: &str, words: &[&str]| {
            let folder = pair.side(side).join(TREE).join("opt").join(name);
            approve("git", &[&["-c", "safe.directory=*", "-C", folder.as_str()], words].concat())
        };
        for words in [&["status", "--porcelain"][..], &["for-each-ref"], &["symbolic-ref", "HEAD"]] {
            // DIB asks for a commit that it has, too, and the answer becomes a branch called like the commit.
            let odd = format!("origin/{}", commit.trim());
            let lines = |side: &str| {
                let said = git(side, words);
                said.lines().filter(|line| !line.ends_with(&odd)).map(str::to_owned).collect::<Vec<_>>()
            };
            assert_eq!(lines("kiln"), lines("dib"), "{name} {words:?}");
        }
        let origin = |side: &str| git(side, &["config", "remote.origin.url"]).replace(pair.side(side).as_str(), "");
        assert_eq!(origin("kiln"), origin("dib"));
    }
}

#[test]
fn names_of_packages_and_services() {
    let map = r#"{"distro": {"debian": {"a": "b"}}}"#;
    let services = "ssh: {debian: ssh, default: sshd}\nweb: {suse: x, default: httpd}\nplain: {redhat: y}\n";
    let pair = Pair::new().element("a", &[("pkg-map", map), ("svc-map", services)]).element("b", &[]);
    pair.same(&["pkg-map/extra-data.d/10-create-pkg-map-dir"], "pkg-map", TREE);
    let yaml = Command::new("python3").args(["-c", "import yaml"]).output().unwrap();
    if yaml.status.success() {
        let hooks = ["svc-map/extra-data.d/10-merge-svc-map-files", "svc-map/extra-data.d/11-copy-svc-map-file"];
        pair.same(&hooks, "svc-map", TREE);
    }
}

#[test]
fn manifests_and_module_settings() {
    let pair = Pair::new()
        .element("a", &[("modprobe.d/a.conf", "blacklist a\n"), ("modprobe.d/no", "")])
        .element("b", &[("modprobe.d/b.conf", "blacklist b\n")])
        .set("DIB_ENV", "declare -x DIB_RELEASE=\"bookworm\"\ndeclare -x DIB_X=\"a\nb\"")
        .set("DIB_ARGS", "-o out/demo vm debian-minimal");
    pair.same(&["modprobe/extra-data.d/50-modprobe-blacklist"], "modprobe", TREE);
    pair.same(&["element-manifest/extra-data.d/75-inject-element-manifest"], "element-manifest", TREE);
    pair.same(&["manifests/cleanup.d/01-copy-manifests-dir"], "manifests", TREE);
    assert_eq!(listed(&pair.side("kiln/here")), listed(&pair.side("dib/here")));
}

#[test]
fn install_types() {
    let pair = Pair::new()
        .hook("install.d/a-b-package-install/10-p", "")
        .hook("install.d/a-b-source-install/10-s", "")
        .hook("install.d/c-package-install/20-p", "")
        .hook("install.d/c-source-install/20-s", "")
        .hook("install.d/20-s", "replaced by the link")
        .set("DIB_INSTALLTYPE_a_b", "package")
        .set("DIB_INSTALLTYPE_nobody", "source");
    for side in ["dib", "kiln"] {
        symlink("20-s", pair.side(side).join("hooks/install.d/30-other")).unwrap();
    }
    pair.same(&["install-types/extra-data.d/99-enable-install-types"], "install-types", "hooks");
}
