use bytesize::ByteSize;
use lake_layout::{LakePartition, ObjectKey, ObjectMetadata};
use object_event::ObjectCreated;
use wording::count;

/// An object as a mail tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Announced {
    /// The object, as its event names it.
    pub(crate) created: ObjectCreated,
    /// Its metadata; `None` if the object is gone, unreadable or not ours.
    pub(crate) metadata: Option<ObjectMetadata>,
    /// Whether its records are dead letters.
    pub(crate) is_dead_letter: bool,
    /// The lake partition in its key.
    pub(crate) lake_partition: Option<LakePartition>,
    /// Its line in a mail.
    pub(crate) line: String,
}

impl Announced {
    /// Returns the object with the facts that its mail needs.
    pub(crate) fn new(created: ObjectCreated, metadata: Option<ObjectMetadata>) -> Self {
        let key = created.object.key.as_str();
        let is_dead_letter = key.starts_with(ObjectKey::DEAD_LETTERS);
        let rows = match &metadata {
            Some(metadata) => count(
                metadata.rows,
                if is_dead_letter { "record" } else { "tick" },
            ),
            None => "rows unknown".to_owned(),
        };
        let size = created.size.map_or("size unknown".to_owned(), |bytes| {
            ByteSize::b(bytes).to_string()
        });
        let name = printable(key.rsplit('/').next().unwrap_or(key));
        Self {
            line: format!("{name}    {rows}    {size}"),
            lake_partition: LakePartition::of_key(key),
            is_dead_letter,
            metadata,
            created,
        }
    }

    /// Returns the object's key up to its name, slash included.
    pub(crate) fn folder(&self) -> &str {
        let key = self.created.object.key.as_str();
        &key[..key.rfind('/').map_or(0, |slash| slash + 1)]
    }

    /// Returns the format that the object's name ends in: `parquet`, `json`, `csv`, or
    /// `other`.
    pub(crate) fn format(&self) -> &'static str {
        let name = self.created.object.key.as_str();
        let format = lake_layout::Format::ALL
            .into_iter()
            .find(|format| name.ends_with(format.extension()));
        format.map_or(
            if self.is_dead_letter { "json" } else { "other" },
            lake_layout::Format::name,
        )
    }
}

/// Longest part of a key that a mail shows, in bytes; S3 ends keys at 1,024, but control
/// characters grow when they are made visible.
const MAX_SHOWN_BYTES: usize = 1100;

/// Returns a part of a key as a mail shows it on one line: S3 allows line breaks and
/// other control characters in keys.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
        if shown.len() > MAX_SHOWN_BYTES {
            shown.push('…');
            break;
        }
    }
    shown
}
