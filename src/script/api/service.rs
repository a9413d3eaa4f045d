//! A service, said once for every init system.
//!
//! In: the map that `write_unit` takes. Out: a systemd unit, or an OpenRC script. Pure.
//! Formats: systemd.service(5), openrc-run(8). Words of a command are data in both: nothing in them is expanded.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

use super::super::host_error::HostError;

/// What `write_unit(name, #{…})` takes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Program, by its whole path, and arguments.
    pub command: Vec<String>,
    /// What it is, in a line.
    #[serde(default)]
    pub summary: String,
    /// Who runs it; root when absent.
    pub user: Option<String>,
    /// The group that it runs with; the user's own when absent.
    pub group: Option<String>,
    /// Variables that it sees.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// The folder that it starts in.
    pub directory: Option<String>,
    /// What happens when it ends: `no`, `on-failure` or `always`.
    #[serde(default)]
    pub restart: Restart,
    /// Services that start before it; `network` means a network that works.
    #[serde(default)]
    pub after: Vec<String>,
    /// It runs once and ends.
    #[serde(default)]
    pub once: bool,
}

/// When a service is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Never.
    No,
    /// After a failure.
    #[default]
    OnFailure,
    /// Whenever it ends.
    Always,
}

impl Service {
    /// Refuses what no init system could start.
    ///
    /// # Errors
    /// `usage.option`.
    pub fn check(&self) -> Result<(), HostError> {
        let wrong = |text: String| Err(HostError::usage("option", text));
        if self.command.first().is_none_or(|program| !program.starts_with('/')) {
            return wrong(
                "`command` of a service begins with the whole path of its program: `[\"/usr/bin/web\"]`".into(),
            );
        }
        let names = self.user.iter().chain(&self.group).chain(&self.after);
        if let Some(name) = names.clone().find(|name| name.is_empty() || !name.chars().all(is_name)) {
            return wrong(format!("`{name}` is no name of a user, a group or a service"));
        }
        if let Some(name) = self
            .environment
            .keys()
            .find(|name| name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        {
            return wrong(format!("`{name}` is no name of a variable"));
        }
        let texts = self.command.iter().chain(self.environment.values()).chain(&self.directory).chain([&self.summary]);
        match texts.into_iter().find(|text| text.contains(|c: char| c.is_control())) {
            Some(text) => wrong(format!("{text:?} holds a line feed or another control character")),
            None => Ok(()),
        }
    }

    /// The unit.
    pub fn systemd(&self) -> String {
        let mut text = String::from("[Unit]\n");
        if !self.summary.is_empty() {
            let _ = writeln!(text, "Description={}", self.summary.replace('%', "%%"));
        }
        for name in &self.after {
            match name.as_str() {
                "network" => text.push_str("Wants=network-online.target\nAfter=network-online.target\n"),
                other if other.contains('.') => {
                    let _ = writeln!(text, "After={other}");
                }
                other => {
                    let _ = writeln!(text, "After={other}.service");
                }
            }
        }
        let words: Vec<String> = self.command.iter().map(|word| systemd_word(word)).collect();
        let _ = write!(text, "\n[Service]\nType={}\n", if self.once { "oneshot" } else { "simple" });
        if self.once {
            text.push_str("RemainAfterExit=yes\n");
        }
        let _ = writeln!(text, "ExecStart={}", words.join(" "));
        for (key, value) in [("User", &self.user), ("Group", &self.group), ("WorkingDirectory", &self.directory)] {
            if let Some(value) = value {
                let _ = writeln!(text, "{key}={}", value.replace('%', "%%"));
            }
        }
        for (name, value) in &self.environment {
            let _ = writeln!(text, "Environment={}", quoted(&format!("{name}={value}").replace('%', "%%")));
        }
        match self.restart {
            _ if self.once => {}
            Restart::No => {}
            Restart::OnFailure => text.push_str("Restart=on-failure\n"),
            Restart::Always => text.push_str("Restart=always\n"),
        }
        text.push_str("\n[Install]\nWantedBy=multi-user.target\n");
        text
    }

    /// The script.
    pub fn openrc(&self, name: &str) -> String {
        let mut text = String::from("#!/sbin/openrc-run\n\n");
        if !self.summary.is_empty() {
            let _ = writeln!(text, "description={}", shell_word(&self.summary));
        }
        let program = self.command.first().map(String::as_str).unwrap_or_default();
        let arguments: Vec<String> = self.command.iter().skip(1).map(|word| shell_word(word)).collect();
        let _ = writeln!(text, "command={}", shell_word(program));
        if !arguments.is_empty() {
            // openrc-run evaluates it once more.
            let _ = writeln!(text, "command_args={}", shell_word(&arguments.join(" ")));
        }
        let user = match (&self.user, &self.group) {
            (None, None) => None,
            (user, None) => user.clone(),
            (user, Some(group)) => Some(format!("{}:{group}", user.as_deref().unwrap_or("root"))),
        };
        if let Some(user) = user {
            let _ = writeln!(text, "command_user={}", shell_word(&user));
        }
        if let Some(directory) = &self.directory {
            let _ = writeln!(text, "directory={}", shell_word(directory));
        }
        for (name, value) in &self.environment {
            let _ = writeln!(text, "export {name}={}", shell_word(value));
        }
        if !self.once {
            match self.restart {
                Restart::No => {
                    let _ = write!(text, "command_background=true\npidfile=/run/{name}.pid\n");
                }
                Restart::OnFailure | Restart::Always => text.push_str("supervisor=supervise-daemon\n"),
            }
        }
        if !self.after.is_empty() {
            text.push_str("\ndepend() {\n");
            for after in &self.after {
                let line = if after == "network" { "need net".to_owned() } else { format!("after {after}") };
                let _ = writeln!(text, "    {line}");
            }
            text.push_str("}\n");
        }
        if self.once {
            let words: Vec<String> = self.command.iter().map(|word| shell_word(word)).collect();
            let _ = write!(
                text,
                "\nstart() {{\n    ebegin\n    {}\n    eend $?\n}}\n\nstop() {{\n    :\n}}\n",
                words.join(" ")
            );
        }
        text
    }
}

fn is_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "_-.@".contains(letter)
}

/// A word of `ExecStart=`: neither specifiers nor variables of systemd are expanded in it.
fn systemd_word(word: &str) -> String {
    let word = word.replace('%', "%%").replace('$', "$$");
    let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+=:,@%$".contains(c));
    if plain { word } else { quoted(&word) }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A word that a shell takes as it is.
fn shell_word(word: &str) -> String {
    let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> Service {
        Service {
            command: ["/usr/bin/web", "--title", "it's $HOME 100%"].map(str::to_owned).into(),
            summary: "a \"web\" server".into(),
            user: Some("web".into()),
            group: Some("www".into()),
            environment: [("PORT".to_owned(), "80 81".to_owned())].into(),
            directory: Some("/srv".into()),
            restart: Restart::OnFailure,
            after: vec!["network".into(), "db".into()],
            once: false,
        }
    }

    #[test]
    fn a_service_becomes_a_unit() {
        service().check().unwrap();
        insta::assert_snapshot!(service().systemd(), @r#"
        [Unit]
        Description=a "web" server
        Wants=network-online.target
        After=network-online.target
        After=db.service

        [Service]
        Type=simple
        ExecStart=/usr/bin/web --title "it's $$HOME 100%%"
        User=web
        Group=www
        WorkingDirectory=/srv
        Environment="PORT=80 81"
        Restart=on-failure

        [Install]
        WantedBy=multi-user.target
        "#);
    }

    #[test]
    fn a_service_becomes_an_openrc_script_whose_words_survive_two_shells() {
        insta::assert_snapshot!(service().openrc("web"), @r#"
        #!/sbin/openrc-run

        description='a "web" server'
        command=/usr/bin/web
        command_args='--title '\''it'\''\'\'''\''s $HOME 100%'\'''
        command_user=web:www
        directory=/srv
        export PORT='80 81'
        supervisor=supervise-daemon

        depend() {
            need net
            after db
        }
        "#);
    }

    #[test]
    fn what_nothing_could_start_is_refused() {
        let refused = |change: fn(&mut Service)| {
            let mut service = service();
            change(&mut service);
            service.check().unwrap_err().code
        };
        assert_eq!(refused(|service| service.command.clear()), "usage.option");
        assert_eq!(refused(|service| service.command[0] = "web".into()), "usage.option");
        assert_eq!(refused(|service| service.command[1] = "a\nExecStartPre=/bin/x".into()), "usage.option");
        assert_eq!(refused(|service| service.user = Some("a b".into())), "usage.option");
        assert_eq!(refused(|service| service.after[0] = "$(x)".into()), "usage.option");
    }
}
