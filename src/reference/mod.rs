//! What can be written in elements, as pages: verbs, library, lint rules.
//!
//! In: what is registered, with its documentation. Out: Markdown, one HTML page, definition files for editors. Nothing of it is
//! written by hand, so none of it can be out of date. Not here: reading what is registered (`script/reference`).

pub mod definitions;
pub mod html;
pub mod markdown;
pub mod page;

pub use page::page;
