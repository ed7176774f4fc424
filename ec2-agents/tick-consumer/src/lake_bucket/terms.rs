use std::time::{SystemTime, UNIX_EPOCH};

use futures::TryStreamExt as _;
use lake::{ManifestKey, Retention, Term};

use super::bucket::{LakeBucket, Put};
use super::error::LakeError;

impl LakeBucket {
    /// Records for how long the bucket's lifecycle keeps objects from now on, if that has
    /// changed.
    pub(crate) async fn record_retention(&self, days: Option<u32>) -> Result<(), LakeError> {
        let recorded = self.retention().await?.days();
        if recorded == days {
            return Ok(());
        }
        let (key, body) = Term { since: now(), days }.to_object();
        match self.create_json(&key, body).await {
            Put::Created => tracing::info!(
                days,
                was = recorded,
                "the lake's retention has changed, and is recorded"
            ),
            // Another consumer that starts within the same second records the same.
            Put::Refused => {}
            Put::Unknown(error) => return Err(error),
        }
        Ok(())
    }

    /// Returns the lake's retention as it is recorded.
    pub(crate) async fn retention(&self) -> Result<Retention, LakeError> {
        let mut terms = Vec::new();
        let mut keys = self.keys(Term::PREFIX);
        while let Some(key) = keys.try_next().await? {
            let place = self.place(&key);
            let Some(stored) = self.get(&key).await? else {
                return Err(LakeError::Gone { place });
            };
            let term = Term::parse(&key, &stored.body).ok_or(LakeError::Foreign {
                place,
                wanted: "a record of the lake's retention",
            })?;
            terms.push(term);
        }
        Ok(Retention::new(terms))
    }

    /// Returns true if the bucket's lifecycle may have taken a manifest's objects.
    pub(crate) async fn may_have_expired(&self, manifest: &ManifestKey) -> Result<bool, LakeError> {
        let key = manifest.to_string();
        let head = self
            .s3
            .head_object()
            .bucket(&self.name)
            .key(&key)
            .send()
            .await
            .map_err(|error| self.failed("HEAD", &key, &error))?;
        let created = head.last_modified().ok_or_else(|| LakeError::Call {
            call: "HEAD",
            place: self.place(&key),
            problem: "the answer has no Last-Modified".to_owned(),
        })?;
        let retention = self.retention().await?;
        Ok(retention.may_have_expired(created.secs(), now()))
    }
}

/// Returns the seconds since the epoch.
pub(crate) fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs() as i64)
}
