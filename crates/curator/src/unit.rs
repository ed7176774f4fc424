//! The files of one unit of work, and their summary.

use std::fmt;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use curated_files::{Collector, Files, InputError, Unit};
use curation::{OutputKey, Plan, Reason, Register, Summary};
use futures::StreamExt as _;
use lake_layout::{Format, ObjectKey};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::lake_bucket::LakeBucket;

/// Objects that are read at a time. With those that wait to be decoded they are in memory
/// beside the rows, some tens of megabytes each.
const MAX_READS: usize = 4;

/// Why a unit was not made.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It cannot be made, however often somebody tries.
    Hopeless(Reason),
    /// Another attempt may succeed.
    Transient(anyhow::Error),
}

/// An object to read.
enum Input {
    /// A part of the base.
    Part(OutputKey),
    Raw(ObjectKey),
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part(key) => key.fmt(f),
            Self::Raw(key) => key.fmt(f),
        }
    }
}

/// Reads the inputs of a plan's unit, and creates the register of its summary and both its
/// outputs. The register is first, so that it exists if the outputs do.
pub(crate) async fn make(bucket: &LakeBucket, plan: &Plan, unit: Unit) -> Result<Summary, Fault> {
    let inputs = inputs(plan.inputs(), plan.base_part(unit.unit));
    let files = files(bucket, unit, inputs).await?;
    let register = plan.register(Register::Unit(unit.unit));
    let body = files
        .summary
        .to_json(&register)
        .map_err(anyhow::Error::from);
    let body = body.map_err(Fault::Transient)?.into();
    let create = bucket.create(&register, body);
    create.await.map_err(Fault::Transient)?;
    let digest = plan.digest();
    let outputs = plan.outputs_of(unit.unit);
    for (output, body) in outputs.iter().zip([files.ticks, files.bars]) {
        let create = bucket.create_output(output, body, &digest);
        create.await.map_err(Fault::Transient)?;
    }
    Ok(files.summary)
}

fn inputs(raw: &[ObjectKey], base: Option<OutputKey>) -> Vec<Input> {
    let raw = raw.iter().cloned().map(Input::Raw);
    base.map(Input::Part).into_iter().chain(raw).collect()
}

/// Reads objects, always in the same order, while a thread decodes, sorts and encodes.
async fn files(bucket: &LakeBucket, unit: Unit, inputs: Vec<Input>) -> Result<Files, Fault> {
    let (send, mut bodies) = mpsc::channel::<(Input, Bytes)>(1);
    let count = inputs.len();
    let collecting = spawn_blocking(move || {
        let mut collector = Collector::new(unit);
        for _ in 0..count {
            let Some((input, body)) = bodies.blocking_recv() else {
                return Err(Fault::Transient(anyhow!("not every object was read")));
            };
            let added = match &input {
                Input::Part(_) => collector.add(Format::Parquet, body),
                Input::Raw(key) => collector.add_object(key, body),
            };
            added.map_err(|error| Fault::Hopeless(reason(&input, &error)))?;
        }
        let files = collector.finish().context("cannot encode the unit");
        files.map_err(Fault::Transient)
    });
    let reads = inputs.into_iter().map(|input| async move {
        let key = input.to_string();
        match bucket.get(&key).await.map_err(Fault::Transient)? {
            Some(body) => Ok((input, body)),
            None => Err(Fault::Hopeless(Reason::Missing { key })),
        }
    });
    let mut reads = futures::stream::iter(reads).buffered(MAX_READS);
    while let Some(read) = reads.next().await {
        // The thread has ended early, with the reason.
        if send.send(read?).await.is_err() {
            break;
        }
    }
    drop(send);
    let collected = collecting.await.context("the unit made the function panic");
    collected.map_err(Fault::Transient)?
}

fn reason(input: &Input, error: &InputError) -> Reason {
    match error {
        InputError::TooLarge { rows } => Reason::TooLarge { rows: *rows },
        unreadable => Reason::Unreadable {
            key: input.to_string(),
            problem: unreadable.to_string(),
        },
    }
}
