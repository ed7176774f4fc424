mod parking;
mod reader;

pub(crate) use reader::{PartitionReader, Queue, Stop};
