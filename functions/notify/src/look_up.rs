use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use aws_sdk_s3::Client;
use futures::{FutureExt as _, StreamExt as _};
use lake_layout::ObjectMetadata;
use metrics::counter;
use object_event::{ObjectCreated, ObjectVersion};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::announced::Announced;

/// The objects that no mail has announced, with the reason.
pub(crate) type Unannounced = BTreeMap<ObjectVersion, String>;

/// Questions to S3 in flight at a time.
const MAX_CONCURRENT_CALLS: usize = 32;

/// Asks S3 for the facts of objects. One that is gone, unreadable, or not looked up in
/// time is still announced. Returns besides those that made the function panic, with the
/// reason.
pub(crate) async fn look_up(
    s3: &Client,
    objects: Vec<ObjectCreated>,
    until: Instant,
) -> (Vec<Announced>, Unannounced) {
    ask(objects, |created| look_up_one(s3, created, until)).await
}

/// Asks a question about each object. Returns the answers in the order of the objects, and
/// those objects that made the function panic, with the reason.
pub(crate) async fn ask<T, F: Future<Output = T>>(
    objects: Vec<ObjectCreated>,
    question: impl Fn(ObjectCreated) -> F,
) -> (Vec<T>, Unannounced) {
    let mut asked = futures::stream::iter(objects)
        .map(|created| {
            let object = created.object.clone();
            let work = AssertUnwindSafe(question(created)).catch_unwind();
            async move { (object, work.await) }
        })
        .buffered(MAX_CONCURRENT_CALLS);
    let mut answers = Vec::new();
    let mut panicked = Unannounced::new();
    while let Some((object, outcome)) = asked.next().await {
        match outcome {
            Ok(answer) => answers.push(answer),
            Err(_) => {
                panicked.insert(object, "the object made the function panic".to_owned());
            }
        }
    }
    (answers, panicked)
}

async fn look_up_one(s3: &Client, created: ObjectCreated, until: Instant) -> Announced {
    let ObjectVersion {
        bucket,
        key,
        version_id,
        ..
    } = created.object.clone();
    let head = s3
        .head_object()
        .bucket(bucket)
        .key(&key)
        .set_version_id(version_id);
    let metadata = match timeout_at(until, head.send()).await {
        Ok(Ok(head)) => head.metadata().and_then(ObjectMetadata::from_map),
        Ok(Err(error)) => {
            counter!("LookUpFailures").increment(1);
            warn!(
                key,
                error = aws_connect::brief(&error),
                "cannot HEAD the object"
            );
            None
        }
        Err(_) => {
            counter!("LookUpFailures").increment(1);
            warn!(key, "the object is not looked up before the deadline");
            None
        }
    };
    Announced::new(created, metadata)
}
