//! The page as Markdown.

use super::page::Block;

/// The text, with a line feed at its end.
pub fn render(page: &[Block]) -> String {
    let blocks = page.iter().map(|block| match block {
        Block::Heading(level, text) => format!("{} {text}", "#".repeat(*level)),
        Block::Text(text) => text.clone(),
        Block::Code(lines) => format!("```rhai\n{}\n```", lines.join("\n")),
    });
    blocks.collect::<Vec<_>>().join("\n\n") + "\n"
}
