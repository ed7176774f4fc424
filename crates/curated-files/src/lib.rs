//! The two files of a unit of a curated lake partition: its ticks, sorted, and their bars
//! of a minute.
//!
//! Everything here is pure. A [`Collector`] takes the raw objects of a lake partition, or
//! the sorted files of an earlier version, in any order, and keeps the ticks of its
//! [`Unit`]'s symbols. [`Collector::finish`] gives the same bytes for the same objects in
//! the same order. A tick that is read and written again is the same to the bit.

mod collector;
mod column;
mod input;
mod input_error;
mod moves;
mod order;
mod output;
mod rows;
mod symbols;
mod unit;

pub use collector::{Collector, Files};
pub use input_error::InputError;
pub use output::{BAR_COLUMNS, EncodeError};
pub use unit::Unit;
