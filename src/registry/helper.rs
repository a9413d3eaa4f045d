//! Programs that keep credentials: `docker-credential-NAME`.
//!
//! In: the server whose credentials are wanted, on the program's input. Out: what it prints, `{"Username", "Secret"}`. What it prints is
//! in no log and no error.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::event::Events;
use crate::sandbox::command::{Command, CommandError};

/// It may ask a person for a word.
const LIMIT: Duration = Duration::from_secs(120);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// The user and the secret for `server`, when the program has them.
///
/// # Errors
/// There is no such program, it fails, or says something else.
pub fn ask(
    name: &str,
    server: &str,
    environment: &BTreeMap<String, String>,
) -> Result<Option<(String, String)>, CommandError> {
    let program = format!("docker-credential-{name}");
    let failed = |status| CommandError::Status { command: format!("{program} get"), status, tail: Vec::new() };
    if name.contains('/') {
        let source = std::io::Error::other("its name is that of a file elsewhere");
        return Err(CommandError::Start { program, place: String::new(), source });
    }
    let command = Command::new([program.as_str(), "get"]).environment(environment.clone());
    let output = command.stdin(server).quiet().timeout(Some(LIMIT)).run(&Events::none())?;
    // The protocol has no status of its own for this.
    if output.status != 0 && output.stdout.starts_with(b"credentials not found") {
        return Ok(None);
    }
    if output.status != 0 {
        return Err(failed(output.status));
    }
    let answer: Answer = serde_json::from_slice(&output.stdout).map_err(|_| failed(0))?;
    Ok(Some((answer.username, answer.secret)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_program_is_asked_for_a_server_and_errors_do_not_show_what_it_said() {
        let folder = tempfile::tempdir().unwrap();
        let program = |name: &str, script: &str| {
            let path = folder.path().join(format!("docker-credential-{name}"));
            std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        };
        program("good", "read server; printf '{\"ServerURL\":\"x\",\"Username\":\"%s\",\"Secret\":\"p\"}' \"$server\"");
        program("empty", "echo credentials not found in native keychain; exit 1");
        program("bad", "echo s3cret; echo s3cret >&2; exit 3");
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let environment = BTreeMap::from([("PATH".to_owned(), path)]);
        let ask = |name: &str| ask(name, "registry.example", &environment);
        assert_eq!(ask("good").unwrap(), Some(("registry.example".to_owned(), "p".to_owned())));
        assert_eq!(ask("empty").unwrap(), None);
        let error = ask("bad").unwrap_err().to_string();
        assert_eq!(error, "`docker-credential-bad get` ended with status 3");
        assert!(ask("none").unwrap_err().to_string().contains("docker-credential-none"));
        assert!(ask("/../x").is_err());
    }
}
