//! The kernel's side of a build, and the only room that speaks to it: namespaces, seccomp, mounts, commands, work folders.
//!
//! In: a command or a wish for isolation. Out: a finished command, a mounted tree, a folder that cleans itself up.
//! Not here: what the commands mean.

pub mod child;
pub mod chroot;
pub mod command;
pub mod confinement;
mod device_nodes;
pub mod host;
pub mod init;
pub mod interactive;
pub mod isolation;
mod lines;
pub mod loop_device;
pub mod mount;
pub mod mount_table;
pub mod mounted;
pub mod overlay;
mod pid_namespace;
pub mod seccomp;
mod setup;
pub mod signals;
pub mod work_folder;
