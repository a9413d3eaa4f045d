//! What `dib-run-parts` prints while it runs a phase: people and programs look for these lines.
//!
//! In: names of hooks and how long they took. Out: lines for the log. Not here: running anything.

use std::time::Duration;

use crate::element::hooks::order;

/// The line before a hook runs; `path` is the hook as it sees itself.
pub fn running(path: &str) -> String {
    format!("dib-run-parts Running {path}")
}

/// The line after a hook ran well.
pub fn completed(name: &str) -> String {
    format!("dib-run-parts {name} completed")
}

/// The profile of a phase whose hooks all ran well.
pub fn profile(target: &str, hooks: &[(String, Duration)]) -> Vec<String> {
    let mut hooks = hooks.to_vec();
    hooks.sort_by(|one, other| order(&one.0, &other.0));
    let dashes = |count: usize| "-".repeat(count);
    let mut lines = vec![
        format!("{} PROFILING {}", dashes(23), dashes(23)),
        String::new(),
        format!("Target: {target}"),
        String::new(),
        format!("{:<40} {:>9}", "Script", "Seconds"),
        format!("{:<40} {:>9}", dashes(39), dashes(10)),
        String::new(),
    ];
    lines.extend(hooks.iter().map(|(name, time)| format!("{name:<40} {:>10.3}", time.as_secs_f64())));
    lines.push(String::new());
    lines.push(format!("{} END PROFILING {}", dashes(21), dashes(21)));
    lines.into_iter().map(|line| format!("dib-run-parts {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_has_the_columns_that_programs_read() {
        let lines =
            profile("pre-install.d", &[("10-b".into(), Duration::from_millis(1250)), ("9-a".into(), Duration::ZERO)]);
        assert_eq!(
            lines,
            [
                "dib-run-parts ----------------------- PROFILING -----------------------",
                "dib-run-parts ",
                "dib-run-parts Target: pre-install.d",
                "dib-run-parts ",
                "dib-run-parts Script                                     Seconds",
                "dib-run-parts ---------------------------------------  ----------",
                "dib-run-parts ",
                "dib-run-parts 9-a                                           0.000",
                "dib-run-parts 10-b                                          1.250",
                "dib-run-parts ",
                "dib-run-parts --------------------- END PROFILING ---------------------",
            ]
        );
    }
}
