//! Starts a finished image in QEMU.
