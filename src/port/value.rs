//! What a word of the shell comes to, as a Rhai expression.

/// What a value's text begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Base {
    /// Nothing in particular.
    #[default]
    Plain,
    /// The image's folder on the host (`$TMP_MOUNT_PATH`, `$TARGET_ROOT`), which is left out of the text.
    Image,
    /// The folder of the hook (`$(dirname $0)`), which is left out of the text.
    Hook,
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Literal text.
    Text(String),
    /// A Rhai expression whose value is a string.
    Code(String),
}

/// A text that may depend on variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value {
    /// What it begins with.
    pub base: Base,
    /// Its parts; neighbouring texts are one.
    pub parts: Vec<Part>,
    /// Its literal texts hold an unquoted pattern of files.
    pub pattern: bool,
    /// The folder of the image that the path in its first variable is in, when that is known.
    pub folder: Option<String>,
}

impl Value {
    /// A literal text.
    pub fn text(text: impl Into<String>) -> Self {
        let mut value = Self::default();
        value.push_text(&text.into());
        value
    }

    /// Adds literal text.
    pub fn push_text(&mut self, more: &str) {
        match self.parts.last_mut() {
            Some(Part::Text(text)) => text.push_str(more),
            _ if more.is_empty() => {}
            _ => self.parts.push(Part::Text(more.to_owned())),
        }
    }

    /// Adds an expression.
    pub fn push_code(&mut self, code: impl Into<String>) {
        self.parts.push(Part::Code(code.into()));
    }

    /// Adds another value.
    pub fn append(&mut self, other: &Self) {
        for part in &other.parts {
            match part {
                Part::Text(text) => self.push_text(text),
                Part::Code(code) => self.push_code(code),
            }
        }
        self.pattern |= other.pattern;
    }

    /// The text, when it depends on nothing.
    pub fn literal(&self) -> Option<String> {
        match self.parts.as_slice() {
            [] => Some(String::new()),
            [Part::Text(text)] => Some(text.clone()),
            _ => None,
        }
    }

    /// The literal text that it begins with.
    pub fn prefix(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }

    /// The Rhai expression.
    pub fn code(&self) -> String {
        if self.parts.len() == 1
            && let Part::Code(code) = &self.parts[0]
        {
            return code.clone();
        }
        if let Some(code) = self.block() {
            return code;
        }
        let part = |part: &Part| match part {
            Part::Text(text) => quoted(text),
            Part::Code(code) => code.clone(),
        };
        match self.parts.as_slice() {
            [] => "\"\"".to_owned(),
            parts => parts.iter().map(part).collect::<Vec<_>>().join(" + "),
        }
    }

    /// A text of several lines, in back-ticks: it reads as the file will.
    fn block(&self) -> Option<String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(plain) => {
                    let odd = plain
                        .chars()
                        .any(|letter| letter == '`' || (letter.is_control() && letter != '\n' && letter != '\t'));
                    if odd || plain.contains("${") || plain.ends_with('$') {
                        return None;
                    }
                    text.push_str(plain);
                }
                Part::Code(code) if !code.contains(['`', '\n', '}']) => text.push_str(&format!("${{{code}}}")),
                Part::Code(_) => return None,
            }
        }
        let lines = text.matches('\n').count() - usize::from(text.ends_with('\n'));
        (lines > 0).then(|| format!("`\n{text}`"))
    }
}

/// A Rhai string literal.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            control if control.is_control() => quoted.push_str(&format!("\\x{:02x}", control as u32)),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_quoted_and_several_stand_in_back_ticks() {
        assert_eq!(Value::text("a\"b\\\n").code(), r#""a\"b\\\n""#);
        let mut value = Value::text("a\nb ");
        value.push_code("x");
        value.push_text("\n");
        assert_eq!(value.code(), "`\na\nb ${x}\n`");
        value.push_text("${no}\n");
        assert_eq!(value.code(), r#""a\nb " + x + "\n${no}\n""#);
        assert_eq!(Value::default().code(), "\"\"");
    }
}
