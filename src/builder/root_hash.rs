//! The root hashes of verified file systems, for whoever has only the image.
//!
//! In: the hashes of a finished image, the plan's outputs. Out: a line of the log each, and those of `/` and `/usr` as the files
//! `NAME.roothash` and `NAME.usrhash`, where systemd's tools look for them beside `NAME.raw` (systemd-dissect(1), `--root-hash=`).
//! Not here: the hashes in boot entries (`boot/`).

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use super::error::BuildError;
use super::image::Raw;
use crate::event::{Artifact, Events};
use crate::format::{self, Source, checksum};
use crate::plan::Plan;

/// Tells the hashes, and writes the files under temporary names; none when nothing is verified.
pub fn write(plan: &Plan, raw: &Raw, build: &str, events: &Events) -> Result<Vec<Artifact>, BuildError> {
    let mut made = Vec::new();
    for verity in &raw.layout.verity {
        let Some(hash) = raw.root_hashes.get(&verity.name) else { continue };
        events.info(format!("root hash of `{}`: {hash}", verity.name));
        let (Some(name), Some(stem)) = (raw.layout.verified_name(verity), stem(plan)?) else { continue };
        let path = Utf8PathBuf::from(format!("{stem}.{name}hash"));
        let temporary = format::temporary(&path, build);
        let failed = |error| BuildError::system(format!("write {temporary}"))(error);
        fs::write(&temporary, format!("{hash}\n")).map_err(failed)?;
        let algorithms = checksum::parse(&plan.checksums)?;
        let (size, digests) = checksum::of_file(&temporary, &algorithms)?;
        made.push(Artifact { format: format!("{name}hash"), temporary, path, size, digests });
    }
    Ok(made)
}

/// Where the hashes of the file systems in the image at `image`, an output in `format`, are told if they are: nowhere for what is no
/// disk.
pub fn beside(image: &Utf8Path, format: &str) -> Vec<Utf8PathBuf> {
    match format::find(format) {
        Ok(format) if format.source == Source::Raw => {
            ["root", "usr"].map(|name| image.with_extension(format!("{name}hash"))).into()
        }
        _ => Vec::new(),
    }
}

/// The path of the first image of the first disk, without its suffix.
fn stem(plan: &Plan) -> Result<Option<Utf8PathBuf>, BuildError> {
    for output in plan.outputs.iter().filter(|output| output.disk.is_empty()) {
        let format = format::find(&output.format).map_err(format::FormatError::from)?;
        if format.source == Source::Raw {
            return Ok(output
                .path
                .as_str()
                .strip_suffix(&format!(".{}", format.suffix))
                .map(|stem| Utf8Path::new(stem).to_owned()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_beside_disks_only() {
        assert_eq!(beside("o/a.b.qcow2".into(), "qcow2"), ["o/a.b.roothash", "o/a.b.usrhash"]);
        assert!(beside("o/a.tar".into(), "tar").is_empty());
        assert!(beside("o/a.roothash".into(), "roothash").is_empty());
    }
}
