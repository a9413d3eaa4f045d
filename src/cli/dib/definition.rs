//! Images as `diskimage-builder`'s YAML files describe them.
//!
//! In: one entry of a file, read. Out: its fields, checked; the words of the command that builds it. Not here: files (`yaml`).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::script::nearest::{close, suggestion};

/// What a key's value must be.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    /// A text.
    Text,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A list of texts, of these when there are any.
    List(&'static [&'static str]),
    /// Names and texts.
    Map,
    /// True or false.
    Flag,
    /// A number from 1 on.
    Positive,
    /// A number from 0 to 2.
    Level,
}

/// A key of an entry.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// The option it becomes; none for what becomes no option.
    option: &'static str,
    /// What its value must be.
    pub expected: Expected,
    /// One line for the help text.
    pub help: &'static str,
}

const fn key(name: &'static str, option: &'static str, expected: Expected, help: &'static str) -> Key {
    Key { name, option, expected, help }
}

const ARCHITECTURES: &[&str] =
    &["aarch64", "amd64", "arm64", "armhf", "powerpc", "ppc64", "ppc64el", "ppc64le", "s390x", "x86_64"];

/// Spellings of YAML 1.1 beside `true` and `false`.
const FLAGS: [(&str, bool); 4] = [("yes", true), ("on", true), ("no", false), ("off", false)];

/// Every key, in the order of the words that they become.
pub const KEYS: [Key; 26] = [
    key("imagename", "-o", Expected::Text, "path of the image"),
    key("arch", "-a", Expected::OneOf(ARCHITECTURES), "architecture"),
    key("types", "-t", Expected::List(&[]), "formats of the outputs"),
    key("environment", "", Expected::Map, "variables of the build"),
    key("ramdisk", "", Expected::Flag, "make a RAM disk"),
    key("debug-trace", "-x", Expected::Level, "how much is traced"),
    key("uncompressed", "-u", Expected::Flag, "do not compress qcow2"),
    key("clear", "-c", Expected::Flag, "start without the environment"),
    key("logfile", "--logfile", Expected::Text, "file that takes the output"),
    key("checksum", "--checksum", Expected::Flag, "write digests too"),
    key("image-size", "--image-size", Expected::Positive, "size of the disk, GiB"),
    key("image-extra-size", "--image-extra-size", Expected::Positive, "room beyond the tree, MiB"),
    key("image-cache", "--image-cache", Expected::Text, "folder of elements' downloads"),
    key("max-online-resize", "--max-online-resize", Expected::Positive, "blocks to grow to while mounted"),
    key(
        "min-tmpfs",
        "--min-tmpfs",
        Expected::Positive,
        "a quarter of the GiB of memory that must be free for a build in memory",
    ),
    key("mkfs-journal-size", "--mkfs-journal-size", Expected::Positive, "journal of the root file system, MiB"),
    key("mkfs-options", "--mkfs-options", Expected::Text, "more options for its mkfs"),
    key("no-tmpfs", "--no-tmpfs", Expected::Flag, "make the build on disk"),
    key("offline", "--offline", Expected::Flag, "use what is cached"),
    key("qemu-img-options", "--qemu-img-options", Expected::Map, "options for qemu-img"),
    key("root-label", "--root-label", Expected::Text, "label of the root file system"),
    key("ramdisk-element", "--ramdisk-element", Expected::Text, "what makes the RAM disk"),
    key("install-type", "--install-type", Expected::OneOf(&["source", "package"]), "how elements install"),
    key("docker-target", "--docker-target", Expected::Text, "name of the docker image"),
    key("packages", "-p", Expected::List(&[]), "packages to install too"),
    key("skip-base", "-n", Expected::Flag, "leave out the element base"),
];

/// The key that becomes no option but the words at the end.
pub const ELEMENTS: Key = key("elements", "", Expected::List(&[]), "the elements");

impl Expected {
    /// What a person calls it.
    pub fn text(self) -> String {
        match self {
            Self::Text => "a text".into(),
            Self::OneOf(names) if names.len() > 4 => format!("{} ...", names[..3].join(", ")),
            Self::OneOf(names) => names.join(" or "),
            Self::List(_) => "a list of texts".into(),
            Self::Map => "a map from texts to texts".into(),
            Self::Flag => "true or false".into(),
            Self::Positive => "a whole number from 1 on".into(),
            Self::Level => "0, 1 or 2".into(),
        }
    }
}

/// A value that fits its key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
    Text(String),
    List(Vec<String>),
    Map(BTreeMap<String, String>),
    Flag(bool),
    Number(u64),
}

/// An image to build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definition {
    fields: BTreeMap<&'static str, Field>,
}

impl Definition {
    /// Reads an entry.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(entry: &Value) -> Result<Self, Vec<String>> {
        let Value::Object(entry) = entry else {
            return Err(vec![format!("is {}, not a map of keys and values", kind(entry))]);
        };
        let mut definition = Self::default();
        let mut complaints = Vec::new();
        for (name, value) in entry {
            match all_keys().find(|key| key.name == name) {
                Some(key) => match field(key, value) {
                    Ok(field) => drop(definition.fields.insert(key.name, field)),
                    Err(complaint) => complaints.push(complaint),
                },
                None => {
                    let near = suggestion(&close(name, all_keys().map(|key| key.name)));
                    complaints.push(format!("`{name}` is no key{near}"));
                }
            }
        }
        if complaints.is_empty() { Ok(definition) } else { Err(complaints) }
    }

    /// The image's name, when it has one.
    pub fn name(&self) -> Option<&str> {
        match self.fields.get("imagename") {
            Some(Field::Text(name)) => Some(name),
            _ => None,
        }
    }

    /// Takes in what `other` says of the same image: lists grow, maps are joined, all else is replaced.
    pub fn merge(&mut self, other: Self) {
        for (name, field) in other.fields {
            match (self.fields.get_mut(name), field) {
                (Some(Field::List(known)), Field::List(more)) => known.extend(more),
                (Some(Field::Map(known)), Field::Map(more)) => known.extend(more),
                (_, field) => drop(self.fields.insert(name, field)),
            }
        }
    }

    /// Whether it is a RAM disk.
    pub fn is_ramdisk(&self) -> bool {
        self.fields.get("ramdisk") == Some(&Field::Flag(true))
    }

    /// The variables of the build.
    pub fn environment(&self) -> BTreeMap<String, String> {
        match self.fields.get("environment") {
            Some(Field::Map(variables)) => variables.clone(),
            _ => BTreeMap::new(),
        }
    }

    /// The words of the command that builds it.
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        for key in KEYS.iter().filter(|key| !key.option.is_empty()) {
            let Some(field) = self.fields.get(key.name) else { continue };
            let value = match field {
                Field::Flag(true) => {
                    words.push(key.option.to_owned());
                    continue;
                }
                Field::Flag(false) => continue,
                Field::Number(times) if key.option == "-x" => {
                    words.extend((0..*times).map(|_| key.option.to_owned()));
                    continue;
                }
                Field::Number(number) => number.to_string(),
                Field::Text(text) => text.clone(),
                Field::List(items) => items.join(","),
                Field::Map(map) => {
                    map.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
                }
            };
            if !value.is_empty() {
                words.extend([key.option.to_owned(), value]);
            }
        }
        if let Some(Field::List(elements)) = self.fields.get(ELEMENTS.name) {
            words.extend(elements.iter().cloned());
        }
        words
    }
}

/// Every key, with the elements.
pub fn all_keys() -> impl Iterator<Item = &'static Key> {
    KEYS.iter().chain([&ELEMENTS])
}

fn field(key: &Key, value: &Value) -> Result<Field, String> {
    let wrong = |what: &str, value: &Value| {
        let advice = match (key.expected, value) {
            (
                Expected::Text | Expected::OneOf(_) | Expected::List(_) | Expected::Map,
                Value::Number(_) | Value::Bool(_),
            ) => "; write it in quotes".to_owned(),
            _ => format!("; it must be {}", key.expected.text()),
        };
        format!("{what} is {}{advice}", kind(value))
    };
    let whole = || wrong(key.name, value);
    let member = |what: String, value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        other => Err(wrong(&what, other)),
    };
    let among = |text: &str, names: &[&str]| {
        if names.is_empty() || names.contains(&text) {
            return Ok(());
        }
        let near = suggestion(&close(text, names.iter().copied()));
        Err(format!("{} is `{text}`{near}; it must be one of {}", key.name, names.join(", ")))
    };
    match (key.expected, value) {
        (Expected::Text, Value::String(text)) => Ok(Field::Text(text.clone())),
        (Expected::OneOf(names), Value::String(text)) => among(text, names).map(|()| Field::Text(text.clone())),
        (Expected::List(names), Value::Array(items)) => {
            let mut texts = Vec::new();
            for (index, item) in items.iter().enumerate() {
                let text = member(format!("item {} of {}", index + 1, key.name), item)?;
                among(&text, names)?;
                texts.push(text);
            }
            Ok(Field::List(texts))
        }
        (Expected::Map, Value::Object(pairs)) => {
            let pair =
                |(name, value): (&String, &Value)| Ok((name.clone(), member(format!("{}.{name}", key.name), value)?));
            pairs.iter().map(pair).collect::<Result<_, String>>().map(Field::Map)
        }
        (Expected::Flag, Value::Bool(flag)) => Ok(Field::Flag(*flag)),
        (Expected::Flag, Value::String(text)) => {
            let known = FLAGS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
            known.map(|(_, flag)| Field::Flag(*flag)).ok_or_else(whole)
        }
        (Expected::Positive, value) => {
            integer(value).filter(|number| *number >= 1).map(Field::Number).ok_or_else(whole)
        }
        (Expected::Level, value) => integer(value).filter(|number| *number <= 2).map(Field::Number).ok_or_else(whole),
        _ => Err(whole()),
    }
}

fn integer(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let number = value.as_f64().filter(|number| number.fract() == 0.0 && (0.0..9e15).contains(number))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be whole and positive")]
        Some(number as u64)
    })
}

/// What a person calls a value.
fn kind(value: &Value) -> String {
    match value {
        Value::Null => "empty".into(),
        Value::Bool(flag) => format!("{flag}, not a text"),
        Value::Number(number) => format!("{number}, a number"),
        Value::String(text) => format!("`{text}`"),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a map".into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words(entry: Value) -> String {
        Definition::read(&entry).unwrap().words().join(" ")
    }

    fn complaints(entry: Value) -> String {
        Definition::read(&entry).unwrap_err().join("\n")
    }

    /// One line for each key, in the order of DIB's table.
    #[test]
    fn keys_become_options_in_dibs_order() {
        for (entry, expected) in [
            (json!({"imagename": "n"}), "-o n"),
            (json!({"arch": "ppc64le"}), "-a ppc64le"),
            (json!({"types": ["raw", "qcow2"]}), "-t raw,qcow2"),
            (json!({"environment": {"A": "b"}}), ""),
            (json!({"ramdisk": true}), ""),
            (json!({"debug-trace": 2}), "-x -x"),
            (json!({"debug-trace": 0}), ""),
            (json!({"uncompressed": true}), "-u"),
            (json!({"uncompressed": false}), ""),
            (json!({"clear": true}), "-c"),
            (json!({"logfile": "l"}), "--logfile l"),
            (json!({"checksum": true}), "--checksum"),
            (json!({"image-size": 3}), "--image-size 3"),
            (json!({"image-size": 3.0}), "--image-size 3"),
            (json!({"image-extra-size": 3}), "--image-extra-size 3"),
            (json!({"image-cache": "/c"}), "--image-cache /c"),
            (json!({"max-online-resize": 9}), "--max-online-resize 9"),
            (json!({"min-tmpfs": 1}), "--min-tmpfs 1"),
            (json!({"mkfs-journal-size": 64}), "--mkfs-journal-size 64"),
            (json!({"mkfs-options": "-N 7"}), "--mkfs-options -N 7"),
            (json!({"no-tmpfs": true}), "--no-tmpfs"),
            (json!({"offline": true}), "--offline"),
            (json!({"qemu-img-options": {"compat": "0.10", "size": "3"}}), "--qemu-img-options compat=0.10,size=3"),
            (json!({"root-label": "r"}), "--root-label r"),
            (json!({"ramdisk-element": "d"}), "--ramdisk-element d"),
            (json!({"install-type": "package"}), "--install-type package"),
            (json!({"docker-target": "a:b"}), "--docker-target a:b"),
            (json!({"packages": ["a", "b"]}), "-p a,b"),
            (json!({"packages": []}), ""),
            (json!({"root-label": ""}), ""),
            (json!({"skip-base": true}), "-n"),
            (json!({"elements": ["vm", "d"], "skip-base": true, "imagename": "x"}), "-o x -n vm d"),
        ] {
            assert_eq!(words(entry.clone()), expected, "{entry}");
        }
        assert!(Definition::read(&json!({"ramdisk": true})).unwrap().is_ramdisk());
    }

    #[test]
    fn every_option_of_a_key_is_one_of_the_commands() {
        use super::super::options::SPEC;
        for key in KEYS.iter().filter(|key| !key.option.is_empty()) {
            let known = match key.option.strip_prefix("--") {
                Some(long) => SPEC.long.iter().chain(SPEC.more).any(|(name, _)| *name == long),
                None => SPEC.short.iter().any(|(letter, _)| key.option == format!("-{letter}")),
            };
            assert!(known, "{}", key.option);
        }
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_key() {
        for (entry, expected) in [
            (json!({"environment": {"A": 1}}), "environment.A is 1, a number; write it in quotes"),
            (json!({"arch": "amd46"}), "arch is `amd46`; did you mean `amd64`?"),
            (json!({"elemnts": []}), "`elemnts` is no key; did you mean `elements`?"),
            (json!({"elements": ["a", true]}), "item 2 of elements is true, not a text; write it in quotes"),
            (json!({"image-size": 0}), "image-size is 0, a number; it must be a whole number from 1 on"),
            (json!({"image-size": "3"}), "image-size is `3`; it must be a whole number"),
            (json!({"debug-trace": 3}), "debug-trace is 3, a number; it must be 0, 1 or 2"),
            (json!({"checksum": "maybe"}), "checksum is `maybe`; it must be true or false"),
            (json!({"packages": null}), "packages is empty; it must be a list of texts"),
            (json!({"install-type": "git"}), "it must be one of source, package"),
            (json!(["a"]), "is a list, not a map"),
        ] {
            let said = complaints(entry);
            assert!(said.contains(expected), "{said}");
        }
        assert_eq!(complaints(json!({"a": 1, "b": 2})).lines().count(), 2);
    }

    #[test]
    fn entries_of_one_image_are_joined() {
        let read = |entry: Value| Definition::read(&entry).unwrap();
        let mut first = read(json!({"elements": ["a"], "environment": {"A": "1", "B": "2"}, "root-label": "x"}));
        first.merge(read(json!({"elements": ["b"], "environment": {"A": "3"}, "root-label": "y", "packages": ["p"]})));
        assert_eq!(first.words().join(" "), "--root-label y -p p a b");
        assert_eq!(first.environment()["A"], "3");
        assert_eq!(first.environment()["B"], "2");
    }
}
