//! Words in.
//!
//! In: arguments and environment. Out: a [`Request`](crate::request::Request), or one verb carried out; an exit status.
//! One file a verb. After this room nobody knows which words were spoken. Not here: anything about elements, disks, packages.

mod audit;
mod block_device;
pub mod boot;
mod build;
mod builder;
mod checks;
mod conditions;
mod convert;
mod debootstrap;
pub mod dib;
mod disk_functions;
mod docs;
mod duration;
mod effects;
mod inspect;
mod layout;
mod library;
mod lint;
mod meaning;
mod new;
mod packages;
mod partial;
mod patience;
mod plan;
mod port;
mod prepare;
mod push;
mod repl;
mod secrets;
mod size;
pub mod test;
mod variables;
mod words;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// kiln bakes bootable disk images from elements.
#[derive(Parser, Debug)]
#[command(name = "kiln", version, arg_required_else_help = true, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Build an image from elements
    Build(build::BuildArgs),
    /// Show what a build would do, without doing it
    Plan(plan::PlanArgs),
    /// Solve a description of disks and show the layout, without building
    Layout(layout::LayoutArgs),
    /// Show which packages the elements ask for
    Packages(packages::PackagesArgs),
    /// Start an image in QEMU and wait for a text on its console
    Boot(boot::BootArgs),
    /// Show what elements may do, and what grew
    Audit(audit::AuditArgs),
    /// Write a disk image in other formats
    Convert(convert::ConvertArgs),
    /// Show what is on a disk image: partitions, file systems, files
    Inspect(inspect::InspectArgs),
    /// Send a container's image to a registry
    Push(push::PushArgs),
    /// Run the tests of elements, on an image in memory
    Test(test::TestArgs),
    /// Look for mistakes in elements, without running anything
    Lint(lint::LintArgs),
    /// Begin an element
    New(new::NewArgs),
    /// Print the reference of what elements can call
    Docs(docs::DocsArgs),
    /// Try verbs on an image in memory, with the permissions of an element
    Repl(repl::ReplArgs),
    /// Make a Rhai draft of a shell element
    Port(port::PortArgs),
    /// The other side of `build`; started by kiln itself
    #[command(hide = true)]
    Builder(builder::BuilderArgs),
    /// What debootstrap makes; for hooks
    #[command(hide = true)]
    Debootstrap(debootstrap::DebootstrapArgs),
    /// What dib-block-device answers; for hooks
    #[command(hide = true)]
    BlockDevice(block_device::BlockDeviceArgs),
    /// Where the files that come with kiln are; for the shell library
    #[command(hide = true)]
    Library(library::LibraryArgs),
}

/// Carries out the words this process was started with.
pub fn main() -> ExitCode {
    match Cli::parse().verb {
        Verb::Build(args) => build::run(args),
        Verb::Plan(args) => plan::run(args),
        Verb::Layout(args) => layout::run(&args),
        Verb::Packages(args) => packages::run(&args),
        Verb::Boot(args) => boot::run(args),
        Verb::Audit(args) => audit::run(&args),
        Verb::Convert(args) => convert::run(&args),
        Verb::Inspect(args) => inspect::run(&args),
        Verb::Push(args) => push::run(&args),
        Verb::Test(args) => test::main(&args),
        Verb::Lint(args) => lint::run(&args),
        Verb::New(args) => new::run(&args),
        Verb::Docs(args) => docs::run(&args),
        Verb::Repl(args) => repl::run(&args),
        Verb::Port(args) => port::run(&args),
        Verb::Builder(args) => builder::run(args),
        Verb::Debootstrap(args) => debootstrap::run(&args),
        Verb::BlockDevice(args) => block_device::run(&args),
        Verb::Library(args) => library::run(&args),
    }
}

/// Says why nothing was done, and how that exits.
fn refuse(message: &dyn std::fmt::Display) -> ExitCode {
    let text = message.to_string();
    // A diagnostic begins with its own `error[code]`.
    let prefix = if text.starts_with("error") || text.starts_with("\x1b[") { "" } else { "error: " };
    say(&format!("{prefix}{}", text.trim_end()));
    ExitCode::from(1)
}

/// Says what a user should know, and goes on.
fn warn(message: &str) {
    say(&format!("warning: {message}"));
}

/// Writes a line to standard error. Who closed it, or filled its disk, does not want to know.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints a verb's result, the last thing that it does: ends the process when nobody gets it.
fn print(text: &str) {
    let mut out = std::io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // A reader that has seen enough (`| head`) is no error.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            refuse(&format!("cannot print: {error}"));
            std::process::exit(1);
        }
        _ => {}
    }
}

/// Standard error is a terminal: progress can be drawn there.
fn is_terminal() -> bool {
    std::io::stderr().is_terminal() && variables::var("TERM").is_none_or(|term| term != "dumb")
}

/// Colours are wanted: a terminal, and no `NO_COLOR` (no-color.org).
fn colour() -> bool {
    is_terminal() && variables::var("NO_COLOR").is_none()
}
