use std::collections::BTreeMap;
use std::fmt;

/// Maximum length of a quoted event name, in characters.
const MAX_QUOTED_CHARS: usize = 60;
/// Maximum number of reasons in a summary.
const MAX_REASONS: usize = 10;

/// The reason why a part of an event is ignored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ignored {
    /// `s3:TestEvent`, which S3 sends once when notifications are set up.
    TestEvent,
    /// An event other than a creation, with its name: `ObjectRemoved:Delete` or `Object
    /// Deleted`.
    OtherEvent(String),
    /// The object is below none of the lake's prefixes.
    OutsideLake,
    /// The object is the marker of a folder: its key ends in a slash.
    FolderMarker,
    /// A part of the key begins with `_` or `.`, so neither crawler nor Athena sees the
    /// object.
    Hidden,
    /// The object has no bytes.
    Empty,
}

impl Ignored {
    pub(crate) fn other(name: &str) -> Self {
        Self::OtherEvent(name.chars().take(MAX_QUOTED_CHARS).collect())
    }

    /// Returns the count of each reason, for a log line: `2 × folder marker, 1 × empty
    /// object`.
    pub fn summary<'a>(all: impl IntoIterator<Item = &'a Self>) -> String {
        let mut counts: BTreeMap<&Self, u64> = BTreeMap::new();
        for ignored in all {
            *counts.entry(ignored).or_default() += 1;
        }
        let mut parts: Vec<String> = counts
            .iter()
            .take(MAX_REASONS)
            .map(|(ignored, count)| format!("{count} × {ignored}"))
            .collect();
        parts.extend(
            counts
                .len()
                .checked_sub(MAX_REASONS)
                .filter(|more| *more > 0)
                .map(|more| format!("{more} more reasons")),
        );
        parts.join(", ")
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TestEvent => f.write_str("s3:TestEvent"),
            Self::OtherEvent(name) => write!(f, "event {name:?}"),
            Self::OutsideLake => f.write_str("object outside the lake"),
            Self::FolderMarker => f.write_str("folder marker"),
            Self::Hidden => f.write_str("hidden object"),
            Self::Empty => f.write_str("empty object"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_names_the_first_reasons_and_counts_the_others() {
        let all: Vec<Ignored> = (0..13)
            .map(|n| Ignored::other(&format!("Event{n:02}")))
            .chain([Ignored::Empty])
            .collect();
        let summary = Ignored::summary(&all);
        assert!(
            summary.starts_with("1 × event \"Event00\", ") && summary.ends_with(", 4 more reasons"),
            "{summary}"
        );
        assert_eq!(
            Ignored::summary(&[Ignored::Empty, Ignored::Empty]),
            "2 × empty object"
        );
    }
}
