//! Images that somebody damaged, or made to do harm: whatever stands in one, looking at it ends, soon, without a panic and in bounded
//! memory.
//!
//! The tests change real images at random until their time is over: a few seconds, or a quarter of `KILN_MUTATION_SECONDS`. The
//! number that a change follows from is printed with a failure; `KILN_MUTATION_SEED` begins elsewhere.

use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use kiln::format::reader::{self, Kind};
use kiln::inspect::{self, Files, Window};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::support::{KILN, Sandbox, stderr, stdout};

/// One image may take this long; on a machine that does other things, too.
const LIMIT: Duration = Duration::from_secs(10);
/// KiB of address space that `kiln inspect` gets: its own code and threads are most of it.
const MEMORY: u64 = 600 << 10;
/// Where the parts of the disk begin.
const FAT: usize = 1 << 20;
const EXT: usize = 2 << 20;

/// Runs a script in the folder of a test.
fn run(sandbox: &Sandbox, script: &str) {
    let made = Command::new("bash").args(["-ec", script]).current_dir(sandbox.path()).output().unwrap();
    assert!(made.status.success(), "{script}: {}", stderr(&made));
}

fn path(sandbox: &Sandbox, name: &str) -> Utf8PathBuf {
    Utf8PathBuf::from_path_buf(sandbox.path().join(name)).unwrap()
}

/// Disks with both kinds of partition tables, with a FAT and an ext file system, in every format.
fn images(sandbox: &Sandbox) -> Vec<(Vec<u8>, Kind)> {
    run(
        sandbox,
        "mkdir -p tree/etc tree/many/deep; echo 'LABEL=root / ext4' > tree/etc/fstab
         for n in $(seq 1 200); do echo $n > tree/many/file-$n; done; ln -s ../etc tree/many/link; ln -s /many/a tree/many/a
         seq 1 9000 > tree/many/long; truncate -s 3M sparse; cp sparse tree/many/sparse
         for label in gpt dos; do
             # Checksums would hide what is behind them.
             truncate -s 2M ext; mke2fs -q -F -t ext4 -O ^metadata_csum -L root -d tree ext
             truncate -s 1M fat; mkfs.vfat -n ESP fat > /dev/null; mcopy -i fat tree/many/long '::/a long name of a file'; mmd -i fat ::/D
             truncate -s 6M $label; printf \"label: $label\\nstart=2048, size=2048\\nstart=4096, size=4096\\n\" | sfdisk -q $label
             dd if=fat of=$label bs=1M seek=1 conv=notrunc status=none; dd if=ext of=$label bs=1M seek=2 conv=notrunc status=none
             rm ext fat
         done
         qemu-img convert -f raw -O vmdk gpt sparse.vmdk",
    );
    let outputs = ["a.qcow2", "a.vhd", "a.vhdx", "a.vmdk", "a.vdi"];
    let converted = sandbox.kiln(&[&["convert", "--qcow2-compression", "zlib", "gpt"], &outputs[..]].concat()).output();
    assert!(converted.unwrap().status.success());
    let plain = sandbox.kiln(&["convert", "-u", "dos", "b.qcow2"]).output();
    assert!(plain.unwrap().status.success());
    let names = ["gpt", "dos", "gpt", "dos", "sparse.vmdk", "b.qcow2"].into_iter().chain(outputs);
    let read = |name: &str| (fs::read(sandbox.path().join(name)).unwrap(), Kind::detect(&path(sandbox, name)).unwrap());
    names.map(read).collect()
}

/// `bytes` with a few numbers in them replaced by those that arithmetic stumbles over.
fn damaged(rng: &mut StdRng, (bytes, kind): &(Vec<u8>, Kind)) -> Vec<u8> {
    let mut bytes = bytes.clone();
    let size = bytes.len();
    for _ in 0..rng.gen_range(1..5) {
        let regions: &[(usize, usize)] = match kind {
            Kind::Raw => &[
                (0, 2048),
                (FAT, 512),
                (FAT, 16 << 10),
                (EXT + 1024, 512),
                (EXT + 1024, 4096),
                (EXT, 400 << 10),
                (0, size),
            ],
            _ => &[(0, 1024), (0, 64 << 10), (size - 1024, 1024), (0, size)],
        };
        let (start, length) = regions[rng.gen_range(0..regions.len())];
        let at = (start + rng.gen_range(0..length.max(1))).min(size - 8);
        let value: u64 = match rng.gen_range(0..6) {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << rng.gen_range(0..64),
            3 => u64::MAX >> rng.gen_range(0..64),
            4 => rng.gen_range(0..300),
            _ => rng.r#gen(),
        };
        let width = [1, 2, 4, 8][rng.gen_range(0..4)];
        let number = if rng.gen_bool(0.5) { value.to_le_bytes() } else { value.to_be_bytes() };
        let part = if rng.gen_bool(0.5) { &number[..width] } else { &number[8 - width..] };
        bytes[at..at + width].copy_from_slice(part);
    }
    if rng.gen_ratio(1, 20) {
        bytes.truncate(rng.gen_range(0..size));
    } else if *kind == Kind::Raw && bytes[512..520] == *b"EFI PART" && rng.gen_bool(0.5) {
        // A header whose checksum is right is believed.
        bytes[528..532].fill(0);
        let sum = crc32fast::hash(&bytes[512..604]);
        bytes[528..532].copy_from_slice(&sum.to_le_bytes());
    } else if *kind == Kind::Vhd {
        for (start, place, length) in [(size - 512, 64, 512), (0, 64, 512), (512, 36, 1024)] {
            bytes[start + place..start + place + 4].fill(0);
            let sum: u32 = bytes[start..start + length].iter().map(|byte| u32::from(*byte)).sum();
            bytes[start + place..start + place + 4].copy_from_slice(&(!sum).to_be_bytes());
        }
    }
    bytes
}

/// Takes some, then enough.
struct Mouth(usize);

impl Write for Mouth {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Looks at all that there is.
fn look(image: &Utf8Path, kind: Kind) {
    let Ok(disk) = reader::open(image, Some(kind)) else { return };
    let disk = inspect::cached(disk);
    let Ok(report) = inspect::report(&disk) else { return };
    let whole = Window::whole(disk);
    for (_, window, filesystem) in report.filesystems(&whole) {
        let Ok(Some(files)) = Files::open(&window, filesystem) else { continue };
        for folder in ["/", "/many", "/many/link", "/etc", "/D", "/many/deep/../../etc"] {
            let _ = files.list(folder);
        }
        for file in ["/many/long", "/many/sparse", "/many/a", "/etc/fstab", "/a long name of a file"] {
            let _ = files.copy(file, &mut Mouth(8 << 20));
        }
    }
    let _ = inspect::place(&whole, &report, None, "/etc/fstab");
}

/// Where it is long, a quarter of the time that damaged elements have: those come from anybody.
fn seconds() -> Duration {
    let given = std::env::var("KILN_MUTATION_SECONDS").ok().and_then(|text| text.parse::<u64>().ok());
    Duration::from_secs(given.map_or(4, |seconds| seconds.div_ceil(4)))
}

/// Gives damaged images to `judge`, which says what is wrong, until the time is over.
fn damage(name: &str, sandbox: &Sandbox, judge: impl Fn(&Utf8Path, Kind) -> Result<(), String>) {
    let images = images(sandbox);
    let seed = std::env::var("KILN_MUTATION_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1_u64);
    let file = path(sandbox, "damaged");
    let begun = Instant::now();
    let mut count = 0_u64;
    while begun.elapsed() < seconds() {
        let mut rng = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(count));
        let image = &images[rng.gen_range(0..images.len())];
        fs::write(&file, damaged(&mut rng, image)).unwrap();
        let started = Instant::now();
        let judged = judge(&file, image.1);
        let took = started.elapsed();
        if judged.is_err() || took > LIMIT {
            let kept = crate::support::scratch().join(format!("damaged-{name}"));
            fs::copy(&file, &kept).unwrap();
            panic!(
                "{name}: image {count} of seed {seed} ({:?}) took {took:?}, kept in {}: {judged:?}",
                image.1,
                kept.display()
            );
        }
        count += 1;
    }
    assert!(count > 10, "{name}: only {count} images were looked at");
    println!("{name}: {count} images");
}

#[test]
fn damaged_images_are_refused_or_shown() {
    let sandbox = Sandbox::new();
    damage("image", &sandbox, |image, kind| {
        catch_unwind(AssertUnwindSafe(|| look(image, kind))).map_err(|_| "a panic".to_owned())
    });
}

/// `kiln inspect` with little memory.
fn inspect_within(sandbox: &Sandbox, words: &[&str]) -> Output {
    let script = format!("ulimit -v {MEMORY}; exec \"$0\" inspect \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, KILN]).args(words).current_dir(sandbox.path()).output().unwrap()
}

#[test]
fn damaged_images_take_little_memory() {
    let sandbox = Sandbox::new();
    damage("memory", &sandbox, |image, kind| {
        for words in [&["--json"][..], &["--json", "--partition", "2"]] {
            let path: &[&str] = if words.len() > 1 { &["/many"] } else { &[] };
            let output =
                inspect_within(&sandbox, &[words, &["--format", kind.as_str(), image.as_str()], path].concat());
            if !matches!(output.status.code(), Some(0 | 1)) {
                return Err(format!("{}: {}", output.status, stderr(&output)));
            }
        }
        Ok(())
    });
}

/// A disk of one ext4 file system with these commands' tree.
fn disk_of(sandbox: &Sandbox, commands: &str) {
    run(
        sandbox,
        &format!(
            "mkdir -p tree/etc; {commands}; truncate -s 8M disk
             mke2fs -q -F -t ext4 -b 4096 -O ^metadata_csum -L root -d tree disk"
        ),
    );
}

#[test]
fn symbolic_links_lead_nowhere_forever() {
    let sandbox = Sandbox::new();
    disk_of(
        &sandbox,
        "ln -s \"$(printf './%.0s' $(seq 1700))motd\" tree/etc/fstab; echo here > tree/etc/motd
         ln -s \"$(printf 'x%.0s' $(seq 300))\" tree/long; ln -s loop tree/loop; ln -s ../../../etc/motd tree/etc/up
         ln -s a/../a tree/a; for n in $(seq 1 50); do ln -s l$((n + 1)) tree/l$n; done",
    );
    let motd = inspect_within(&sandbox, &["disk", "/etc/motd"]);
    assert_eq!((motd.status.code(), stdout(&motd).as_str()), (Some(0), "here\n"), "{}", stderr(&motd));
    assert_eq!(stdout(&inspect_within(&sandbox, &["disk", "/etc/up"])), "here\n");
    for (path, reason) in [
        ("/etc/fstab/x", "no folder"),
        ("/long", "invalid symlink path"),
        ("/loop", "too many symbolic links"),
        ("/a", "too many symbolic links"),
        ("/l1", "too many symbolic links"),
        (&format!("/{}", "y".repeat(300)), "too long"),
        (&"/etc/..".repeat(1200), "too long"),
    ] {
        let output = inspect_within(&sandbox, &["disk", path]);
        let said = stderr(&output);
        assert!(
            output.status.code() == Some(1) && said.contains(reason) && !said.contains("panicked"),
            "{path}: {said}"
        );
    }
}

/// A node of an extent tree: `count` entries that all lead to `block`.
fn node(depth: u16, count: u16, block: u32) -> Vec<u8> {
    let mut node = Vec::new();
    [0xf30a, count, 340, depth, 0, 0].iter().for_each(|word: &u16| node.extend(word.to_le_bytes()));
    for _ in 0..count {
        [0, block, 0].iter().for_each(|word: &u32| node.extend(word.to_le_bytes()));
    }
    node
}

/// A disk with the file `/long`, whose extents are in a tree of `nodes`: each says what it is when it is told its own block.
fn disk_with_extents(sandbox: &Sandbox, nodes: &[&dyn Fn(u32) -> Vec<u8>]) {
    disk_of(sandbox, "truncate -s 3M tree/long; head -c 20480 /dev/zero | tr '\\0' n > tree/nodes");
    run(sandbox, "debugfs -R 'bmap /nodes 0' disk 2> /dev/null > first");
    let first: u32 = fs::read_to_string(sandbox.path().join("first")).unwrap().trim().parse().unwrap();
    let mut disk = fs::read(sandbox.path().join("disk")).unwrap();
    for (block, node) in (first..).zip(nodes) {
        let (at, node) = (block as usize * 4096, node(block));
        assert_eq!(disk[at], b'n');
        disk[at..at + node.len()].copy_from_slice(&node);
    }
    fs::write(sandbox.path().join("disk"), disk).unwrap();
    // Four entries in the inode, for the first node.
    let words = node(5, 4, first);
    let fields = words.chunks(4).enumerate().map(|(at, word)| {
        let mut word = u32::from_le_bytes(word.try_into().unwrap());
        if at == 1 {
            word = word & !0xffff | 4;
        }
        format!("debugfs -w -R 'sif /long block[{at}] {word:#x}' disk 2> /dev/null\n")
    });
    run(sandbox, &fields.collect::<String>());
}

#[test]
fn a_tree_of_extents_without_an_end_is_given_up() {
    let sandbox = Sandbox::new();
    disk_with_extents(&sandbox, &[&|own| node(5, 4, own)]);
    let refused = sandbox.kiln(&["inspect", "disk", "/long"]).output().unwrap();
    assert!(stderr(&refused).contains("more than 1.0 GiB of memory"), "{}", stderr(&refused));
    assert_eq!(refused.status.code(), Some(1));

    // 340 times 340 times 340 ways to a node without an extent.
    let sandbox = Sandbox::new();
    let next = |depth: u16| move |own: u32| node(depth, 340, own + 1);
    disk_with_extents(&sandbox, &[&next(4), &next(3), &next(2), &next(1), &|_| node(0, 0, 0)]);
    let begun = Instant::now();
    let refused = sandbox.kiln(&["inspect", "disk", "/long"]).output().unwrap();
    assert!(stderr(&refused).contains("more than 40 s of the processor's time"), "{}", stderr(&refused));
    assert!(begun.elapsed() < Duration::from_secs(240), "{:?}", begun.elapsed());
}

#[test]
fn a_few_bytes_that_claim_to_be_a_large_disk_are_refused() {
    let sandbox = Sandbox::new();
    // A qcow2 of 4 EiB, all of whose first table leads to one second table without end.
    let mut qcow2 = Vec::new();
    let entries: u64 = 1 << 20;
    for number in [0x5146_49fb_u32, 3, 0, 0, 0, 21] {
        qcow2.extend(number.to_be_bytes());
    }
    qcow2.extend((entries << 39).to_be_bytes());
    qcow2.extend(0_u32.to_be_bytes());
    qcow2.extend((entries as u32).to_be_bytes());
    qcow2.extend((1_u64 << 21).to_be_bytes());
    qcow2.resize(72 + 8 * 4, 0);
    qcow2.resize(104, 0);
    qcow2[100..104].copy_from_slice(&104_u32.to_be_bytes());
    qcow2.resize(1 << 21, 0);
    let table = (1_u64 << 21) + entries * 8;
    for _ in 0..entries {
        qcow2.extend(table.to_be_bytes());
    }
    qcow2.resize(qcow2.len() + (1 << 21), 0);
    fs::write(sandbox.path().join("disk.qcow2"), qcow2).unwrap();
    let begun = Instant::now();
    let said = stderr(&inspect_within(&sandbox, &["disk.qcow2"]));
    assert!(said.contains("its tables are shared"), "{said}");
    assert!(begun.elapsed() < LIMIT);
    // A pipe is no image, and nobody waits for its writer.
    run(&sandbox, "mkfifo pipe");
    assert!(stderr(&inspect_within(&sandbox, &["pipe"])).contains("neither a file nor a disk"));
}

#[test]
fn a_folder_full_of_parts_of_one_long_name_is_read_soon() {
    let sandbox = Sandbox::new();
    run(&sandbox, "truncate -s 16M disk; mkfs.vfat -F 16 -r 32752 disk > /dev/null");
    let mut bytes = fs::read(sandbox.path().join("disk")).unwrap();
    let number = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let (sector, root) = (number(11), (number(14) + usize::from(bytes[16]) * number(22)) * number(11));
    let entries = number(17);
    assert!(entries > 30_000 && sector == 512);
    for entry in bytes[root..root + entries * 32].chunks_exact_mut(32) {
        // A part of a long name that is never the last of one.
        entry.fill(b'x');
        (entry[0], entry[11]) = (1, 0x0f);
    }
    fs::write(sandbox.path().join("disk"), bytes).unwrap();
    let begun = Instant::now();
    assert_eq!(inspect_within(&sandbox, &["disk", "/"]).status.code(), Some(0));
    assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
}
