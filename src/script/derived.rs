//! Checks that every element has without a line of test: its hooks run on an image in memory.
//!
//! In: an element with its hooks, what its tests arrange. Out: for each check how it ended. A hook that stops because it wants more
//! than an empty image has is no failure: then the check says what it could not see. Not here: tests that authors write
//! ([`super::testing`]).

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use super::distribution::Distribution;
use super::permission::{self, Permission};
use super::rehearsal::{PlannedEffect, rehearse, steps_of};
use super::testing::{TestedElement, Tests, facts_of, script};
use crate::diagnostic::Diagnostic;
use crate::event::Events;
use crate::target::Facts;
use crate::target::fake::FakeTarget;
use crate::target::fake::contents::Contents;

/// Lines of a difference that are shown.
const SHOWN: usize = 10;

/// A check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Running everything again changes nothing.
    RunsTwice,
    /// Nothing is changed that was not granted.
    StaysWithinItsGrants,
    /// Two fresh images see the same calls.
    IsRepeatable,
    /// The calls are those that were recorded.
    Effects,
}

impl Check {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::RunsTwice, Self::StaysWithinItsGrants, Self::IsRepeatable, Self::Effects];

    /// The name, as a test's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RunsTwice => "runs_twice",
            Self::StaysWithinItsGrants => "stays_within_its_grants",
            Self::IsRepeatable => "is_repeatable",
            Self::Effects => "effects",
        }
    }
}

/// How a check ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Well.
    Passed,
    /// Badly.
    Failed(Box<Diagnostic>),
    /// It could not be told, because of this.
    Ignored(String),
}

/// Carries out `check` on an image of `distribution`. `bless` records the effects instead of comparing them.
pub fn run(tested: &TestedElement, tests: &Tests, check: Check, distribution: &Distribution, bless: bool) -> Outcome {
    if tests.skipped.iter().any(|name| name == check.name()) {
        return Outcome::Ignored("the element's tests say so (`SKIP`)".to_owned());
    }
    let mut run = match Run::new(tested, tests, distribution) {
        Ok(run) => run,
        Err(diagnostic) => return Outcome::Failed(diagnostic),
    };
    let before = run.target.contents();
    let ended = run.hooks();
    if let Err(diagnostic) = ended {
        let denied = diagnostic.code == "permission.denied";
        return match check {
            Check::StaysWithinItsGrants if denied => Outcome::Failed(Box::new(diagnostic)),
            _ => Outcome::Ignored(format!("a hook stops on an empty image: {}", diagnostic.message)),
        };
    }
    let failed = match check {
        Check::RunsTwice => twice(&mut run),
        Check::StaysWithinItsGrants => within(tested, &before, &run.target.contents()),
        Check::IsRepeatable => repeated(tested, tests, distribution, &run),
        Check::Effects => recorded(tested, distribution, &run.effects, bless),
    };
    failed.map_or(Outcome::Passed, |diagnostic| Outcome::Failed(Box::new(diagnostic)))
}

/// The file in which the effects on `distribution` are recorded.
pub fn record(tested: &TestedElement, distribution: &Distribution) -> Utf8PathBuf {
    tested.element.directory.join(format!("tests/effects.{}.txt", distribution.name))
}

/// An image and what happened to it.
struct Run<'a> {
    tested: &'a TestedElement,
    facts: Facts,
    target: FakeTarget,
    effects: Vec<PlannedEffect>,
}

impl<'a> Run<'a> {
    /// A fresh image, arranged as the element's tests say.
    fn new(tested: &'a TestedElement, tests: &Tests, distribution: &Distribution) -> Result<Self, Box<Diagnostic>> {
        let target = FakeTarget::new();
        for file in &tests.arrangements {
            script(tested, file, distribution, &target)?.call("arrange")?;
        }
        Ok(Self { tested, facts: facts_of(tested, distribution), target, effects: Vec::new() })
    }

    /// Runs every hook.
    fn hooks(&mut self) -> Result<(), Diagnostic> {
        let element = &self.tested.element;
        let steps = steps_of(element, &self.tested.hooks);
        let elements = std::slice::from_ref(element);
        rehearse(&steps, elements, &self.facts, &self.target, &Events::none(), &mut self.effects)
    }
}

fn twice(run: &mut Run<'_>) -> Option<Diagnostic> {
    let once = run.target.contents();
    if let Err(diagnostic) = run.hooks() {
        return Some(diagnostic.help("this happened when the hooks ran for the second time on one image"));
    }
    let difference = once.difference(&run.target.contents());
    if difference.is_empty() {
        return None;
    }
    let text = format!("running the hooks a second time changes the image\n  {}", shown(&difference));
    Some(Diagnostic::new("test.runs-twice", text).help(
        "make the hooks look before they add: `replace_line` instead of `append_to_file`, `exists` before a change",
    ))
}

fn within(tested: &TestedElement, before: &Contents, after: &Contents) -> Option<Diagnostic> {
    let grants: Vec<Permission> =
        tested.element.permissions.iter().filter_map(|text| permission::parse(text).ok()).collect();
    let of_files = |grant: &Permission| {
        matches!(grant, Permission::Write(_) | Permission::ReadHost(_) | Permission::Fetch(_) | Permission::Secret(_))
    };
    // Other grants change files of their own: units, accounts, lists of packages. Those were asked for by their verbs.
    if !grants.iter().all(of_files) {
        return None;
    }
    let covered = |path: &Utf8Path| {
        grants.iter().any(|grant| match grant {
            // Folders on the way to a granted path come with it.
            Permission::Write(prefix) => path.starts_with(prefix) || prefix.starts_with(path),
            _ => false,
        })
    };
    let outside: Vec<String> =
        before.changed(after).into_iter().filter(|path| !covered(path)).map(ToString::to_string).collect();
    (!outside.is_empty()).then(|| {
        let text = format!("the hooks changed what they were not granted\n  {}", shown(&outside));
        Diagnostic::new("test.grants", text)
    })
}

fn repeated(tested: &TestedElement, tests: &Tests, distribution: &Distribution, first: &Run<'_>) -> Option<Diagnostic> {
    let mut second = match Run::new(tested, tests, distribution) {
        Ok(run) => run,
        Err(diagnostic) => return Some(*diagnostic),
    };
    if let Err(diagnostic) = second.hooks() {
        return Some(diagnostic.help("this happened on the second of two equal images"));
    }
    let (one, other) = (lines(&first.effects), lines(&second.effects));
    (one != other).then(|| {
        let text = format!("two equal images see different calls\n  {}", shown(&differences(&one, &other)));
        Diagnostic::new("test.repeatable", text)
    })
}

fn recorded(
    tested: &TestedElement,
    distribution: &Distribution,
    effects: &[PlannedEffect],
    bless: bool,
) -> Option<Diagnostic> {
    let file = record(tested, distribution);
    let found = lines(effects);
    if bless {
        let text = found.iter().map(|line| format!("{line}\n")).collect::<String>();
        let written = fs::create_dir_all(file.parent().unwrap_or(&file)).and_then(|()| fs::write(&file, text));
        return written.err().map(|error| Diagnostic::new("test.bless", format!("cannot write {file}: {error}")));
    }
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) => return Some(Diagnostic::new("test.effects", format!("cannot read {file}: {error}"))),
    };
    let recorded: Vec<String> = text.lines().map(str::to_owned).collect();
    (recorded != found).then(|| {
        let difference = shown(&differences(&recorded, &found));
        let text = format!("the effects are not those of {file}\n  {difference}");
        Diagnostic::new("test.effects", text).help("look at each change, then record them with `kiln test --bless`")
    })
}

/// The calls, a line each, without the places in the source: those change for no reason.
fn lines(effects: &[PlannedEffect]) -> Vec<String> {
    let line = |effect: &PlannedEffect| {
        let args: Vec<String> = effect.args.iter().map(ToString::to_string).collect();
        format!("{}: {}({})", effect.phase, effect.verb, args.join(", "))
    };
    effects.iter().map(line).collect()
}

/// What is between the equal beginnings and the equal ends of two lists.
fn differences(old: &[String], new: &[String]) -> Vec<String> {
    let start = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let rest = old.len().min(new.len()) - start;
    let end = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(old, new)| old == new).count();
    let middle = |lines: &[String]| lines.get(start..lines.len() - end).unwrap_or_default().to_vec();
    let gone = middle(old).into_iter().map(|line| format!("- {line}"));
    gone.chain(middle(new).into_iter().map(|line| format!("+ {line}"))).collect()
}

fn shown(lines: &[String]) -> String {
    let mut text = lines.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n  ");
    if lines.len() > SHOWN {
        text.push_str(&format!("\n  … and {} more", lines.len() - SHOWN));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::super::{distribution, testing};
    use super::*;
    use crate::plan::Phase;

    fn outcome(permissions: &[&str], body: &str, tests: &str, check: Check) -> Outcome {
        let fixture = Fixture::new(permissions)
            .file("element.rhai", &format!("fn install(image) {{ {body} }}\n"))
            .file("tests/a.rhai", tests);
        let file = fixture.element.directory.join("element.rhai");
        let tested = TestedElement {
            element: fixture.element.clone(),
            variables: Default::default(),
            hooks: vec![(Phase::Install, file, "install".into())],
        };
        let found = testing::find(&tested);
        run(&tested, &found, check, &distribution::ALL[0], false)
    }

    fn message(outcome: Outcome) -> String {
        match outcome {
            Outcome::Failed(diagnostic) => diagnostic.message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_element_that_adds_again_is_found() {
        let append = "image.append_to_file(\"/etc/x\", \"line\\n\");";
        let text = message(outcome(&["write:/etc"], append, "", Check::RunsTwice));
        assert!(text.ends_with("/etc/x: line 2 was nothing and became `line`"), "{text}");
        let write = "image.write_file(\"/etc/x\", \"line\\n\");";
        assert_eq!(outcome(&["write:/etc"], write, "", Check::RunsTwice), Outcome::Passed);
        let skipped = outcome(&["write:/etc"], append, "const SKIP = [\"runs_twice\"];\n", Check::RunsTwice);
        assert!(matches!(skipped, Outcome::Ignored(_)), "{skipped:?}");
    }

    #[test]
    fn an_element_that_does_what_it_was_not_granted_is_found() {
        let body = "image.write_file(\"/srv/x\", \"\");";
        let text = message(outcome(&["write:/etc"], body, "", Check::StaysWithinItsGrants));
        assert!(text.contains("needs the permission `write:/srv/x`"), "{text}");
        assert_eq!(outcome(&["write:/srv/x"], body, "", Check::StaysWithinItsGrants), Outcome::Passed);
        // Nothing else can be said about it then.
        assert!(matches!(outcome(&[], body, "", Check::RunsTwice), Outcome::Ignored(_)));
    }

    #[test]
    fn a_change_outside_the_grants_is_found_whoever_let_it_through() {
        let target = FakeTarget::new();
        let before = target.contents();
        crate::target::Target::write(&target, "/srv/a/b".into(), b"", Default::default()).unwrap();
        let tested = |permission: &str| TestedElement {
            element: Fixture::new(&[permission]).element,
            variables: Default::default(),
            hooks: Vec::new(),
        };
        assert!(within(&tested("write:/srv/a"), &before, &target.contents()).is_none());
        let found = within(&tested("write:/etc"), &before, &target.contents()).unwrap();
        assert_eq!(found.message, "the hooks changed what they were not granted\n  /srv/a\n  /srv/a/b");
    }

    #[test]
    fn what_tests_arrange_is_there() {
        let body = "image.write_file(\"/srv/x\", image.read_file(\"/etc/there\"));";
        let bare = outcome(&["write:/srv"], body, "", Check::IsRepeatable);
        assert!(matches!(&bare, Outcome::Ignored(why) if why.contains("/etc/there")), "{bare:?}");
        let arranged = "fn arrange(image) { image.write_file(\"/etc/there\", \"x\"); }\n";
        assert_eq!(outcome(&["write:/srv"], body, arranged, Check::IsRepeatable), Outcome::Passed);
    }

    #[test]
    fn differences_are_told_without_what_is_equal() {
        let list = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(differences(&list("a b c d"), &list("a x d")), ["- b", "- c", "+ x"]);
        assert_eq!(differences(&list("a a"), &list("a a a")), ["+ a"]);
    }
}
