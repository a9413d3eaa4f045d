//! Descriptions come from strangers: whatever they hold, there is an answer, and never a panic.

use proptest::prelude::*;

use super::parse;
use crate::disk::examples::EXAMPLES;
use crate::disk::{fstab, show, solve};

/// Words that mean something somewhere.
const WORDS: &[&str] = &[
    "local_loop",
    "partitioning",
    "lvm",
    "mkfs",
    "mount",
    "fstab",
    "luks",
    "verity",
    "swap",
    "raid",
    "name",
    "base",
    "size",
    "minimum",
    "weight",
    "grow",
    "label",
    "align",
    "partitions",
    "flags",
    "type",
    "attributes",
    "hybrid",
    "uuid",
    "disk_id",
    "block_size",
    "pvs",
    "vgs",
    "lvs",
    "extents",
    "extent_size",
    "options",
    "thin-pool",
    "opts",
    "subvolumes",
    "mount_point",
    "dump-freq",
    "fsck-passno",
    "secret",
    "cipher",
    "key_size",
    "sector_size",
    "hash",
    "salt",
    "algorithm",
    "directory",
];

const VALUES: &[&str] = &[
    "image0",
    "root",
    "pv",
    "vg",
    "lv",
    "a",
    "mkfs_root",
    "gpt",
    "mbr",
    "ext4",
    "xfs",
    "btrfs",
    "squashfs",
    "vfat",
    "boot",
    "primary",
    "100%",
    "0%",
    "1e9%",
    "NaN%",
    "40G",
    "18446744073709551615",
    "9223372036854775807",
    "99999999999999999999B",
    "4MiB",
    "1",
    "0",
    "-1",
    "0x83",
    "0xffffffff",
    "EF00",
    "/",
    "none",
    "/a/",
    "thin",
    "100%VG",
    "4294967295%FREE",
    "512",
    "4096",
    "true",
    "~",
    "é",
    "",
    "[",
    "\u{0}",
    "*a",
    "&a x",
    "!!int 3",
];

fn value() -> impl Strategy<Value = serde_json::Value> {
    let word = prop_oneof![
        prop::sample::select(VALUES).prop_map(|text| serde_json::Value::String(text.into())),
        any::<u64>().prop_map(|number| serde_json::json!(number)),
        any::<f64>().prop_map(|number| serde_json::json!(number)),
        Just(serde_json::Value::Null),
    ];
    word.prop_recursive(6, 96, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::Array),
            prop::collection::btree_map(prop::sample::select(WORDS), inner, 0..6)
                .prop_map(|entries| { entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect() }),
        ]
    })
}

/// Reads `text`, and goes the whole way when it can.
fn read(text: &str, size: u64) {
    match parse(text, "x.yaml") {
        Ok(config) => {
            let _ = solve::minimum(&config, &solve::tests::parameters());
            if let Ok(layout) = solve::solve(&config, &solve::tests::parameters(), size, "s") {
                show::json(&layout).unwrap();
                let _ = (show::table(&layout), show::draw(&layout), fstab::text(&layout));
            }
        }
        Err(error) => {
            assert!(!error.message.is_empty() && error.to_string().starts_with("x.yaml:"), "{error}");
            let _ = error.diagnostic.render(false);
        }
    }
}

proptest! {
    #[test]
    fn any_tree_of_known_words_has_an_answer(document in prop::collection::vec(value(), 0..8), size in any::<u64>()) {
        read(&serde_json::Value::Array(document).to_string(), size >> 1);
    }

    #[test]
    fn any_damaged_description_has_an_answer(
        example in prop::sample::select(EXAMPLES.to_vec()),
        edits in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(VALUES)), 1..4),
        size in 0u64..1 << 62,
    ) {
        let mut words: Vec<String> = example.yaml.split_inclusive(|c: char| " \n,[]{}".contains(c)).map(str::to_owned).collect();
        for (index, value) in edits {
            let index = index.index(words.len());
            let end: String = words[index].chars().last().into_iter().collect();
            words[index] = format!("{value}{end}");
        }
        read(&words.concat(), size);
    }

    #[test]
    fn any_text_has_an_answer(text in "\\PC*|[-:{}\\[\\]&*!|> \n\t#'\"a-z0-9]{0,200}") {
        read(&text, 1 << 30);
    }
}
