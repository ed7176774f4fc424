use crate::{EventTime, Symbol};

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
    /// [`inexact_numbers`](crate::inexact_numbers)).
    pub extra: Option<String>,
}
