//! A small operating system made of the host's own tools, and elements that hooks of a test belong to.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::{KILN, Sandbox, stderr, stdout};

/// Makes a tree with bash and the tools that hooks call.
pub const MINI: &str = r#"#!/bin/bash
set -euo pipefail
cd "$TARGET_ROOT"
mkdir -p bin etc root tmp var/log proc sys dev
for tool in bash cat chmod env grep ls mkdir mv rm sh sleep sort touch id ln cp test tr; do
    path=$(type -P "$tool")
    cp -L "$path" bin/
    for lib in $(ldd "$path" | grep -o '/[^ )]*' || true); do
        mkdir -p ".$(dirname "$lib")"
        cp -Ln "$lib" ".$lib"
    done
done
"#;

/// A folder with the element `mini` and the elements of a test.
pub struct Workshop {
    pub sandbox: Sandbox,
}

impl Workshop {
    pub fn new() -> Self {
        let workshop = Self { sandbox: Sandbox::new() };
        workshop.element("mini", &[("root.d/10-mini", MINI), ("element-provides", "operating-system\n")]);
        workshop
    }

    /// Writes an element: files of phases that have no dot in their name can be executed.
    pub fn element(&self, name: &str, files: &[(&str, &str)]) {
        self.sandbox.element(name, files);
        for (file, _) in files {
            let path = self.sandbox.path().join("elements").join(name).join(file);
            let is_hook = file.contains(".d/")
                && !file.starts_with("environment.d")
                && !file.rsplit('/').next().unwrap().contains('.');
            if is_hook {
                fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut all = vec!["build", "-v", "-n", "-t", "tar", "-o", "out", "--elements-path", "elements", "mini"];
        all.extend(words);
        self.sandbox.kiln(&all)
    }

    pub fn build(&self, words: &[&str]) -> Output {
        let output = self.command(words).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        output
    }

    /// One of DIB's commands, in the folder of the test, without the element `base`.
    pub fn dib_command(&self, program: &str, words: &[&str]) -> Command {
        let path = Path::new(KILN).with_file_name(program);
        let mut command = Command::new(path);
        if program != "diskimage-builder" {
            command.arg("-n");
        }
        command.args(words).env_clear().current_dir(self.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.path().join("home")).env("KILN_STORE", self.path().join("store"));
        command.env("ELEMENTS_PATH", self.path().join("elements"));
        command
    }

    /// Runs one of DIB's commands.
    pub fn dib(&self, program: &str, words: &[&str]) -> Output {
        self.dib_command(program, words).output().unwrap()
    }

    /// A file of the finished tree.
    pub fn read(&self, path: &str) -> String {
        let tar =
            Command::new("tar").arg("-xOf").arg(self.sandbox.path().join("out.tar")).arg(format!("./{path}")).output();
        let output = tar.unwrap();
        assert!(output.status.success(), "{path} is not in the tree: {}", stderr(&output));
        stdout(&output)
    }

    pub fn has(&self, path: &str) -> bool {
        let words =
            ["-tf", self.sandbox.path().join("out.tar").to_str().unwrap(), &format!("./{path}")].map(str::to_owned);
        Command::new("tar").args(words).output().unwrap().status.success()
    }

    pub fn path(&self) -> &Path {
        self.sandbox.path()
    }
}
