//! kiln.

fn main() {}
