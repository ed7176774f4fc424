use lake::{Kind, LakePartition, ObjectKey, ObjectMetadata};
use object_event::ObjectCreated;
use tracing::warn;

/// An object and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Announced {
    /// The object, as its event names it.
    pub(crate) object: ObjectCreated,
    /// What its metadata says; `None` where the object is gone, unreadable or not ours.
    pub(crate) metadata: Option<ObjectMetadata>,
}

impl Announced {
    /// Returns true for an object that subscribers are told of: one below `ticks/` or `dead-letter/` that is not a folder marker.
    pub(crate) fn is_due(object: &ObjectCreated) -> bool {
        let ours = object.key.starts_with("ticks/") || object.key.starts_with("dead-letter/");
        ours && !object.key.ends_with('/')
    }

    /// Asks S3 what the object holds. An object that is gone or unreadable is still announced.
    pub(crate) async fn look_up(s3: &aws_sdk_s3::Client, object: ObjectCreated) -> Self {
        let head = s3.head_object().bucket(&object.bucket).key(&object.key).set_version_id(object.version_id.clone()).send().await;
        let metadata = match head {
            Ok(head) => head.metadata().and_then(ObjectMetadata::from_map),
            Err(error) => {
                warn!(key = object.key, error = aws_connect::brief(&error), "cannot HEAD the object");
                None
            }
        };
        Self { object, metadata }
    }

    /// Returns true for an object with records that are no ticks.
    pub(crate) fn is_dead_letter(&self) -> bool {
        ObjectKey::parse(&self.object.key)
            .map_or_else(|_| self.object.key.starts_with("dead-letter/"), |key| key.kind() == Kind::DeadLetter)
    }

    /// Returns the lake partition in the object's key.
    pub(crate) fn lake_partition(&self) -> Option<LakePartition> {
        LakePartition::of_key(&self.object.key)
    }

    /// Returns the object's key up to its name.
    pub(crate) fn folder(&self) -> &str {
        self.object.key.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// Returns the object's name without its folders.
    pub(crate) fn name(&self) -> &str {
        self.object.key.rsplit_once('/').map_or(self.object.key.as_str(), |(_, name)| name)
    }
}
