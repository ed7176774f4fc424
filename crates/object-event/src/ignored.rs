use std::collections::BTreeMap;
use std::fmt;

/// Longest name of an event that is quoted, in characters.
const QUOTED: usize = 60;

/// Why something that an event says is passed over.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ignored {
    /// `s3:TestEvent`, which S3 sends once when notifications are set up.
    TestEvent,
    /// Something else than a creation happened to an object: its name, `ObjectRemoved:Delete` or `Object Deleted`.
    OtherEvent(String),
    /// The object lies below no prefix that the lake keeps its objects below.
    OutsideLake,
    /// The object stands for a folder: its key ends in a slash.
    FolderMarker,
    /// A part of the key begins with `_` or `.`: neither crawler nor Athena sees the object.
    Hidden,
    /// The object has no bytes.
    Empty,
}

impl Ignored {
    pub(crate) fn other(name: &str) -> Self {
        Self::OtherEvent(name.chars().take(QUOTED).collect())
    }

    /// Returns how often each reason is there, for a log line: `2 × folder marker, 1 × empty object`.
    pub fn summary<'a>(all: impl IntoIterator<Item = &'a Self>) -> String {
        let mut counts: BTreeMap<&Self, u64> = BTreeMap::new();
        for ignored in all {
            *counts.entry(ignored).or_default() += 1;
        }
        counts.iter().map(|(ignored, count)| format!("{count} × {ignored}")).collect::<Vec<_>>().join(", ")
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
