//! Loop devices: a file that the kernel shows as a disk, and its partitions.
//!
//! In: an image file, the place of each partition. Out: device nodes. The kernel itself lets go of the file when the last user of
//! the device is gone (autoclear), so a builder that is killed leaves no device: its descriptor closes and its mounts end with
//! its namespaces. Partitions are announced one by one (BLKPG), so the kernel need not understand the table, nor is
//! device-mapper needed. See loop(4) and the kernel's `linux/loop.h`, `linux/blkpg.h`. Not here: what is on the disk.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use nix::errno::Errno;

use super::device_nodes;

/// Finds and makes loop devices.
pub const CONTROL: &str = "/dev/loop-control";

/// Somebody else may take the free device that the kernel named.
const ATTEMPTS: usize = 100;
/// What udev and its like look at is busy for a moment.
const PATIENCE: usize = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// Detached when the last user is gone.
const AUTOCLEAR: u32 = 4;
/// Without it the kernel keeps a detached device's partitions.
const PARTSCAN: u32 = 8;

mod request {
    //! The requests, and what they are given.

    pub const ADD_PARTITION: i32 = 1;
    pub const DELETE_PARTITION: i32 = 2;

    /// `struct loop_info64`.
    #[repr(C)]
    pub struct LoopInfo {
        pub ids: [u64; 3],
        pub offset: u64,
        pub size_limit: u64,
        pub number: u32,
        pub encryption: [u32; 2],
        pub flags: u32,
        pub file_name: [u8; 64],
        pub crypt_name: [u8; 64],
        pub key: [u8; 32],
        pub init: [u64; 2],
    }

    /// `struct loop_config`.
    #[repr(C)]
    pub struct LoopConfig {
        pub fd: u32,
        pub block_size: u32,
        pub info: LoopInfo,
        pub reserved: [u64; 8],
    }

    /// `struct blkpg_partition`.
    #[repr(C)]
    pub struct Partition {
        pub start: i64,
        pub length: i64,
        pub number: i32,
        pub names: [u8; 128],
    }

    /// `struct blkpg_ioctl_arg`.
    #[repr(C)]
    pub struct PartitionRequest {
        pub operation: i32,
        pub flags: i32,
        pub length: i32,
        pub partition: *mut Partition,
    }

    nix::ioctl_none_bad!(loop_get_free, 0x4c82);
    nix::ioctl_write_ptr_bad!(loop_configure, 0x4c0a, LoopConfig);
    nix::ioctl_none_bad!(loop_clear, 0x4c01);
    nix::ioctl_write_ptr_bad!(partition, 0x1269, PartitionRequest);
    nix::ioctl_none_bad!(flush_buffers, 0x1261);
}

/// Waits until nobody else has the turn, and has it as long as the file is open. The lock is on [`CONTROL`]: the one file that all
/// builds on a machine share, whatever their stores.
///
/// # Errors
/// When the kernel has no loop devices (`NotFound`), or the file system of `/dev` no locks.
pub fn turn() -> io::Result<File> {
    let control = File::open(CONTROL)?;
    control.lock()?;
    Ok(control)
}

/// A file attached as a disk; detached when dropped.
#[derive(Debug)]
pub struct LoopDevice {
    /// Taken when it is detached.
    device: Option<File>,
    name: String,
    image: Utf8PathBuf,
    node: Utf8PathBuf,
    partitions: Vec<u32>,
}

impl LoopDevice {
    /// Attaches `image` for reading and writing, in sectors of `sector_size` bytes (512 or 4096). Call it in a mount namespace of
    /// your own: where the kernel does not keep `/dev`, it gets a `/dev` with the nodes that are missing.
    ///
    /// # Errors
    /// When the kernel has no loop devices (`NotFound` for [`CONTROL`]), is older than 5.8, or refuses.
    pub fn attach(image: &Utf8Path, sector_size: u32) -> io::Result<Self> {
        Self::attach_range(image, sector_size, None)
    }

    /// Attaches the bytes of `image` from `start`, `size` of them, as a disk of their own, as [`attach`](Self::attach) does the
    /// whole. Both are multiples of 512.
    ///
    /// # Errors
    /// As [`attach`](Self::attach).
    pub fn attach_part(image: &Utf8Path, sector_size: u32, start: u64, size: u64) -> io::Result<Self> {
        Self::attach_range(image, sector_size, Some((start, size)))
    }

    fn attach_range(image: &Utf8Path, sector_size: u32, range: Option<(u64, u64)>) -> io::Result<Self> {
        let control = OpenOptions::new().read(true).write(true).open(CONTROL)?;
        let file = OpenOptions::new().read(true).write(true).open(image)?;
        for _ in 0..ATTEMPTS {
            // SAFETY: takes no argument and returns a number.
            #[expect(unsafe_code, reason = "no crate has safe loop devices")]
            let number = unsafe { request::loop_get_free(control.as_raw_fd()) }?;
            let name = format!("loop{number}");
            let node = device_nodes::ensure(&name, || device_nodes::number(&Utf8Path::new("/sys/block").join(&name)))?;
            let device = match OpenOptions::new().read(true).write(true).open(&node) {
                Err(error) if error.raw_os_error() == Some(Errno::ENXIO as i32) => continue,
                other => other?,
            };
            match configure(&device, &file, image, sector_size, range) {
                Ok(()) => {
                    let image = image.to_owned();
                    return Ok(Self { device: Some(device), name, image, node, partitions: Vec::new() });
                }
                Err(Errno::EBUSY) => {}
                Err(Errno::EINVAL | Errno::ENOTTY) => {
                    return Err(io::Error::new(
                        io::ErrorKind::Unsupported,
                        format!(
                            "the kernel does not attach it with sectors of {sector_size} bytes (Linux 5.8 or later does)"
                        ),
                    ));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::Error::new(io::ErrorKind::ResourceBusy, "every loop device was taken by somebody else; try again"))
    }

    /// The device's node.
    pub fn node(&self) -> &Utf8Path {
        &self.node
    }

    /// Announces partition `number` at `start` with `size`, both in bytes. Returns its node.
    ///
    /// # Errors
    /// When the kernel refuses it: it overlaps another or leaves the disk.
    pub fn add_partition(&mut self, number: u32, start: u64, size: u64) -> io::Result<Utf8PathBuf> {
        let name = format!("{}p{number}", self.name);
        let folder = Utf8PathBuf::from(format!("/sys/block/{}/{name}", self.name));
        // A kernel that understands the table has found it already.
        let found = |what: &str| std::fs::read_to_string(folder.join(what)).ok()?.trim().parse::<u64>().ok();
        let known = found("start").zip(found("size"));
        if known != Some((start / 512, size / 512)) {
            if known.is_some() {
                self.partition_request(request::DELETE_PARTITION, number, 0, 0)?;
            }
            self.partition_request(request::ADD_PARTITION, number, start, size)?;
        }
        self.partitions.push(number);
        device_nodes::ensure(&name, || device_nodes::number(&folder))
    }

    /// Writes what the kernel holds back for `node`, the device's or a partition's, to the file, and forgets what it read.
    ///
    /// # Errors
    /// When it cannot be opened or written.
    pub fn flush(node: &Utf8Path) -> io::Result<()> {
        let device = OpenOptions::new().read(true).open(node)?;
        flush(&device)
    }

    /// Removes the partitions and lets go of the file, which then holds all that was written.
    ///
    /// # Errors
    /// When something still uses it.
    pub fn detach(mut self) -> io::Result<()> {
        self.let_go(PATIENCE)
    }

    fn let_go(&mut self, attempts: usize) -> io::Result<()> {
        let Some(device) = self.device.take() else { return Ok(()) };
        let partitions = std::mem::take(&mut self.partitions);
        let mut result = flush(&device);
        for number in partitions.into_iter().rev() {
            let removed =
                patiently(attempts, || match partition_request(&device, request::DELETE_PARTITION, number, 0, 0) {
                    Err(Errno::ENXIO) => Ok(()),
                    other => other,
                });
            result = result.and(removed.map_err(|error| self.in_use(&format!("{}p{number}", self.node), error)));
        }
        // SAFETY: takes no argument.
        #[expect(unsafe_code, reason = "no crate has safe loop devices")]
        let cleared = unsafe { request::loop_clear(device.as_raw_fd()) };
        result = result.and(cleared.map(drop).map_err(io::Error::from));
        drop(device);
        // The kernel is done when nobody else has it open.
        let gone = patiently(attempts, || if self.is_attached() { Err(Errno::EBUSY) } else { Ok(()) });
        result.and(gone.map_err(|error| self.in_use(self.node.as_str(), error)))
    }

    fn in_use(&self, node: &str, error: Errno) -> io::Error {
        let text = format!("{node} of {} cannot be detached, something still uses it: {error}", self.image);
        io::Error::new(io::Error::from(error).kind(), text)
    }

    fn is_attached(&self) -> bool {
        let file = format!("/sys/block/{}/loop/backing_file", self.name);
        std::fs::read_to_string(file).is_ok_and(|text| {
            let text = text.trim_end();
            text == self.image || self.image.canonicalize_utf8().is_ok_and(|image| image == text)
        })
    }

    fn partition_request(&self, operation: i32, number: u32, start: u64, size: u64) -> io::Result<()> {
        let device = self.device.as_ref().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?;
        partition_request(device, operation, number, start, size).map_err(io::Error::from)
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let _ = self.let_go(1);
    }
}

fn configure(
    device: &File,
    file: &File,
    image: &Utf8Path,
    sector_size: u32,
    range: Option<(u64, u64)>,
) -> nix::Result<()> {
    let mut file_name = [0; 64];
    // Its end is a zero; losetup shows it when it cannot find the file.
    for (to, from) in file_name[..63].iter_mut().zip(image.as_str().bytes()) {
        *to = from;
    }
    let info = request::LoopInfo {
        ids: [0; 3],
        offset: range.map_or(0, |(start, _)| start),
        size_limit: range.map_or(0, |(_, size)| size),
        number: 0,
        encryption: [0; 2],
        // A part has no partitions.
        flags: if range.is_some() { AUTOCLEAR } else { AUTOCLEAR | PARTSCAN },
        file_name,
        crypt_name: [0; 64],
        key: [0; 32],
        init: [0; 2],
    };
    let fd = u32::try_from(file.as_raw_fd()).map_err(|_| Errno::EBADF)?;
    let config = request::LoopConfig { fd, block_size: sector_size, info, reserved: [0; 8] };
    // SAFETY: the structure is the kernel's and outlives the call; the kernel takes its own hold of the file.
    #[expect(unsafe_code, reason = "no crate has safe loop devices")]
    unsafe { request::loop_configure(device.as_raw_fd(), &config) }.map(drop)
}

fn partition_request(device: &File, operation: i32, number: u32, start: u64, size: u64) -> nix::Result<()> {
    let signed = |value: u64| i64::try_from(value).map_err(|_| Errno::EFBIG);
    let mut partition = request::Partition {
        start: signed(start)?,
        length: signed(size)?,
        number: number.cast_signed(),
        names: [0; 128],
    };
    let length = size_of::<request::Partition>() as i32;
    let request = request::PartitionRequest { operation, flags: 0, length, partition: &raw mut partition };
    // SAFETY: both structures are the kernel's and outlive the call.
    #[expect(unsafe_code, reason = "no crate has safe partition requests")]
    unsafe { request::partition(device.as_raw_fd(), &request) }.map(drop)
}

fn flush(device: &File) -> io::Result<()> {
    // Not fsync, which does nothing inside the builder.
    // SAFETY: takes no argument.
    #[expect(unsafe_code, reason = "nix has no function for it")]
    unsafe { request::flush_buffers(device.as_raw_fd()) }.map(drop).map_err(io::Error::from)
}

fn patiently(attempts: usize, attempt: impl Fn() -> nix::Result<()>) -> nix::Result<()> {
    for _ in 1..attempts {
        match attempt() {
            Err(Errno::EBUSY) => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
    attempt()
}

#[cfg(test)]
mod tests;
