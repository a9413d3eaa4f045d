use super::{draw, json, table};
use crate::disk::examples::{self, EXAMPLES};

#[test]
fn every_example_has_its_table() {
    for example in EXAMPLES {
        insta::assert_snapshot!(example.name, table(&example.layout()), example.yaml);
    }
}

#[test]
fn json_has_the_keys_that_programs_look_for() {
    let layout = examples::named("efi-lvm").layout();
    let value: serde_json::Value = serde_json::from_str(&json(&layout).unwrap()).unwrap();
    let disk = &value["disks"][0];
    assert_eq!(
        (&disk["name"], &disk["size"], &disk["sector_size"]),
        (&"image0".into(), &(42u64 << 30).into(), &512.into())
    );
    assert_eq!(disk["table"], "gpt");
    let esp = &disk["partitions"][0];
    assert_eq!((&esp["number"], &esp["name"], &esp["boot"]), (&1.into(), &"ESP".into(), &false.into()));
    assert_eq!((&esp["start"], &esp["size"]), (&(1 << 20).into(), &(550 << 20).into()));
    assert_eq!(esp["type"], "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
    let root = &value["filesystems"][0];
    assert_eq!((&root["name"], &root["device"], &root["type"]), (&"fs_root".into(), &"lv_root".into(), &"xfs".into()));
    assert_eq!((&root["label"], &root["mount_point"]), (&"img-rootfs".into(), &"/".into()));
    assert_eq!(root["uuid"].as_str().unwrap().len(), 36);
    assert_eq!(value["volume_groups"][0]["volumes"][2]["segments"][0]["first"], 7628);
    assert!(value["fstab"].as_str().unwrap().starts_with("LABEL=img-rootfs / xfs rw,relatime 0 1\n"));

    let value: serde_json::Value = serde_json::from_str(&json(&examples::named("mbr").layout()).unwrap()).unwrap();
    assert_eq!(
        (&value["disks"][0]["table"], &value["disks"][0]["partitions"][0]["type"]),
        (&"mbr".into(), &"0x83".into())
    );
    assert_eq!(value["disks"][0]["partitions"][0]["boot"], true);
}

#[test]
fn a_drawing_is_xml_that_shows_every_part_inside_its_bar() {
    for example in EXAMPLES {
        let (layout, drawing) = (example.layout(), draw(&example.layout()));
        let open = drawing.matches("<svg ").count();
        assert_eq!(open, drawing.matches("</svg>").count(), "{}", example.name);
        let names = layout.disks.iter().flat_map(|disk| &disk.partitions).filter(|part| !part.is_extended());
        let volumes = layout.volume_groups.iter().flat_map(|group| &group.volumes).map(|volume| &volume.name);
        for name in names.map(|part| &part.name).chain(volumes) {
            assert!(drawing.contains(&format!(">{name}</text>")), "{}: {name}\n{drawing}", example.name);
        }
        // The right edges of all parts are inside.
        for part in drawing.lines().filter(|line| line.starts_with("<svg x=")) {
            let number = |key: &str| {
                let value = part.split_once(&format!(" {key}=\"")).unwrap().1;
                value.split('"').next().unwrap().parse::<f64>().unwrap()
            };
            assert!(number("x") + number("width") <= 940.2 && number("width") > 10.0, "{}: {part}", example.name);
        }
    }
}

#[test]
fn names_cannot_break_a_drawing() {
    let mut layout = examples::named("mbr").layout();
    layout.disks[0].partitions[0].name = "<&\">".into();
    assert!(draw(&layout).contains(">&lt;&amp;&quot;&gt;</text>"));
}
