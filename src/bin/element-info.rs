//! The program `element-info`.

use std::process::ExitCode;

fn main() -> ExitCode {
    kiln::cli::dib::element_info()
}
