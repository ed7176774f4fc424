//! Proves the files of a curated version: they have each row of the raw objects once,
//! with the same values, in the promised order, and their bars equal a recount.
//!
//! Everything here is pure, and nothing is shared with `curated-files`, which writes
//! those files: a fault there would be in the proof, too.
//!
//! A [`Comparison`] takes the raw objects and the parts of a version once, one after the
//! other. It keeps a count and a sum of digests for each offset range, so its memory
//! grows with the number of objects, not with the rows. Only if a range differs are its
//! objects read again: [`Search`] finds the rows.

mod comparison;
mod digest;
mod fault;
mod ranges;
mod read;
mod recount;
mod search;
mod sum;

pub use comparison::Comparison;
pub use fault::{Fault, Faults};
pub use ranges::OffsetRange;
pub use read::{BAR_COLUMNS, ReadError, Row};
pub use recount::Recount;
pub use search::Search;
