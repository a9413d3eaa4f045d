//! Users and groups, as lines of the image's own files.
//!
//! In: the texts of `/etc/passwd`, `/etc/group`, `/etc/shadow` and `/etc/gshadow`, and what is wanted. Out: the new texts. Pure.
//! Formats: passwd(5), group(5), shadow(5), gshadow(5). The files are the truth and the image's own tools differ between
//! distributions; equal calls make equal bytes, so no line holds the day of the build. Not here: reading and writing.

/// Lowest number of a person's account, on every distribution in use.
const PERSONS: u32 = 1000;
/// Highest number of a system account; they are taken downwards, as useradd does.
const SYSTEM: u32 = 999;
/// Lowest number of a system account that is chosen here; below, distributions number by hand.
const RESERVED: u32 = 100;

/// A line of a file with fields between colons.
fn fields(line: &str) -> Vec<&str> {
    line.split(':').collect()
}

/// The number of `name` in a file in the manner of `/etc/passwd` or `/etc/group`.
pub fn number(text: &str, name: &str) -> Option<u32> {
    entry(text, name).and_then(|line| fields(line).get(2)?.parse().ok())
}

/// The line of `name`.
pub fn entry<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find(|line| line.split(':').next() == Some(name))
}

/// The home folder of the user called `name`.
pub fn home(passwd: &str, name: &str) -> Option<String> {
    entry(passwd, name).and_then(|line| fields(line).get(5).map(|home| (*home).to_owned()))
}

/// A number that neither file has.
pub fn free_number(passwd: &str, group: &str, system: bool) -> Option<u32> {
    let taken = |number: u32| {
        let number = number.to_string();
        passwd.lines().chain(group.lines()).any(|line| line.split(':').nth(2) == Some(number.as_str()))
    };
    // 65534 is nobody.
    if system {
        (RESERVED..=SYSTEM).rev().find(|number| !taken(*number))
    } else {
        (PERSONS..65_534).find(|n| !taken(*n))
    }
}

/// The text with `line` at its end.
pub fn with_line(text: &str, line: &str) -> String {
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{text}{end}{line}\n")
}

/// The text with field `field` of `name`'s line replaced; `None` without such a line. Missing fields are filled up.
pub fn with_field(text: &str, name: &str, field: usize, value: &str) -> Option<String> {
    entry(text, name)?;
    let lines = text.lines().map(|line| {
        if line.split(':').next() != Some(name) {
            return line.to_owned();
        }
        let mut fields = fields(line);
        fields.resize(fields.len().max(field + 1), "");
        fields[field] = value;
        fields.join(":")
    });
    Some(lines.map(|line| line + "\n").collect())
}

/// The text of `/etc/group` or `/etc/gshadow` with `user` among the members of `group`; `None` without such a group.
pub fn with_member(text: &str, group: &str, user: &str) -> Option<String> {
    let members = fields(entry(text, group)?).get(3).map(|members| (*members).to_owned()).unwrap_or_default();
    if members.split(',').any(|member| member == user) {
        return Some(text.to_owned());
    }
    let members = if members.is_empty() { user.to_owned() } else { format!("{members},{user}") };
    with_field(text, group, 3, &members)
}

/// It is a hash as crypt(5) has them, or a mark that no password fits (`!`, `*`, or either before a hash).
pub fn is_hash(text: &str) -> bool {
    let text = text.trim_start_matches('!');
    if text.is_empty() || text == "*" {
        return true;
    }
    let good = |c: char| c.is_ascii_alphanumeric() || "./$=,_-".contains(c);
    text.starts_with('$') && text.matches('$').count() >= 3 && text.len() >= 20 && text.chars().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/bin/false\nann:x:1000:1000::/home/ann:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nann:x:1000:\nwheel:x:10:ann\nempty:x:11";

    #[test]
    fn numbers_are_found_and_free_ones_do_not_collide() {
        assert_eq!(number(PASSWD, "ann"), Some(1000));
        assert_eq!(number(PASSWD, "an"), None);
        assert_eq!(home(PASSWD, "ann").as_deref(), Some("/home/ann"));
        assert_eq!(free_number(PASSWD, GROUP, false), Some(1001));
        assert_eq!(free_number(PASSWD, GROUP, true), Some(999));
        assert_eq!(free_number("a:x:999:999::/:\n", "b:x:998:\n", true), Some(997));
    }

    #[test]
    fn members_are_added_once() {
        let once = with_member(GROUP, "wheel", "bob").unwrap();
        assert!(once.contains("wheel:x:10:ann,bob\n"), "{once}");
        assert_eq!(with_member(&once, "wheel", "bob").unwrap(), once);
        assert!(with_member(GROUP, "empty", "bob").unwrap().ends_with("empty:x:11:bob\n"));
        assert_eq!(with_member(GROUP, "none", "bob"), None);
    }

    #[test]
    fn a_field_is_replaced_in_its_own_line_only() {
        let text = with_field("root:*:1:\nann:!:2:\n", "ann", 1, "$6$x$y").unwrap();
        assert_eq!(text, "root:*:1:\nann:$6$x$y:2:\n");
    }

    #[test]
    fn clear_text_is_no_hash() {
        assert!(is_hash("$6$rounds=5000$salt$abcdefghijklmnop/.") && is_hash("$y$j9T$aaaaaaaaaa$bbbbbbbbbbbbbb"));
        assert!(is_hash("!") && is_hash("*") && is_hash("!$6$salt$abcdefghijklmnopqrst"));
        for bad in
            ["secret", "$6$x", "$6$salt$abc:def0123456789:", "$6$salt$ab\ncdefghijklmnopqrst", "pa$$word$with$dollars"]
        {
            assert!(!is_hash(bad), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn lines_of_others_never_change(text in "([a-c]:x:[0-9]{1,4}:[a-c,]{0,5}\n){0,6}", user in "[d-f]{1,3}") {
            if let Some(changed) = with_member(&text, "a", &user) {
                let others = |text: &str| text.lines().filter(|line| !line.starts_with("a:")).map(str::to_owned).collect::<Vec<_>>();
                proptest::prop_assert_eq!(others(&changed), others(&text));
            }
        }
    }
}
