use std::collections::BTreeSet;

use anyhow::{Context as _, Result, anyhow};
use aws_sdk_s3::Client;
use futures::StreamExt as _;
use object_event::ObjectVersion;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

/// Maximum number of calls in flight.
const MAX_CALLS: usize = 32;

/// Finds out whether objects are still present.
pub(crate) struct Presence {
    s3: Client,
}

impl Presence {
    pub(crate) fn new(s3: Client) -> Self {
        Self { s3 }
    }

    /// Returns the objects that are gone. An object counts as present if S3 refuses or
    /// does not answer in time.
    pub(crate) async fn gone(
        &self,
        objects: &BTreeSet<ObjectVersion>,
        until: Instant,
    ) -> BTreeSet<ObjectVersion> {
        let asked = futures::stream::iter(objects)
            .map(|object| async move { (object, self.is_gone(object, until).await) });
        let answers: Vec<_> = asked.buffer_unordered(MAX_CALLS).collect().await;
        let mut gone = BTreeSet::new();
        let mut unknown = Vec::new();
        for (object, answer) in answers {
            match answer {
                Ok(true) => drop(gone.insert(object.clone())),
                Ok(false) => {}
                Err(error) => unknown.push(error),
            }
        }
        if let Some(error) = unknown.first() {
            warn!(
                objects = unknown.len(),
                error = format!("{error:#}"),
                "cannot look for objects; they count as present"
            );
        }
        gone
    }

    /// Asks for the key, not for the version, as a crawler does not see a version below a
    /// delete marker. Uses a listing instead of a HEAD. Without `s3:ListBucket`, S3
    /// answers a HEAD for a missing key with 403; with that permission a listing is
    /// enough, and the function needs no right to read objects.
    async fn is_gone(&self, object: &ObjectVersion, until: Instant) -> Result<bool> {
        let ObjectVersion { bucket, key, .. } = object;
        let asked = self
            .s3
            .list_objects_v2()
            .bucket(bucket)
            .prefix(key)
            .max_keys(1)
            .send();
        let answer = timeout_at(until, asked)
            .await
            .map_err(|_| anyhow!("no answer in time"));
        let answer =
            answer.and_then(|answer| answer.map_err(|error| anyhow!(aws_connect::brief(&error))));
        let answer = answer.with_context(|| format!("ListObjectsV2 s3://{bucket}/{key}"))?;
        // A key is listed before all keys that it is a prefix of.
        Ok(answer.contents().first().and_then(|found| found.key()) != Some(key))
    }
}
