use std::time::SystemTime;

use crate::Ignored;

/// An object that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectCreated {
    /// The object's version.
    pub object: ObjectVersion,
    /// Its size in bytes, if the event has it.
    pub size: Option<u64>,
    /// The order of the events of its key, if the event has it.
    pub sequencer: Option<Sequencer>,
    /// Its creation time; EventBridge cuts this to the second.
    pub time: Option<SystemTime>,
}

/// One version of an object. Two events of the same version are repeats of each other, in
/// any envelope.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectVersion {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key, decoded.
    pub key: String,
    /// The version's id in a bucket with versions.
    pub version_id: Option<String>,
    /// The ETag in a bucket without versions. It distinguishes an overwritten object from
    /// the one before.
    pub etag: Option<String>,
}

impl ObjectVersion {
    pub(crate) fn new(
        bucket: String,
        key: String,
        version_id: Option<String>,
        etag: Option<String>,
    ) -> Self {
        let version_id = version_id.filter(|id| !id.is_empty());
        // S3 notifications carry the bare ETag; EventBridge's may be in quotes.
        let etag = etag
            .map(|etag| etag.trim_matches('"').to_owned())
            .filter(|etag| !etag.is_empty() && version_id.is_none());
        Self {
            bucket,
            key,
            version_id,
            etag,
        }
    }
}

impl ObjectCreated {
    /// Returns the reason why readers of the lake do not see the object, if there is one.
    /// The lake's objects are below `prefixes`.
    pub(crate) fn passed_over(&self, prefixes: &[&str]) -> Option<Ignored> {
        let key = self.object.key.as_str();
        let Some(rest) = prefixes.iter().find_map(|prefix| key.strip_prefix(prefix)) else {
            return Some(Ignored::OutsideLake);
        };
        if rest.is_empty() || rest.ends_with('/') {
            return Some(Ignored::FolderMarker);
        }
        if rest.split('/').any(|part| part.starts_with(['_', '.'])) {
            return Some(Ignored::Hidden);
        }
        (self.size == Some(0)).then_some(Ignored::Empty)
    }
}

/// S3's order of the events of one key: hexadecimal digits, the shorter of two padded
/// with zeros on the right, compared as text. Events of different keys have no order.
/// Source:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>.
// Cutting trailing zeros off gives the same order as padding: a proper prefix comes
// first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sequencer(String);

impl Sequencer {
    /// Returns the sequencer with these digits.
    pub fn new(digits: &str) -> Self {
        Self(digits.trim_end_matches('0').to_ascii_uppercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequencers_are_padded_on_the_right() {
        let sorted = [
            "0055AED6DCD90281",
            "0055AED6DCD90281E5",
            "0055aed6dcd90281e6",
            "01",
        ];
        let mut shuffled: Vec<Sequencer> = sorted
            .iter()
            .rev()
            .map(|digits| Sequencer::new(digits))
            .collect();
        shuffled.sort();
        assert_eq!(shuffled, sorted.map(Sequencer::new));
        assert_eq!(Sequencer::new("0055"), Sequencer::new("005500"));
    }

    #[test]
    fn only_visible_objects_with_content_below_the_prefixes_count() {
        let created = |key: &str, size| ObjectCreated {
            object: ObjectVersion::new("b".into(), key.into(), None, None),
            size,
            sequencer: None,
            time: None,
        };
        let prefixes = ["ticks/", "dead-letter/"];
        for (key, size, wanted) in [
            ("ticks/dt=1/hr=2/a.parquet", Some(9), None),
            ("ticks/a", None, None),
            ("dead-letter/dt=1/hr=2/a.json.gz", Some(1), None),
            ("ticks/dt=1/hr=2/a.parquet", Some(0), Some(Ignored::Empty)),
            ("ticks/dt=1/", Some(0), Some(Ignored::FolderMarker)),
            ("ticks/", None, Some(Ignored::FolderMarker)),
            ("ticks/dt=1/hr=2/_SUCCESS", Some(4), Some(Ignored::Hidden)),
            ("ticks/.staging/a", Some(4), Some(Ignored::Hidden)),
            (
                "_manifests/ticks/0/1-2.json",
                Some(9),
                Some(Ignored::OutsideLake),
            ),
            ("athena-results/1.csv", Some(9), Some(Ignored::OutsideLake)),
            ("ticks", Some(9), Some(Ignored::OutsideLake)),
        ] {
            assert_eq!(created(key, size).passed_over(&prefixes), wanted, "{key}");
        }
    }
}
