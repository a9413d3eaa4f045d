//! Reads Rhai source without running it: the sole user of the interpreter's internals.
