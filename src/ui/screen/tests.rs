//! Events in, text out.

use std::sync::{Arc, Mutex};

use super::*;
use crate::diagnostic::{Diagnostic, Label};
use crate::event::{Artifact, Failure, Level, Unit};

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Shows the events, one a second; returns screen and log.
fn show(options: Options, events: &[Event]) -> (String, String) {
    let (paper, log) = (Paper::default(), Paper::default());
    let mut screen = Screen::new(options, Box::new(paper.clone())).with_log(Box::new(log.clone()));
    for (second, event) in events.iter().enumerate() {
        screen.handle_at(event, Duration::from_secs(second as u64)).unwrap();
    }
    (paper.text(), log.text())
}

fn output(line: &str) -> Event {
    Event::Output { line: line.into() }
}

fn begin() -> Vec<Event> {
    vec![
        Event::PhaseStarted { phase: "install".into(), steps: 2 },
        Event::StepStarted { id: "install/10-vim".into(), title: "vim: install packages".into() },
        Event::StepFinished { id: "install/10-vim".into(), milliseconds: 3, reused: true },
        Event::StepStarted { id: "install/50-ssh".into(), title: "ssh: keys".into() },
        output("generating \x1b[1mkeys\x1b[0m"),
        Event::Message { level: Level::Warning, text: "no keys given".into() },
    ]
}

fn success() -> Vec<Event> {
    let mut events = begin();
    events.extend([
        Event::StepFinished { id: "install/50-ssh".into(), milliseconds: 2000, reused: false },
        Event::PhaseFinished { phase: "install".into(), milliseconds: 7000 },
        Event::Artifact(Artifact {
            format: "qcow2".into(),
            temporary: "out/.i.qcow2.kiln-partial".into(),
            path: "out/i.qcow2".into(),
            size: 333_192_192,
            digests: vec![("md5".into(), "00ff".into())],
        }),
        Event::Finished { milliseconds: 65_000 },
    ]);
    events
}

fn failure() -> Vec<Event> {
    let mut events = begin();
    events.push(Event::Failed(Failure {
        message: "cannot read the key file /etc/keys".into(),
        element: Some("ssh".into()),
        step: Some("install/50-ssh".into()),
        phase: Some("install".into()),
        diagnostic: Some(Diagnostic {
            code: "file.missing".into(),
            message: "no such file".into(),
            labels: vec![Label {
                file: "ssh/element.rhai".into(),
                source: "fn install() {\n    read(\"/etc/keys\");\n}\n".into(),
                span: 24..35,
                text: "read here".into(),
            }],
            help: Vec::new(),
        }),
        help: Some("create it, or set ssh.keys".into()),
        exit_status: 1,
    }));
    events
}

#[test]
fn without_a_terminal_each_thing_is_a_line_and_the_end_is_a_report() {
    let (screen, _) = show(Options::default(), &success());
    insta::assert_snapshot!(screen, @r"
    [    0.0s] install: begins, 2 steps
    [    1.0s] install: vim: install packages
    [    2.0s] install: vim: install packages: from the store
    [    3.0s] install: ssh: keys
    [    5.0s] warning: no keys given
    [    7.0s] install: done in 7.0 s
    built in 1 min 05 s
      out/i.qcow2  317.8 MiB
        md5 00ff
    time per phase:
      install               7.0 s
    from the store: vim: install packages
    ");
}

#[test]
fn a_failure_says_what_where_why_and_how_to_repeat_it() {
    let options =
        Options { log: Some("/tmp/kiln.log".into()), repeat: Some("kiln build -o i ssh".into()), ..Options::default() };
    let (screen, _) = show(options, &failure());
    let report = &screen[screen.find("error[").unwrap()..];
    insta::assert_snapshot!(report, @r#"
    error[file.missing]: no such file
     --> ssh/element.rhai:2:10
      |
    2 |     read("/etc/keys");
      |          ^^^^^^^^^^^ read here

      element  ssh
      step     install/50-ssh (ssh: keys)
      phase    install

    last output:
      | generating keys

    help: create it, or set ssh.keys
    log:    /tmp/kiln.log
    repeat: kiln build -o i ssh
    "#);
}

#[test]
fn quiet_leaves_warnings_and_errors() {
    let quiet = || Options { verbosity: Verbosity::Quiet, ..Options::default() };
    assert_eq!(show(quiet(), &success()).0, "[    5.0s] warning: no keys given\n");
    assert!(show(quiet(), &failure()).0.contains("error[file.missing]: no such file"));
}

#[test]
fn verbose_adds_what_commands_print() {
    let verbose = Options { verbosity: Verbosity::Verbose, ..Options::default() };
    assert!(show(verbose, &success()).0.contains("[    4.0s] install | generating keys\n"));
    assert!(!show(Options::default(), &success()).0.contains("generating"));
}

#[test]
fn the_log_has_everything_whatever_the_screen_shows() {
    let quiet = Options { verbosity: Verbosity::Quiet, ..Options::default() };
    let (_, log) = show(quiet, &failure());
    insta::assert_snapshot!(log, @r#"
    [    0.0s] phase install begins, steps: 2
    [    1.0s] step install/10-vim begins: vim: install packages
    [    2.0s] step install/10-vim done in 0.0 s, from the store
    [    3.0s] step install/50-ssh begins: ssh: keys
    [    4.0s] | generating keys
    [    5.0s] warning: no keys given
    [    6.0s] failed: cannot read the key file /etc/keys
    [    6.0s] element: ssh
    [    6.0s] step: install/50-ssh
    [    6.0s] phase: install
    [    6.0s] error[file.missing]: no such file
    [    6.0s]  --> ssh/element.rhai:2:10
    [    6.0s]   |
    [    6.0s] 2 |     read("/etc/keys");
    [    6.0s]   |          ^^^^^^^^^^^ read here
    [    6.0s] help: create it, or set ssh.keys
    [    6.0s] exit status: 1
    "#);
}

#[test]
fn json_lines_are_the_events() {
    let (screen, _) = show(Options { form: Form::Json, ..Options::default() }, &success());
    let events: Vec<Event> = screen.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), success().len());
    assert!(matches!(&events[4], Event::Output { line } if line.contains('\x1b')), "{:?}", events[4]);
}

#[test]
fn progress_is_a_line_only_now_and_then() {
    let mut events = vec![Event::PhaseStarted { phase: "formats".into(), steps: 0 }];
    events.extend((0..=40).map(|done| Event::Progress { what: "qcow2".into(), done, total: 40, unit: Unit::Items }));
    let (screen, log) = show(Options::default(), &events);
    insta::assert_snapshot!(screen, @r"
    [    0.0s] formats: begins
    [   11.0s] formats: qcow2: 10 of 40 (25 %)
    [   21.0s] formats: qcow2: 20 of 40 (50 %)
    [   31.0s] formats: qcow2: 30 of 40 (75 %)
    [   41.0s] formats: qcow2: 40 of 40 (100 %)
    ");
    assert_eq!(log.lines().count(), events.len());
}

#[test]
fn colour_only_decorates_words_that_are_there_without_it() {
    for events in [success(), failure()] {
        let plain = show(Options::default(), &events).0;
        let coloured = show(Options { colour: true, ..Options::default() }, &events).0;
        assert!(coloured.contains("\x1b[1;33mwarning:\x1b[0m"));
        let stripped: Vec<_> = coloured.lines().map(crate::ui::text::printable).collect();
        assert_eq!(stripped, plain.lines().collect::<Vec<_>>());
        assert!(!plain.contains('\x1b'));
    }
}

fn transcript(verbosity: Verbosity, events: &[Event]) -> (String, String) {
    show(Options { form: Form::Transcript, verbosity, ..Options::default() }, events)
}

#[test]
fn a_transcript_shows_all_that_is_said_and_printed_and_its_log_has_the_same_lines_with_stamps() {
    let (screen, log) = transcript(Verbosity::Normal, &success());
    insta::assert_snapshot!(screen, @r"
    install: begins, 2 steps
    install: vim: install packages
    install: vim: install packages: from the store
    install: ssh: keys
    generating keys
    WARNING: no keys given
    install: done in 7.0 s
    Image file out/i.qcow2 created...
    built in 1 min 05 s
    Build completed successfully
    ");
    let pattern = regex::Regex::new(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \| ").unwrap();
    let unstamped: Vec<_> = log.lines().map(|line| pattern.replace(line, "").into_owned()).collect();
    assert_eq!(unstamped, screen.lines().collect::<Vec<_>>());
    assert!(log.lines().all(|line| pattern.is_match(line)), "{log}");
    let stamped = Options { form: Form::Transcript, stamped: true, ..Options::default() };
    assert!(show(stamped, &success()).0.lines().all(|line| pattern.is_match(line)));
}

#[test]
fn a_quiet_transcript_shows_failures_only_and_its_log_has_all() {
    let (screen, log) = transcript(Verbosity::Quiet, &success());
    assert_eq!(screen, "");
    assert!(log.contains("generating keys") && log.contains("ssh: keys") && log.contains("successfully"), "{log}");
    let mut events = failure();
    if let Some(Event::Failed(failure)) = events.last_mut() {
        failure.diagnostic = None;
        failure.exit_status = 3;
    }
    let (screen, _) = transcript(Verbosity::Quiet, &events);
    insta::assert_snapshot!(screen, @r"
    error: cannot read the key file /etc/keys
      element  ssh
      step     install/50-ssh (ssh: keys)
      phase    install
    help: create it, or set ssh.keys
    exit status 3
    ");
}
