//! The program `disk-image-create`.

use std::process::ExitCode;

fn main() -> ExitCode {
    kiln::cli::dib::disk_image_create()
}
