//! The program `ramdisk-image-create`.

use std::process::ExitCode;

fn main() -> ExitCode {
    kiln::cli::dib::ramdisk_image_create()
}
