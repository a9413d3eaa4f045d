//! Variables that hooks of diskimage-builder find set.

use crate::plan::Phase;

/// What a variable means in a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// The image's folder on the host.
    Image,
    /// A fact of the build, as an expression.
    Fact(&'static str),
    /// What a Rhai hook cannot have, and why.
    Refused(&'static str),
    /// A variable like any other.
    Environment,
}

/// What `name` means to a hook of `phase`.
pub fn known(name: &str, phase: Phase) -> Known {
    let outside = !matches!(phase, Phase::PreInstall | Phase::Install | Phase::PostInstall | Phase::Finalise);
    match name {
        "TMP_MOUNT_PATH" if outside => Known::Image,
        "TARGET_ROOT" if matches!(phase, Phase::Root | Phase::Cleanup) => Known::Image,
        "DISTRO_NAME" => Known::Fact("image.distro()"),
        "DIB_RELEASE" => Known::Fact("image.release()"),
        "ARCH" => Known::Fact("image.arch()"),
        "DIB_ROOT_LABEL" => Known::Fact("image.root_label()"),
        "DIB_BOOT_LABEL" => Known::Fact("image.boot_label()"),
        "TMP_MOUNT_PATH" | "TARGET_ROOT" => Known::Refused("the hook does not run where it is set"),
        "TMP_HOOKS_PATH" => Known::Refused("the folder in which shell hooks hand files to each other"),
        "TMP_BUILD_DIR" | "TMP_IMAGE_DIR" | "TMP_IMAGE_PATH" | "DIB_IMAGE_CACHE" | "DIB_LOCKFILES" | "_LIB" => {
            Known::Refused("a folder of the host")
        }
        "IMAGE_BLOCK_DEVICE" | "IMAGE_BLOCK_DEVICES" => Known::Refused("a real block device"),
        "IMAGE_NAME" => Known::Refused("a path beside the output"),
        "HOME" | "PWD" | "PATH" | "IFS" | "USER" | "PS4" => Known::Refused("a matter of the shell's own surroundings"),
        "IMAGE_ELEMENT" | "DIB_ENV" | "DIB_ARGS" | "DIB_PYTHON_EXEC" | "ELEMENTS_PATH" | "DIB_MOUNTPOINTS" => {
            Known::Refused("what the program hands to shell hooks only")
        }
        _ => Known::Environment,
    }
}

/// Every value of it is one word.
pub fn is_single(name: &str) -> bool {
    ["DIB_INIT_SYSTEM", "YUM", "DIB_PYTHON_VERSION"].contains(&name)
}

/// Upstream's operating systems set it in their `environment.d`.
pub fn is_common(name: &str) -> bool {
    ["YUM", "EFI_BOOT_DIR"].contains(&name)
}

/// The name that a variable gets in Rhai: its own in small letters, unless that means something.
pub fn rhai_name(name: &str) -> String {
    const TAKEN: [&str; 52] = [
        "image",
        "var",
        "static",
        "shared",
        "goto",
        "match",
        "case",
        "public",
        "protected",
        "new",
        "use",
        "with",
        "is",
        "module",
        "package",
        "super",
        "thread",
        "spawn",
        "go",
        "await",
        "async",
        "sync",
        "yield",
        "default",
        "void",
        "null",
        "nil",
        "let",
        "const",
        "if",
        "else",
        "for",
        "in",
        "while",
        "loop",
        "do",
        "until",
        "break",
        "continue",
        "return",
        "throw",
        "try",
        "catch",
        "import",
        "export",
        "as",
        "fn",
        "this",
        "true",
        "false",
        "switch",
        "global",
    ];
    let small = name.to_ascii_lowercase();
    let start = small.trim_start_matches('_');
    let good = start.starts_with(|letter: char| letter.is_ascii_alphabetic());
    let small = if good { start.to_owned() } else { format!("v{small}") };
    let taken = TAKEN.contains(&small.as_str())
        || ["private", "call", "curry", "type_of", "print", "debug", "eval", "files", "variables", "_"]
            .contains(&small.as_str());
    if taken { format!("the_{small}") } else { small }
}
