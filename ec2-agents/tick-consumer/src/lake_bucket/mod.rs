//! The bucket of the lake.

mod bucket;
mod connect;
mod error;
mod listing;
mod terms;

pub(crate) use bucket::{Head, LakeBucket, Put, Stored};
pub(crate) use error::LakeError;
pub(crate) use listing::Listed;
pub(crate) use terms::now;
