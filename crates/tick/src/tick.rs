use crate::{EventTime, Symbol};

/// One market tick.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    /// What was traded; also the Kafka key.
    pub symbol: Symbol,
    /// When it was traded, to the microsecond, in UTC.
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
    /// line; numbers keep the digits they came with. Before them stand the digits of the
    /// tick's own numbers that a double does not hold, each under its field's name (see
    /// [`inexact_numbers`](crate::inexact_numbers)).
    pub extra: Option<String>,
}
