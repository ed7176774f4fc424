//! The market tick, as it travels through Kafka and into the lake.
//!
//! A [`Tick`] is parsed from a Kafka value ([`Tick::from_json`]) or from a CSV row
//! ([`CsvMapping::tick`]) and is valid by construction: a symbol, an event time between
//! 1970 and 9999, finite numbers. Unknown fields are kept in [`Tick::extra`]. Every error
//! names the field, its value and the wanted value.

mod csv_line;
mod csv_mapping;
mod csv_time;
mod error;
mod event_time;
mod inexact;
mod json;
mod json_text;
mod symbol;
mod tick;

pub use csv_line::CsvLine;
pub use csv_mapping::CsvMapping;
pub use csv_time::{DateOrder, DateOrderEvidence};
pub use error::{FieldError, HeaderError, RowError, TickError};
pub use event_time::EventTime;
pub use inexact::inexact_numbers;
pub use symbol::Symbol;
pub use tick::Tick;
