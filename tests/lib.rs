//! What a user sees, tested from outside through the program; one binary, so that it links once.

mod archive;
mod docs;
mod elements;
mod images;
mod interruption;
mod plan;
mod refusals;
mod rooms;
mod support;
