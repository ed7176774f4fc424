//! One partition: a task that finds the end of the lake, reads on from there into
//! batches, and hands them to the sealer.

mod moved;
mod open;
mod parking;
mod progress;
mod reader;
mod reading;
mod records;
mod start;

pub(crate) use moved::Moved;
pub(crate) use reader::{PartitionReader, Stop};
