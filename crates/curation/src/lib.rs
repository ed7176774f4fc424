//! How the raw objects of an hour become curated ticks and bars, once and whole.
//!
//! Everything here is pure: a view of S3 and Glue and `now` go in, a step comes out. The
//! caller carries the step out, looks again, and asks for the next one.
//!
//! G11 is kept by [`planner::next`] and [`worker::next`], if each register and output is
//! created with `If-None-Match: *`, and an output is written only from inputs that were
//! all read. `docs/adr/0009` has the argument.
//!
//! A look takes its pieces in this order: the catalog's pointers, the raw objects, the
//! registers, the outputs. Then the pointers that it shows are never newer than its
//! registers.

mod closing;
mod form;
mod hour;
mod keys;
mod moves;
mod outcome;
mod period;
mod plan;
pub mod planner;
mod pointer;
mod registers;
mod summary;
mod table;
mod task;
mod units;
mod view;
pub mod worker;

pub use closing::{Closing, Rules};
pub use form::{RegisterError, mark_json};
pub use hour::bounds;
pub use keys::{OutputKey, Register, RegisterKey};
pub use moves::{LargestMoves, PriceMove};
pub use outcome::{Outcome, Reason};
pub use period::{Period, PeriodError};
pub use plan::{Base, Plan};
pub use pointer::{Move, Pointer, Pointers};
pub use registers::{FoundRegister, Registers, Version};
pub use summary::Summary;
pub use table::Table;
pub use task::{Task, TaskError};
pub use units::{BYTES_PER_UNIT, MAX_UNITS};
pub use view::{HourView, RawObject};
