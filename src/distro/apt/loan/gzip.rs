//! A `gzip` on loan: initramfs-tools compresses on one core (mkinitramfs(8)), this one on all.
//!
//! In: a folder that a command in the tree sees. Out: a program there that hands what it is to compress through two FIFOs to this
//! process. The answer is one gzip member (RFC 1952) of deflate blocks that end on byte borders, as pigz makes it: the kernel reads
//! no further than the first member. What is no compression is left to the tree's own gzip. Not here: who calls it (`loan`).

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;

use camino::Utf8Path;
use flate2::{Compress, Compression, FlushCompress};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::fifo::{self, Fifo};
use super::over::Over;

/// Bytes that are compressed on their own.
const BLOCK: usize = 1 << 20;

/// Blocks held at once.
const BATCH: usize = 16;

/// What a block may refer back to: deflate's window.
const WINDOW: usize = 32 << 10;

/// The tree's own gzip, as the program finds it.
pub const OWN: &str = "own-gzip";

/// Sends its level and its file, or else what it is given to read (Debian 13 pipes into it), and passes on what comes back. One
/// call at a time: a second one, and whatever does not compress to standard output, goes to the tree's own. `FOLDER` is where the
/// FIFOs are.
const PROGRAM: &str = r#"#!/bin/sh
level=6
file=
plain=
compress=yes
[ $# -eq 0 ] && plain=yes
for word; do
    case $word in
    -[1-9]) level=${word#-} ;;
    -c | -nc | -cn | --stdout) plain=yes ;;
    -n | --no-name) ;;
    -*) compress= ;;
    *) [ -z "$file" ] || compress=; file=$word ;;
    esac
done
[ -n "$file" ] || plain=yes
exec 8>FOLDER/busy
if [ -z "$compress$file" ] || [ -z "$compress" ] || [ -z "$plain" ] || ! flock -n 8; then
    exec 8>&- FOLDER/OWN "$@"
fi
# A command in the background would read nothing but what it is given on another descriptor.
exec 3<&0
if [ -n "$file" ]; then
    [ -r "$file" ] || exit 1
    exec 3<"$file"
fi
{ echo "$level"; cat <&3; } >FOLDER/plain &
exec cat FOLDER/compressed
"#;

/// Writes the program and makes its FIFOs in `folder`, which a command in the tree sees as `inside`.
///
/// # Errors
/// When the folder cannot be written.
pub fn write(folder: &Utf8Path, inside: &str) -> io::Result<Fifo> {
    let program = folder.join("gzip");
    std::fs::write(&program, PROGRAM.replace("FOLDER", inside).replace("OWN", OWN))?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    // What the tree's own gzip is mounted over.
    File::create(folder.join(OWN))?;
    fifo::make(&folder.join("compressed"))?;
    Fifo::make(&folder.join("plain"))
}

/// Answers every call until the loan is over.
///
/// # Errors
/// When a caller got less than the whole file.
pub fn serve(mut plain: Fifo, compressed: &Utf8Path, over: &Over) -> io::Result<()> {
    while plain.wait(over)? {
        let Some(mut output) = fifo::waited_for(compressed, over)? else { return Ok(()) };
        let mut plain = plain.until(over);
        let mut level = [0; 2];
        plain.read_exact(&mut level)?;
        gzip(&mut plain, &mut output, u32::from(level[0].saturating_sub(b'0')))?;
    }
    Ok(())
}

/// Compresses `plain` to one gzip member.
fn gzip(plain: &mut impl Read, output: &mut impl Write, level: u32) -> io::Result<()> {
    // The library's levels are quicker than zlib's of the same number and leave more: one more gives what gzip makes, within 1 %.
    let level = Compression::new((level + 1).clamp(2, 9));
    output.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3])?;
    let (mut crc, mut length) = (crc32fast::Hasher::new(), 0_u64);
    let mut window: Vec<u8> = Vec::new();
    loop {
        let mut batch = Vec::with_capacity(BATCH * BLOCK);
        plain.by_ref().take((BATCH * BLOCK) as u64).read_to_end(&mut batch)?;
        if batch.is_empty() {
            break;
        }
        length += batch.len() as u64;
        let starts: Vec<usize> = (0..batch.len()).step_by(BLOCK).collect();
        let blocks: Vec<_> = starts
            .par_iter()
            .map(|start| {
                let block = &batch[*start..(*start + BLOCK).min(batch.len())];
                let before = if *start == 0 { &window[..] } else { &batch[start - WINDOW..*start] };
                let mut crc = crc32fast::Hasher::new();
                crc.update(block);
                deflate(block, before, level, FlushCompress::Sync).map(|bytes| (bytes, crc))
            })
            .collect::<io::Result<_>>()?;
        for (bytes, part) in blocks {
            output.write_all(&bytes)?;
            crc.combine(&part);
        }
        window = batch[batch.len().saturating_sub(WINDOW)..].to_vec();
    }
    output.write_all(&deflate(&[], &[], level, FlushCompress::Finish)?)?;
    output.write_all(&crc.finalize().to_le_bytes())?;
    #[expect(clippy::cast_possible_truncation, reason = "RFC 1952 keeps the length modulo 2^32")]
    output.write_all(&(length as u32).to_le_bytes())
}

/// Raw deflate of `block`, which follows the bytes `before`.
fn deflate(block: &[u8], before: &[u8], level: Compression, flush: FlushCompress) -> io::Result<Vec<u8>> {
    let mut compress = Compress::new(level, false);
    if !before.is_empty() {
        compress.set_dictionary(before).map_err(io::Error::other)?;
    }
    let mut bytes = Vec::with_capacity(block.len() / 2 + 1024);
    loop {
        let consumed = usize::try_from(compress.total_in()).unwrap_or(block.len());
        compress.compress_vec(&block[consumed..], &mut bytes, flush).map_err(io::Error::other)?;
        // Room that is left means that there was nothing more to write.
        if bytes.len() < bytes.capacity() {
            return Ok(bytes);
        }
        bytes.reserve(block.len() / 4 + 1024);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Events;
    use crate::sandbox::command::Command;

    /// Bytes that compress like a program: some repetition, some noise.
    fn sample(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            bytes.extend_from_slice(&(state >> 40).to_le_bytes()[..3]);
            bytes.extend_from_slice(b" a line of text that comes again and again\n");
        }
        bytes.truncate(length);
        bytes
    }

    #[test]
    fn gzip_reads_every_length_back_as_one_member() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap().join("x.gz");
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, BATCH * BLOCK, BATCH * BLOCK + 7] {
            let plain = sample(length);
            let mut file = Vec::new();
            gzip(&mut plain.as_slice(), &mut file, 6).unwrap();
            let mut one = Vec::new();
            flate2::read::GzDecoder::new(file.as_slice()).read_to_end(&mut one).unwrap();
            assert!(one == plain, "{length} bytes");
            std::fs::write(&path, &file).unwrap();
            Command::new(["gzip", "-t", path.as_str()]).check(&Events::none()).unwrap();
        }
    }

    #[test]
    fn the_lent_program_compresses_and_leaves_the_rest_to_the_trees_own() {
        let folder = tempfile::tempdir().unwrap();
        let top = Utf8Path::from_path(folder.path()).unwrap();
        let plain = sample(3 * BLOCK);
        std::fs::write(top.join("file"), &plain).unwrap();
        let fifo = write(top, top.as_str()).unwrap();
        std::fs::write(top.join(OWN), "#!/bin/sh\necho \"own $*\"\n").unwrap();
        std::fs::set_permissions(top.join(OWN), std::fs::Permissions::from_mode(0o755)).unwrap();
        let over = Over::new().unwrap();
        let (program, file) = (top.join("gzip"), top.join("file"));
        std::thread::scope(|scope| {
            let served = scope.spawn(|| serve(fifo, &top.join("compressed"), &over));
            let of_file = |level: &str| Command::new([program.as_str(), level, "-c", file.as_str()]);
            let piped_into = |words: &[&str]| {
                Command::new([&[program.as_str()], words].concat().iter().copied()).stdin(plain.clone())
            };
            for command in [of_file("-9"), of_file("-1"), piped_into(&["-c"]), piped_into(&[]), piped_into(&["-n"])] {
                let output = command.quiet().check(&Events::none()).unwrap();
                let mut back = Vec::new();
                flate2::read::GzDecoder::new(output.stdout.as_slice()).read_to_end(&mut back).unwrap();
                assert!(back == plain);
            }
            for words in [&["-dc", "x"][..], &["x"], &["-c", "x", "y"], &["-t"], &["-d"]] {
                let output = Command::new([&[program.as_str()], words].concat().iter().copied()).run(&Events::none());
                assert_eq!(String::from_utf8(output.unwrap().stdout).unwrap(), format!("own {}\n", words.join(" ")));
            }
            over.say();
            served.join().unwrap().unwrap();
        });
    }
}
