//! Options that an element offers.
//!
//! In: texts from the command line or from variables. Out: typed values. Not here: which text wins (`settings`).

use serde_json::Value;

/// An option as its element declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct OptionSpec {
    /// What it holds.
    pub kind: OptionKind,
    /// Its value when nobody gives one.
    pub default_value: Value,
    /// What it is for.
    pub help: String,
    /// Variables that give it a value; the first one that is set wins.
    pub variables: Vec<String>,
    /// The texts it may have; empty means any.
    pub choices: Vec<String>,
    /// A variable that is set but empty counts as set; by default it counts as unset, as in DIB.
    pub keep_empty: bool,
}

/// What an option holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// Text.
    String,
    /// A whole number.
    Int,
    /// True or false.
    Bool,
    /// Texts, separated by blanks or commas.
    List,
}

impl OptionKind {
    /// The kind that a manifest calls `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "string" => Self::String,
            "int" => Self::Int,
            "bool" => Self::Bool,
            "list" => Self::List,
            _ => return None,
        })
    }

    /// The value of an option of this kind that has no default.
    pub fn empty(self) -> Value {
        match self {
            Self::String => "".into(),
            Self::Int => 0.into(),
            Self::Bool => false.into(),
            Self::List => Value::Array(Vec::new()),
        }
    }

    /// Whether `value` is of this kind.
    pub fn admits(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Int => value.is_i64(),
            Self::Bool => value.is_boolean(),
            Self::List => value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
        }
    }

    /// What a message calls it, with its article.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Int => "a whole number",
            Self::Bool => "a boolean (true or false)",
            Self::List => "a list",
        }
    }
}

impl OptionSpec {
    /// The value that `text` means.
    ///
    /// # Errors
    /// What `text` should have been, with its article.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        let expected = || self.kind.describe().to_string();
        let value = match self.kind {
            OptionKind::String => text.into(),
            OptionKind::Int => text.trim().parse::<i64>().map_err(|_| expected())?.into(),
            OptionKind::Bool => match text.trim().to_ascii_lowercase().as_str() {
                "1" | "true" | "yes" | "on" => true.into(),
                "0" | "false" | "no" | "off" => false.into(),
                _ => return Err(expected()),
            },
            OptionKind::List => text
                .split(|character: char| character.is_whitespace() || character == ',')
                .filter(|item| !item.is_empty())
                .collect::<Vec<_>>()
                .into(),
        };
        self.check(&value)?;
        Ok(value)
    }

    /// Whether `value` is one of the choices.
    ///
    /// # Errors
    /// What it should have been.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        let one = |item: &Value| match item {
            Value::String(text) => self.choices.contains(text),
            other => self.choices.contains(&other.to_string()),
        };
        let good = match value {
            Value::Array(items) => items.iter().all(one),
            other => one(other),
        };
        if self.choices.is_empty() || good { Ok(()) } else { Err(format!("one of {}", self.choices.join(", "))) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(kind: OptionKind, choices: &[&str]) -> OptionSpec {
        OptionSpec {
            kind,
            default_value: kind.empty(),
            help: String::new(),
            variables: Vec::new(),
            choices: choices.iter().map(|text| (*text).to_string()).collect(),
            keep_empty: false,
        }
    }

    #[test]
    fn texts_become_values_of_the_kind() {
        assert_eq!(spec(OptionKind::Int, &[]).parse(" 12 "), Ok(json!(12)));
        assert_eq!(spec(OptionKind::Bool, &[]).parse("True"), Ok(json!(true)));
        assert_eq!(spec(OptionKind::Bool, &[]).parse("0"), Ok(json!(false)));
        assert_eq!(spec(OptionKind::List, &[]).parse("eth0  eth1,eth2"), Ok(json!(["eth0", "eth1", "eth2"])));
        assert_eq!(spec(OptionKind::Int, &[]).parse("x"), Err("a whole number".into()));
    }

    #[test]
    fn only_the_choices_are_allowed() {
        let style = spec(OptionKind::String, &["menu", "hidden"]);
        assert_eq!(style.parse("menu"), Ok(json!("menu")));
        assert_eq!(style.parse("blue"), Err("one of menu, hidden".into()));
    }
}
