use std::time::Duration;

use anyhow::{Context as _, Result};
use aws_connect::SdkConfig;
use curator::{Catalog, LakeBucket};

use crate::config::LakeSettings;
use crate::lake_bucket;

/// One attempt of a call with a small answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// The lake's bucket, and the curated tables in the catalog.
pub(crate) struct CuratedLake {
    pub(crate) bucket: LakeBucket,
    pub(crate) catalog: Catalog,
}

impl CuratedLake {
    /// Returns them after a look at the bucket.
    ///
    /// # Errors
    /// The setting `lake.database` is missing, or the bucket cannot be reached.
    pub(crate) async fn connect(lake: &LakeSettings) -> Result<Self> {
        let database = lake.database.clone();
        let database = database.context(
            "lake.database: missing, wanted the Glue database of the curated tables; --config \
             ssm:<name> of the stack has it, --database sets it",
        )?;
        let (bucket, aws) = connect(lake).await?;
        let catalog = Catalog::new(&aws, database, lake.bucket.clone());
        Ok(Self { bucket, catalog })
    }
}

/// Returns the lake's bucket after a look at it.
///
/// # Errors
/// It cannot be reached.
pub(crate) async fn connect_bucket(lake: &LakeSettings) -> Result<LakeBucket> {
    Ok(connect(lake).await?.0)
}

async fn connect(lake: &LakeSettings) -> Result<(LakeBucket, SdkConfig)> {
    // It explains why a bucket cannot be reached.
    lake_bucket::LakeBucket::connect(lake).await?;
    let aws = aws_connect::load(CALL_TIMEOUT).await;
    let bucket = LakeBucket::new(&aws, lake.bucket.clone(), lake.path_style);
    Ok((bucket, aws))
}
