//! Which permission each verb asks for, as far as it can be told without running anything.
//!
//! In: a verb's name. Out: the permissions that a call needs, with the argument that says which path, host or secret. Every verb
//! has its row; a test compares the table with the verbs that there are. Not here: asking while a script runs (`image`).

use super::permission::Permission;

/// A permission that a call of a verb needs. Arguments count from 0, without the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// One without a value.
    Plain(Plain),
    /// `write:` with the path in this argument.
    Write(usize),
    /// `read-host:` with the path in this argument.
    ReadHost(usize),
    /// `fetch:` with the host of the address in this argument.
    Fetch(usize),
    /// `secrets:` with the name in this argument.
    Secret(usize),
}

/// Permissions that take no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// `packages`
    Packages,
    /// `services`
    Services,
    /// `users`
    Users,
    /// `run`
    Run,
    /// `kernel-args`
    KernelArgs,
    /// `disk`
    Disk,
}

impl Plain {
    /// The permission itself.
    pub const fn permission(self) -> Permission {
        match self {
            Self::Packages => Permission::Packages,
            Self::Services => Permission::Services,
            Self::Users => Permission::Users,
            Self::Run => Permission::Run,
            Self::KernelArgs => Permission::KernelArgs,
            Self::Disk => Permission::Disk,
        }
    }
}

impl Need {
    /// What documentation calls it: `write:PATH`.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Plain(Plain::Packages) => "packages",
            Self::Plain(Plain::Services) => "services",
            Self::Plain(Plain::Users) => "users",
            Self::Plain(Plain::Run) => "run",
            Self::Plain(Plain::KernelArgs) => "kernel-args",
            Self::Plain(Plain::Disk) => "disk",
            Self::Write(_) => "write:PATH",
            Self::ReadHost(_) => "read-host:PATH",
            Self::Fetch(_) => "fetch:HOST",
            Self::Secret(_) => "secrets:ID",
        }
    }
}

const PACKAGES: &[Need] = &[Need::Plain(Plain::Packages)];
const SERVICES: &[Need] = &[Need::Plain(Plain::Services)];
const USERS: &[Need] = &[Need::Plain(Plain::Users)];
const KERNEL_ARGS: &[Need] = &[Need::Plain(Plain::KernelArgs)];
const DISK: &[Need] = &[Need::Plain(Plain::Disk)];

/// Verbs that need no permission.
pub const FREE: &[&str] = &[
    "arch",
    "boot_label",
    "code",
    "distro",
    "env",
    "exists",
    "exit",
    "fail",
    "family",
    "glob",
    "has_element",
    "has_env",
    "image_name",
    "lines",
    "list",
    "log",
    "message",
    "option",
    "package_version",
    "read_file",
    "release",
    "render",
    "root_label",
    "sleep",
    "stat",
    "to_debug",
    "to_string",
    "warn",
];

/// Verbs and what they need.
pub const TABLE: &[(&str, &[Need])] = &[
    ("add_group", USERS),
    ("add_kernel_args", KERNEL_ARGS),
    ("add_repository", PACKAGES),
    ("add_signing_key", PACKAGES),
    ("add_user", USERS),
    ("append_to_file", &[Need::Write(0)]),
    ("authorize_key", USERS),
    ("chmod", &[Need::Write(0)]),
    ("chown", &[Need::Write(0)]),
    ("copy_from_host", &[Need::ReadHost(0), Need::Write(1)]),
    ("copy_in", &[Need::Write(1)]),
    ("describe_disk", DISK),
    ("disable_service", SERVICES),
    ("edit_file", &[Need::Write(0)]),
    ("enable_service", SERVICES),
    ("encrypt", DISK),
    ("extract", &[Need::Write(1)]),
    ("fetch", &[Need::Fetch(0)]),
    ("format_as", DISK),
    ("git_checkout", &[Need::Fetch(0), Need::Write(2)]),
    ("install_packages", PACKAGES),
    ("make_dir", &[Need::Write(0)]),
    ("mask_service", SERVICES),
    ("mount_at", DISK),
    ("partition", DISK),
    ("read_host_file", &[Need::ReadHost(0)]),
    ("remove", &[Need::Write(0)]),
    ("remove_kernel_args", KERNEL_ARGS),
    ("remove_packages", PACKAGES),
    ("replace_line", &[Need::Write(0)]),
    ("run_in_chroot", &[Need::Plain(Plain::Run)]),
    ("secret", &[Need::Secret(0)]),
    ("set_password", USERS),
    ("symlink", &[Need::Write(1)]),
    ("update_packages", PACKAGES),
    ("volume_group", DISK),
    ("write_file", &[Need::Write(0)]),
    ("write_unit", SERVICES),
];

/// What a call of `verb` needs; nothing for verbs that need nothing and for what is no verb.
pub fn of(verb: &str) -> &'static [Need] {
    TABLE.iter().find(|(name, _)| *name == verb).map_or(&[], |(_, needs)| needs)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::super::reference::{Origin, reference};
    use super::*;

    #[test]
    fn every_verb_says_what_it_needs() {
        let verbs = reference().functions.iter().filter(|function| function.origin == Origin::Verb);
        let missing: Vec<&str> = verbs
            .map(|function| function.name.as_str())
            .filter(|name| !FREE.contains(name) && of(name).is_empty())
            .collect();
        assert!(missing.is_empty(), "say in this file what these verbs need: {missing:?}");
    }

    #[test]
    fn verbs_ask_for_what_the_table_says() {
        for (verb, arguments, permission) in [
            ("add_group", "\"a\"", "users"),
            ("add_user", "\"a\"", "users"),
            ("append_to_file", "\"/srv/x\", \"\"", "write:/srv/x"),
            ("chmod", "\"/srv/x\", 0o644", "write:/srv/x"),
            ("copy_in", "\"static\", \"/srv/x\"", "write:/srv/x"),
            ("disable_service", "\"a\"", "services"),
            ("edit_file", "\"/srv/x\", \"a\", \"b\"", "write:/srv/x"),
            ("enable_service", "\"a\"", "services"),
            ("install_packages", "[\"a\"]", "packages"),
            ("make_dir", "\"/srv/x\"", "write:/srv/x"),
            ("mask_service", "\"a\"", "services"),
            ("remove", "\"/srv/x\"", "write:/srv/x"),
            ("remove_packages", "[\"a\"]", "packages"),
            ("replace_line", "\"/srv/x\", \"a\", \"b\"", "write:/srv/x"),
            ("run_in_chroot", "[\"true\"]", "run"),
            ("symlink", "\"/a\", \"/srv/x\"", "write:/srv/x"),
            ("update_packages", "", "packages"),
            ("write_file", "\"/srv/x\", \"\"", "write:/srv/x"),
            ("write_unit", "\"a\", \"\"", "services"),
        ] {
            let fixture = Fixture::new(&[]).file("static/f", "x");
            let error = fixture.script(&format!("fn install(image) {{ image.{verb}({arguments}); }}\n")).unwrap_err();
            assert_eq!(error.code, "permission.denied", "{verb}: {error}");
            assert!(error.message.contains(&format!("`{verb}` needs the permission `{permission}")), "{error}");
            let expected = permission.split(':').next().unwrap();
            assert!(of(verb).iter().any(|need| need.describe().split(':').next() == Some(expected)), "{verb}");
        }
    }
}
