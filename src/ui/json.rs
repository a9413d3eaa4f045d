//! The events themselves, one JSON object a line.

use crate::event::Event;

/// `event` as a line.
pub fn line(event: &Event) -> String {
    // Events hold only strings and numbers, which always serialise.
    serde_json::to_string(event)
        .map_or_else(|error| format!("{{\"event\":\"unprintable\",\"error\":\"{error}\"}}\n"), |text| text + "\n")
}
