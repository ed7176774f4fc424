use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, bail};
use lake::{Answer, Manifest, ManifestKey, Object, Request};

use crate::lake_bucket::{Head, LakeBucket, Put};
use crate::retry::{retried, wait};
use crate::topic::Topic;

/// Carries out single requests of the protocol against S3 and Kafka, each for as long as
/// either is away.
pub(super) struct Errands {
    pub(super) bucket: LakeBucket,
    pub(super) topic: Arc<Topic>,
    pub(super) partition: i32,
    /// PUTs in a row whose outcome nobody knows. A look at the key follows each of them,
    /// so that its success says nothing of the next PUT.
    unheard: AtomicU32,
}

impl Errands {
    pub(super) fn new(bucket: LakeBucket, topic: Arc<Topic>, partition: i32) -> Self {
        Self {
            bucket,
            topic,
            partition,
            unheard: AtomicU32::new(0),
        }
    }

    /// Carries out a request; `objects` are those that can be created, by their place in
    /// their manifest.
    ///
    /// # Errors
    /// Another attempt would not succeed either.
    pub(super) async fn carry_out(
        &self,
        request: &Request,
        objects: &BTreeMap<usize, Object>,
    ) -> Result<Answer> {
        let (bucket, topic, partition) = (&self.bucket, &self.topic, self.partition);
        Ok(match request {
            Request::FindTail => {
                let find = || bucket.newest_manifest(topic.name(), partition);
                Answer::Manifest(retried("find the newest manifest", find).await?)
            }
            Request::LookAtLog => {
                Answer::Log(retried("look at the log", || topic.log(partition)).await?)
            }
            Request::CheckTopic => {
                Answer::TopicId(retried("look at the topic", || topic.id()).await?)
            }
            Request::ReadManifest(first) => {
                let key = ManifestKey {
                    topic: topic.name().to_owned(),
                    partition,
                    first: *first,
                };
                Answer::Manifest(retried("read a manifest", || bucket.manifest(&key)).await?)
            }
            Request::InspectObject(manifest, index) => {
                Answer::Object(self.inspect(manifest, *index).await?)
            }
            Request::CreateManifest(manifest) => {
                let key = manifest.key().to_string();
                let body = manifest.to_json().context("a manifest has no JSON")?;
                self.answered(bucket.create_json(&key, body).await).await
            }
            Request::CreateObject(manifest, index) => {
                let object = objects
                    .get(index)
                    .filter(|object| object.key == manifest.objects[*index].key)
                    .context("an object is not the manifest's; this is a fault in tick-consumer")?;
                self.answered(bucket.create_object(object).await).await
            }
            Request::ReadBack(..) => {
                bail!("reading back is done alone; this is a fault in tick-consumer")
            }
        })
    }

    /// Returns the attempt that made an object of a manifest: `None` if there is no
    /// object, empty if another program wrote it.
    async fn inspect(&self, manifest: &Manifest, index: usize) -> Result<Option<String>> {
        let key = manifest.objects[index].key.to_string();
        let head = retried("look at an object", || self.bucket.head(&key)).await?;
        Ok(match head {
            Head::Ours(metadata) => Some(metadata.attempt.unwrap_or_default()),
            Head::Foreign => Some(String::new()),
            Head::Absent => {
                let place = manifest.key();
                let look = || self.bucket.may_have_expired(&place);
                let has_expired = retried("look at the lake's retention", look).await?;
                // It has landed, and its time is over: it is not made again.
                has_expired.then(|| manifest.attempt.clone())
            }
        })
    }

    /// Returns the answer for a PUT. After any outcome except success the protocol looks
    /// at the key, after a while.
    async fn answered(&self, put: Put) -> Answer {
        match put {
            Put::Created => {
                self.unheard.store(0, Ordering::Relaxed);
                Answer::Created
            }
            Put::Refused => {
                self.unheard.store(0, Ordering::Relaxed);
                Answer::Refused
            }
            Put::Unknown(error) => {
                let attempts = self.unheard.fetch_add(1, Ordering::Relaxed);
                wait("put an object", attempts, &error).await;
                Answer::Refused
            }
        }
    }
}
