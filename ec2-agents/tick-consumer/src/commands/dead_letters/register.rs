use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::lake_bucket::{LakeBucket, Put};

/// Registered before a dead letter is produced again.
#[derive(Serialize, Deserialize)]
pub(super) struct Intent {
    pub(super) attempt: String,
    /// The ends of the topic's partitions at that time: the produced record comes after
    /// them.
    pub(super) ends: BTreeMap<i32, i64>,
}

/// Registered once a dead letter was produced again: its new place.
#[derive(Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) partition: i32,
    pub(super) offset: i64,
}

/// Registers something once; returns false if there is one already that is not ours.
pub(super) async fn create<T: Serialize>(
    bucket: &LakeBucket,
    key: &str,
    register: &T,
) -> Result<bool> {
    let body = serde_json::to_vec(register)?;
    let unknown = match bucket.create_json(key, body.clone()).await {
        Put::Created => return Ok(true),
        Put::Refused => None,
        Put::Unknown(error) => Some(error),
    };
    match (bucket.get(key).await?, unknown) {
        (None, Some(error)) => Err(error.into()),
        (stored, _) => Ok(stored.is_some_and(|stored| stored.body == body)),
    }
}

/// Returns the record that is registered at a key.
pub(super) async fn read<T: DeserializeOwned>(bucket: &LakeBucket, key: &str) -> Result<Option<T>> {
    let Some(stored) = bucket.get(key).await? else {
        return Ok(None);
    };
    let register = serde_json::from_slice(&stored.body);
    register.with_context(|| bucket.place(key))
}
