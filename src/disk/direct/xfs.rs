//! XFS, by `mkfs.xfs`.
//!
//! `mkfs.xfs` fills a file system from a folder since 6.17. Before, it reads a list (protofile) that knows neither hard links nor
//! extended attributes nor times, which would make another system of the tree; then the kernel fills it. In: a job. Out: the file
//! system in its place.

use camino::Utf8Path;

use super::by_kernel::{self, Part};
use super::version::{self, Version};
use super::way::Way;
use super::{DiskError, Job, pieces};
use crate::sandbox::command::Command;
use crate::sandbox::mount::seeing_only;

/// Since when `-p` takes a folder.
const FILLS: Version = Version(6, 17);

/// What newer versions of mkfs.xfs switch on and GRUB 2.06 to 2.12 cannot read: since which version the switch is there, and the
/// words that leave it off.
const UNREADABLE: [(Version, &str, &str); 3] =
    [(Version(5, 19), "-i", "nrext64=0"), (Version(6, 10), "-i", "exchange=0"), (Version(6, 10), "-n", "parent=0")];

fn version() -> Option<Version> {
    version::of(&["mkfs.xfs", "-V"])
}

/// How a file system of this kind is filled on this machine.
pub(super) fn way() -> Way {
    Way::choose("xfs", "mkfs.xfs", version(), FILLS)
}

/// Makes and fills the file system.
pub(super) fn write(job: &Job<'_>) -> Result<(), DiskError> {
    let (content, others) = (job.content(), job.others());
    let Some(content) = content else {
        return pieces::beside(job, |file| run(job, arguments(job, file, None)));
    };
    match way() {
        Way::Tool => pieces::beside(job, |file| {
            let words = arguments(job, file, Some(&content));
            seeing_only(&content, &others, || run(job, words))
                .map_err(DiskError::io("hide the content of other file systems in", &content))?
        }),
        way => {
            way.check(&job.filesystem.name)?;
            job.events.info(format!("{}: {way}", job.filesystem.name));
            let part = Part { to: String::new(), content, others };
            by_kernel::fill(job, "", |device| arguments(job, device, None), |_| Ok(()), &[part])
        }
    }
}

fn run(job: &Job<'_>, words: Vec<String>) -> Result<(), DiskError> {
    let mut command = Command::new(words);
    if let Some(time) = job.time {
        // Understood since 6.14.
        command = command.env("SOURCE_DATE_EPOCH", time.to_string()).env("DETERMINISTIC_SEED", "1");
    }
    let node = job.filesystem.name.clone();
    command.check(job.events).map(drop).map_err(|source| DiskError::Mkfs { node, source })
}

fn arguments(job: &Job<'_>, device: &Utf8Path, content: Option<&Utf8Path>) -> Vec<String> {
    let filesystem = job.filesystem;
    let mut words: Vec<String> = ["mkfs.xfs", "-q", "-f", "-K"].map(str::to_owned).into();
    words.extend(["-L".into(), filesystem.label.clone(), "-m".into(), format!("uuid={}", filesystem.uuid)]);
    words.extend(["-s".into(), format!("size={}", job.sector)]);
    words.extend(readable_by_grub(version(), &filesystem.options).map(str::to_owned));
    words.extend(filesystem.options.iter().cloned());
    if let Some(content) = content {
        words.extend(["-p".into(), content.to_string()]);
    }
    words.push(device.to_string());
    words
}

/// The words that leave off what boot loaders cannot read, unless the user's `options` say something about it.
fn readable_by_grub(version: Option<Version>, options: &[String]) -> impl Iterator<Item = &'static str> {
    let said = move |switch: &str| {
        let name = switch.split('=').next().unwrap_or(switch);
        options.iter().any(|word| word.contains(name))
    };
    let known = move |since: &Version| version.is_some_and(|version| version >= *since);
    UNREADABLE
        .iter()
        .filter(|(since, _, switch)| known(since) && !said(switch))
        .flat_map(|(_, word, switch)| [*word, *switch])
        .collect::<Vec<_>>()
        .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grub_cannot_read_is_left_off_unless_the_user_wants_it() {
        let words = |version, options: &[&str]| {
            let options: Vec<String> = options.iter().map(|word| (*word).to_owned()).collect();
            readable_by_grub(Some(version), &options).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words(Version(5, 10), &[]), "");
        assert_eq!(words(Version(6, 1), &[]), "-i nrext64=0");
        assert_eq!(words(Version(6, 17), &["-i", "nrext64=1,size=1k"]), "-i exchange=0 -n parent=0");
    }
}
