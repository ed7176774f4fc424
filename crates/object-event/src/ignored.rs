use std::collections::BTreeMap;
use std::fmt;

/// Longest name of an event that is quoted, in characters.
const MAX_QUOTED_CHARS: usize = 60;
/// Most reasons that a summary names.
const MAX_NAMED_REASONS: usize = 10;

/// Why something that an event says is passed over.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ignored {
    /// `s3:TestEvent`, which S3 sends once when notifications are set up.
    TestEvent,
    /// Something else than a creation happened to an object: its name,
    /// `ObjectRemoved:Delete` or `Object Deleted`.
    OtherEvent(String),
    /// The object lies below no prefix that the lake keeps its objects below.
    OutsideLake,
    /// The object stands for a folder: its key ends in a slash.
    FolderMarker,
    /// A part of the key begins with `_` or `.`: neither crawler nor Athena sees the
    /// object.
    Hidden,
    /// The object has no bytes.
    Empty,
}

impl Ignored {
    pub(crate) fn other(name: &str) -> Self {
        Self::OtherEvent(name.chars().take(MAX_QUOTED_CHARS).collect())
    }

    /// Returns how often each reason is there, for a log line: `2 × folder marker, 1 ×
    /// empty object`.
    pub fn summary<'a>(all: impl IntoIterator<Item = &'a Self>) -> String {
        let mut counts: BTreeMap<&Self, u64> = BTreeMap::new();
        for ignored in all {
            *counts.entry(ignored).or_default() += 1;
        }
        let mut said: Vec<String> = counts
            .iter()
            .take(MAX_NAMED_REASONS)
            .map(|(ignored, count)| format!("{count} × {ignored}"))
            .collect();
        said.extend(
            counts
                .len()
                .checked_sub(MAX_NAMED_REASONS)
                .filter(|more| *more > 0)
                .map(|more| format!("{more} more reasons")),
        );
        said.join(", ")
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
