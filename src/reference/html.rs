//! The page as one HTML file without outside resources.

use super::page::Block;

const STYLE: &str = "body{max-width:52rem;margin:2rem auto;padding:0 1rem;font:1rem/1.5 system-ui,sans-serif}\
pre{background:#8881;padding:.6rem;overflow-x:auto}code{font-family:ui-monospace,monospace}\
nav{columns:3;font-size:.9rem}@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}a{color:#8bf}}";

/// The whole file.
pub fn render(page: &[Block]) -> String {
    let title = page.iter().find_map(|block| match block {
        Block::Heading(1, text) => Some(escape(text)),
        _ => None,
    });
    let title = title.unwrap_or_default();
    let mut contents = String::new();
    let mut body = String::new();
    for (index, block) in page.iter().enumerate() {
        match block {
            Block::Heading(level, text) => {
                let level = (*level).clamp(1, 6);
                body.push_str(&format!("<h{level} id=\"s{index}\">{}</h{level}>\n", inline(text)));
                if (2..=3).contains(&level) {
                    contents.push_str(&format!("<a href=\"#s{index}\">{}</a><br>\n", inline(text)));
                }
            }
            Block::Text(text) => body.push_str(&format!("<p>{}</p>\n", inline(text))),
            Block::Code(lines) => {
                body.push_str(&format!("<pre><code>{}</code></pre>\n", escape(&lines.join("\n"))));
            }
        }
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>kiln: {title}</title>\n<style>{STYLE}</style>\n<nav>\n{contents}</nav>\n{body}</html>\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Escaped, with what stands between backticks as code.
fn inline(text: &str) -> String {
    let mut html = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('`') {
        let Some((code, after)) = after.split_once('`') else { break };
        html.push_str(&format!("{}<code>{}</code>", escape(before), escape(code)));
        rest = after;
    }
    html + escape(rest).as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_escaped_and_backticks_are_code() {
        assert_eq!(inline("a `<b>` & `c"), "a <code>&lt;b&gt;</code> &amp; `c");
        let page = render(&[Block::Heading(1, "T".into()), Block::Code(vec!["x < y".into()])]);
        assert!(page.contains("<title>kiln: T</title>") && page.contains("x &lt; y"), "{page}");
    }
}
