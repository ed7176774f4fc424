//! An hour, as S3 and Glue show it. The order of the questions is the one that
//! [`curation`] asks for: pointers, raw objects, registers, outputs.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use curation::{
    FoundRegister, HourView, OutputKey, Period, Pointers, RawObject, RegisterError, RegisterKey,
    Registers, Table, Task,
};
use futures::{StreamExt as _, TryStreamExt as _};
use lake_layout::{Kind, LakePartition, ObjectKey};

use crate::lake_bucket::{LakeBucket, Listed};

/// Registers that are read at a time.
const MAX_READS: usize = 8;
/// Looks at registers that change meanwhile.
const MAX_LOOKS: u32 = 3;

/// Looks at an hour for the planner, with pointers that were asked for before.
pub(crate) async fn for_planner(
    bucket: &LakeBucket,
    hour: LakePartition,
    pointers: Option<Pointers>,
) -> Result<HourView> {
    let raw = raw_objects(bucket, hour).await?;
    let registers = registers(bucket, hour).await?;
    let open = registers.newest().filter(|newest| newest.outcome.is_none());
    let outputs = match open.map(|newest| newest.plan.version()) {
        Some(version) => outputs(bucket, hour, version).await?,
        None => BTreeSet::new(),
    };
    Ok(HourView {
        hour,
        pointers,
        raw,
        registers,
        outputs,
    })
}

/// Looks at an hour for a task, with pointers if they were asked for.
pub(crate) async fn for_worker(
    bucket: &LakeBucket,
    task: &Task,
    pointers: Option<Pointers>,
) -> Result<HourView> {
    Ok(HourView {
        hour: task.hour,
        pointers,
        raw: Vec::new(),
        registers: registers(bucket, task.hour).await?,
        outputs: outputs(bucket, task.hour, task.version).await?,
    })
}

/// Returns the outputs of a version that exist.
///
/// # Errors
/// S3 does not answer.
pub async fn outputs(
    bucket: &LakeBucket,
    hour: LakePartition,
    version: u32,
) -> Result<BTreeSet<OutputKey>> {
    let mut outputs = BTreeSet::new();
    for table in Table::ALL {
        let listed = bucket.list(&table.version_prefix(hour, version)).await?;
        outputs.extend(
            listed
                .iter()
                .filter_map(|found| OutputKey::parse(&found.key)),
        );
    }
    Ok(outputs)
}

/// Returns the lake partitions of a period that have raw objects or registers, newest
/// first, so that a look that runs out of time has done the most important ones.
///
/// # Errors
/// S3 does not answer.
pub async fn hours(bucket: &LakeBucket, period: Period) -> Result<Vec<LakePartition>> {
    let mut hours = BTreeSet::new();
    for root in [ObjectKey::DATA, RegisterKey::ROOT] {
        for day in bucket.folders(root).await? {
            let date = day.strip_prefix(root).and_then(|day| {
                let day = day.strip_prefix("dt=")?.strip_suffix('/')?;
                day.parse().ok()
            });
            if date.is_some_and(|date| period.has_day(date)) {
                let folders = bucket.folders(&day).await?;
                hours.extend(
                    folders
                        .iter()
                        .filter_map(|hour| LakePartition::of_key(hour))
                        .filter(|hour| period.has(*hour)),
                );
            }
        }
    }
    let mut hours: Vec<_> = hours.into_iter().collect();
    hours.sort_by_key(|hour| std::cmp::Reverse((hour.dt(), hour.hr())));
    Ok(hours)
}

/// Returns the raw data objects of an hour.
///
/// # Errors
/// S3 does not answer.
pub async fn raw_objects(bucket: &LakeBucket, hour: LakePartition) -> Result<Vec<RawObject>> {
    let listed = bucket.list(&format!("{}{hour}/", ObjectKey::DATA)).await?;
    Ok(listed.iter().filter_map(raw_object).collect())
}

fn raw_object(listed: &Listed) -> Option<RawObject> {
    let key = ObjectKey::parse(&listed.key).ok()?;
    matches!(key.kind(), Kind::Data(_)).then_some(RawObject {
        key,
        bytes: listed.bytes,
        created: listed.modified,
    })
}

/// Reads the registers of an hour; again if others were created while they were listed.
///
/// # Errors
/// S3 does not answer, or a register is unreadable, which is a [`RegisterError`].
pub async fn registers(bucket: &LakeBucket, hour: LakePartition) -> Result<Registers> {
    let mut looks = 1;
    loop {
        match Registers::new(hour, found_registers(bucket, hour).await?) {
            Err(RegisterError::Torn { .. }) if looks < MAX_LOOKS => looks += 1,
            registers => return Ok(registers?),
        }
    }
}

async fn found_registers(bucket: &LakeBucket, hour: LakePartition) -> Result<Vec<FoundRegister>> {
    let listed = bucket.list(&RegisterKey::prefix(hour)).await?;
    let keys = listed.iter().filter_map(|found| {
        let key = RegisterKey::parse(&found.key)?;
        Some((key, found))
    });
    let read = async |(key, found): (RegisterKey, &Listed)| {
        let body = match key.register.has_content() {
            true => {
                let body = bucket.get(&found.key).await?;
                body.with_context(|| format!("register {key} is gone; restore it"))?
            }
            false => bytes::Bytes::new(),
        };
        anyhow::Ok(FoundRegister {
            key,
            created: found.modified,
            body: body.to_vec(),
        })
    };
    let found = futures::stream::iter(keys).map(read).buffered(MAX_READS);
    found.try_collect().await
}
