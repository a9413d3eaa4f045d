//! A `pigz` on loan: initramfs-tools compresses with gzip on one core, but with pigz when there is one (mkinitramfs(8)).
//!
//! In: a tree without pigz. Out: a `/usr/bin/pigz` in it that hands its file through two FIFOs to this process, which compresses
//! on all cores; gone, with the folder's time of change as it was, when dropped. The answer is one gzip member (RFC 1952) of
//! deflate blocks that end on byte borders, as pigz makes it: the kernel reads no further than the first member.
//! Not here: the command that calls it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use flate2::{Compress, Compression, FlushCompress};
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::stat::Mode;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

/// Bytes that are compressed on their own.
const BLOCK: usize = 1 << 20;

/// Blocks held at once.
const BATCH: usize = 16;

/// What a block may refer back to: deflate's window.
const WINDOW: usize = 32 << 10;

/// How long a FIFO is waited for before the end of the loan is looked for, in milliseconds.
const GLANCE: u16 = 100;

/// Sends its level and its file, or else what it is given to read (Debian 13 pipes into it), and passes on what comes back. `FOLDER` is where the FIFOs are.
const PROGRAM: &str = r#"#!/bin/sh
level=6
file=
for word; do
    case $word in
    -[1-9]) level=${word#-} ;;
    -*) ;;
    *) file=$word ;;
    esac
done
# A command in the background would read nothing but what it is given on another descriptor.
exec 3<&0
if [ -n "$file" ]; then
    [ -r "$file" ] || exit 1
    exec 3<"$file"
fi
{ echo "$level"; cat <&3; } >FOLDER/plain &
exec cat FOLDER/compressed
"#;

/// A pigz in the tree until this is dropped.
#[derive(Debug)]
pub struct Pigz {
    program: Utf8PathBuf,
    changed: SystemTime,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Pigz {
    /// Lends a pigz to the tree at `root`. Its FIFOs are made in `folder`, which a command in the tree must see as `inside`.
    /// Nothing is lent to a tree that has its own, or whose `/usr/bin` is none.
    ///
    /// # Errors
    /// When the tree or the folder cannot be written.
    pub fn lend(root: &Utf8Path, folder: &Utf8Path, inside: &str) -> io::Result<Option<Self>> {
        let programs = root.join("usr/bin");
        let program = programs.join("pigz");
        let real = programs.symlink_metadata().is_ok_and(|data| data.is_dir());
        let there = |path: &str| root.join(path).symlink_metadata().is_ok();
        if !real || ["usr/bin/pigz", "sbin/pigz", "bin/pigz"].into_iter().any(there) {
            return Ok(None);
        }
        let changed = programs.metadata()?.modified()?;
        let (plain, compressed) = (folder.join("plain"), folder.join("compressed"));
        for fifo in [&plain, &compressed] {
            nix::unistd::mkfifo(fifo.as_str(), Mode::from_bits_truncate(0o600))?;
        }
        let mut loan = Self { program, changed, over: Arc::default(), thread: None };
        std::fs::write(&loan.program, PROGRAM.replace("FOLDER", inside))?;
        std::fs::set_permissions(&loan.program, std::fs::Permissions::from_mode(0o755))?;
        let over = loan.over.clone();
        // Opened before anybody writes: then the end of the file is the end of a writer, not its absence.
        let plain = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(&plain)?;
        loan.thread = Some(std::thread::spawn(move || serve(plain, &compressed, &over)));
        Ok(Some(loan))
    }

    /// Ends the loan; call it when the command has ended.
    ///
    /// # Errors
    /// When what the command got is not the whole file.
    pub fn end(mut self) -> io::Result<()> {
        self.stop()
    }

    fn stop(&mut self) -> io::Result<()> {
        self.over.store(true, Ordering::Relaxed);
        let served = self.thread.take().map_or(Ok(()), |thread| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("the compressing thread panicked")))
        });
        if std::fs::remove_file(&self.program).is_ok()
            && let Some(folder) = self.program.parent()
        {
            File::open(folder)?.set_modified(self.changed)?;
        }
        served
    }
}

impl Drop for Pigz {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// Answers every call until the loan is over.
fn serve(plain: File, compressed: &Utf8Path, over: &AtomicBool) -> io::Result<()> {
    let mut plain = Fifo { file: plain, over };
    while plain.wait()? {
        let mut output = loop {
            let flags = OFlag::O_NONBLOCK.bits();
            match OpenOptions::new().write(true).custom_flags(flags).open(compressed) {
                Ok(file) => break file,
                // Nobody reads yet.
                Err(error) if error.raw_os_error() == Some(nix::libc::ENXIO) => {
                    if over.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(error) => return Err(error),
            }
        };
        nix::fcntl::fcntl(output.as_fd(), nix::fcntl::FcntlArg::F_SETFL(OFlag::empty()))?;
        let mut level = [0; 2];
        plain.read_exact(&mut level)?;
        gzip(&mut plain, &mut output, u32::from(level[0].saturating_sub(b'0')))?;
    }
    Ok(())
}

/// The reading end of a FIFO, which ends with its writer or with the loan.
struct Fifo<'a> {
    file: File,
    over: &'a AtomicBool,
}

impl Fifo<'_> {
    /// Whether there are bytes to read; `false` when the loan is over.
    fn wait(&self) -> io::Result<bool> {
        loop {
            let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, GLANCE)?;
            let seen = fds[0].revents().unwrap_or(PollFlags::empty());
            if seen.contains(PollFlags::POLLIN) {
                return Ok(true);
            }
            if self.over.load(Ordering::Relaxed) {
                return Ok(false);
            }
            if seen.contains(PollFlags::POLLHUP) {
                // The writer of an earlier call is gone, which poll says at once and for ever.
                std::thread::sleep(Duration::from_millis(GLANCE.into()));
            }
        }
    }
}

impl Read for Fifo<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.file.read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
                    if poll(&mut fds, GLANCE)? == 0 && self.over.load(Ordering::Relaxed) {
                        return Err(io::Error::other("the command ended in the middle of its file"));
                    }
                }
                other => return other,
            }
        }
    }
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
    fn the_lent_program_compresses_and_is_gone_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let top = Utf8Path::from_path(folder.path()).unwrap();
        std::fs::create_dir_all(top.join("root/usr/bin")).unwrap();
        std::fs::create_dir_all(top.join("fifos")).unwrap();
        let plain = sample(3 * BLOCK);
        std::fs::write(top.join("file"), &plain).unwrap();
        let before = top.join("root/usr/bin").metadata().unwrap().modified().unwrap();
        let fifos = top.join("fifos");
        let pigz = Pigz::lend(&top.join("root"), &fifos, fifos.as_str()).unwrap().unwrap();
        let program = top.join("root/usr/bin/pigz");
        let file = top.join("file");
        let of_file = |level: &str| Command::new([program.as_str(), level, "-c", file.as_str()]);
        let piped_into = || Command::new([program.as_str(), "-c"]).stdin(plain.clone());
        for command in [of_file("-9"), of_file("-1"), piped_into()] {
            let output = command.quiet().check(&Events::none()).unwrap();
            let mut back = Vec::new();
            flate2::read::GzDecoder::new(output.stdout.as_slice()).read_to_end(&mut back).unwrap();
            assert!(back == plain);
        }
        pigz.end().unwrap();
        assert!(!program.exists());
        assert_eq!(top.join("root/usr/bin").metadata().unwrap().modified().unwrap(), before);
    }

    #[test]
    fn a_loan_that_nobody_uses_or_that_breaks_off_ends() {
        for words in ["true", "echo 6 >plain", "(echo 6; echo text) >plain & head -c 1 compressed"] {
            let folder = tempfile::tempdir().unwrap();
            let top = Utf8Path::from_path(folder.path()).unwrap();
            std::fs::create_dir_all(top.join("root/usr/bin")).unwrap();
            let pigz = Pigz::lend(&top.join("root"), top, top.as_str()).unwrap().unwrap();
            let command = Command::new(["timeout", "1", "sh", "-c", words]).directory(top);
            command.run(&Events::none()).unwrap();
            let _ = pigz.end();
        }
    }

    #[test]
    fn a_tree_with_its_own_pigz_borrows_none() {
        let folder = tempfile::tempdir().unwrap();
        let top = Utf8Path::from_path(folder.path()).unwrap();
        std::fs::create_dir_all(top.join("usr/bin")).unwrap();
        std::fs::write(top.join("usr/bin/pigz"), "own").unwrap();
        assert!(Pigz::lend(top, top, "/mnt").unwrap().is_none());
        assert_eq!(std::fs::read_to_string(top.join("usr/bin/pigz")).unwrap(), "own");
    }
}
