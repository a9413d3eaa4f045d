//! What hooks of `block-device.d` print for the hooks after them.
//!
//! In: a hook's output. Out: variables. DIB evaluates such lines as shell; here they are read as what they say and nothing of them
//! is run. Not here: the disk, which the program makes whatever they say.

use std::collections::BTreeMap;

/// The variables that may be set so.
const NAMES: [&str; 4] = ["IMAGE_BLOCK_DEVICE", "IMAGE_BLOCK_DEVICES", "EXTRA_UNMOUNT", "EXTRA_DETACH"];

/// The assignments in `output`: lines of `NAME=VALUE`, the value perhaps in quotes, perhaps after `export`. The last one of a name
/// counts. Other lines mean nothing.
pub fn assignments(output: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(output);
    text.lines().filter_map(assignment).collect()
}

fn assignment(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    let (name, value) = line.strip_prefix("export ").map_or(line, str::trim_start).split_once('=')?;
    let value = value.trim_end_matches(';');
    let quoted = |quote: char| value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote));
    let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
    NAMES.contains(&name).then(|| (name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_are_read_and_nothing_is_run() {
        let output = b"making a disk\nIMAGE_BLOCK_DEVICE=/dev/loop7\nPATH=/nowhere\nexport EXTRA_DETACH=\"losetup -d /dev/loop7\";\n\
                       IMAGE_BLOCK_DEVICES='$(touch /tmp/x)'\nIMAGE_BLOCK_DEVICE=/dev/loop8\nx IMAGE_BLOCK_DEVICE=/dev/loop9\n";
        let found = assignments(output);
        let expected = [
            ("EXTRA_DETACH", "losetup -d /dev/loop7"),
            ("IMAGE_BLOCK_DEVICE", "/dev/loop8"),
            ("IMAGE_BLOCK_DEVICES", "$(touch /tmp/x)"),
        ];
        assert_eq!(found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>(), expected);
    }
}
