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
mod symbol;

pub use csv_line::CsvLine;
pub use csv_mapping::CsvMapping;
pub use csv_time::{DateOrder, DateOrderEvidence};
pub use error::{FieldError, HeaderError, RowError, TickError};
pub use event_time::EventTime;
pub use inexact::inexact_numbers;
pub use symbol::Symbol;

/// One market tick.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    /// The traded instrument; also the Kafka key.
    pub symbol: Symbol,
    /// Time of the trade in UTC, to the microsecond.
    pub event_time: EventTime,
    /// Last price; finite.
    pub price: f64,
    /// Traded volume; finite.
    pub volume: Option<f64>,
    /// Opening price of the interval; finite.
    pub open: Option<f64>,
    /// Highest price of the interval; finite.
    pub high: Option<f64>,
    /// Lowest price of the interval; finite.
    pub low: Option<f64>,
    /// Closing price of the interval; finite.
    pub close: Option<f64>,
    /// The fields that a tick does not define, as the text of one JSON object on one
    /// line; numbers keep their original digits. The object begins with the digits of the
    /// tick's own numbers that a double cannot hold, each under its field's name (see
    /// [`inexact_numbers`]).
    pub extra: Option<String>,
}
