//! The curated hours, as S3 and the catalog show them.

mod connect;
mod hour_objects;
mod listing;

pub(crate) use connect::{CuratedLake, connect_bucket};
pub(crate) use hour_objects::HourObjects;
pub(crate) use listing::Listing;
