//! kiln's bootstrap in the place of the host's debootstrap, while shell hooks run.
//!
//! In: the words that a hook wrote. Out: the same tree, in less time. The program is mounted over the host's in the builder's own
//! mount namespace, so that it is met wherever hooks look for it; words that it does not know go to the host's. Not here: what the
//! tree is made of (`distro/`).

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;

use camino::Utf8Path;

use super::error::BuildError;
use crate::distro::debootstrap::Request;
use crate::event::Events;
use crate::sandbox::mount;
use crate::store::Store;

/// The status that says that the host's own debootstrap is wanted.
pub const NOT_MINE: u8 = 125;

/// Where distributions have it.
const DEBOOTSTRAP: [&str; 2] = ["/usr/sbin/debootstrap", "/usr/bin/debootstrap"];

const PROGRAM: &str = r#"#!/bin/sh
"KILN" debootstrap --kept-in "STORE" -- "$@"
status=$?
[ "$status" -eq NOT_MINE ] || exit "$status"
exec "OWN" "$@"
"#;

/// What came of the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The tree is there.
    Made,
    /// The host's own has to do it.
    NotMine,
}

/// Carries out debootstrap's `words`.
///
/// # Errors
/// When the tree cannot be made.
pub fn debootstrap(
    words: &[String],
    variables: &BTreeMap<String, String>,
    store: &Utf8Path,
    events: &Events,
) -> Result<Answer, BuildError> {
    let Some(request) = Request::read(words) else { return Ok(Answer::NotMine) };
    request.run(variables, &Store::open(store)?, events)?;
    Ok(Answer::Made)
}

/// Puts the program in the place of the host's debootstrap, if there is one; `work` is the build's folder.
///
/// # Errors
/// When the folder cannot be written or the kernel refuses to mount.
pub fn put(program: &Utf8Path, store: &Utf8Path, work: &Utf8Path) -> io::Result<()> {
    for (at, place) in DEBOOTSTRAP.map(Utf8Path::new).into_iter().enumerate() {
        if !place.symlink_metadata().is_ok_and(|data| data.is_file()) {
            continue;
        }
        let (own, script) = (work.join(format!("own-debootstrap-{at}")), work.join(format!("debootstrap-{at}")));
        fs::write(&own, "")?;
        mount::bind(place, &own)?;
        let text = PROGRAM.replace("KILN", program.as_str()).replace("STORE", store.as_str());
        fs::write(&script, text.replace("NOT_MINE", &NOT_MINE.to_string()).replace("OWN", own.as_str()))?;
        fs::set_permissions(&script, Permissions::from_mode(0o755))?;
        mount::bind(&script, place)?;
    }
    Ok(())
}
