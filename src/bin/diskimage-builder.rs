//! The program `diskimage-builder`.

use std::process::ExitCode;

fn main() -> ExitCode {
    kiln::cli::dib::diskimage_builder()
}
