use serde::{Deserialize, Serialize};
use tick::EventTime;

use crate::form::{self, RegisterError};
use crate::{LargestMoves, Register, RegisterKey};

/// The contents of the files of a unit, or of all units of a version, in figures.
///
/// It follows from the files: whoever makes a unit creates the same register.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Content", into = "Content")]
pub struct Summary {
    /// Ticks.
    pub ticks: u64,
    /// Symbols with a tick.
    pub symbols: u64,
    /// Bars.
    pub bars: u64,
    /// The first and the last event time, if there is a tick.
    pub event_times: Option<(EventTime, EventTime)>,
    /// The largest moves.
    pub moves: LargestMoves,
}

/// The summary as a register has it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Content {
    ticks: u64,
    symbols: u64,
    bars: u64,
    event_times: Option<[String; 2]>,
    moves: LargestMoves,
}

impl Summary {
    /// Returns the summary of this part and another one, which have no symbol in common.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.moves.extend(Vec::from(other.moves));
        let times = [self.event_times, other.event_times].into_iter().flatten();
        Self {
            ticks: self.ticks.saturating_add(other.ticks),
            symbols: self.symbols.saturating_add(other.symbols),
            bars: self.bars.saturating_add(other.bars),
            event_times: times.reduce(|(first, last), (from, to)| (first.min(from), last.max(to))),
            moves: self.moves,
        }
    }

    /// Returns the body of a unit's register.
    ///
    /// # Errors
    /// None that a summary can cause; serde's signature has one.
    pub fn to_json(&self, key: &RegisterKey) -> Result<Vec<u8>, serde_json::Error> {
        debug_assert!(matches!(key.register, Register::Unit(_)));
        form::to_json(key, self)
    }

    /// Returns the summary that the body of a unit's register holds.
    ///
    /// # Errors
    /// It is of a later version, or not a summary of this key.
    pub fn from_json(key: &RegisterKey, body: &[u8]) -> Result<Self, RegisterError> {
        form::from_json(key, body)
    }
}

impl TryFrom<Content> for Summary {
    type Error = &'static str;

    fn try_from(content: Content) -> Result<Self, Self::Error> {
        let times = content.event_times.map(|[first, last]| {
            let times = EventTime::parse_rfc3339(&first).zip(EventTime::parse_rfc3339(&last));
            times.ok_or("an event time is not RFC 3339")
        });
        Ok(Self {
            ticks: content.ticks,
            symbols: content.symbols,
            bars: content.bars,
            event_times: times.transpose()?,
            moves: content.moves,
        })
    }
}

impl From<Summary> for Content {
    fn from(summary: Summary) -> Self {
        let times = summary.event_times;
        Self {
            ticks: summary.ticks,
            symbols: summary.symbols,
            bars: summary.bars,
            event_times: times.map(|(first, last)| [first.to_string(), last.to_string()]),
            moves: summary.moves,
        }
    }
}

#[cfg(test)]
mod tests {
    use tick::Symbol;

    use super::*;
    use crate::PriceMove;

    const KEY: &str = "_curated/dt=2026-11-24/hr=05/000003.unit-0002.json";

    fn summary(symbol: &str, times: Option<(i64, i64)>, open: f64, close: f64) -> Summary {
        let time = |millis| EventTime::from_millis(millis).expect("a time");
        let symbol = Symbol::parse(symbol).expect("a symbol");
        Summary {
            ticks: 7,
            symbols: 1,
            bars: 2,
            event_times: times.map(|(first, last)| (time(first), time(last))),
            moves: PriceMove::new(symbol, open, close).into_iter().collect(),
        }
    }

    #[test]
    fn a_summary_reads_back_to_the_bit_and_another_form_is_refused() {
        let key = RegisterKey::parse(KEY).expect("a key");
        let summary = summary("\"é\\", Some((1_500, 2_000)), 0.1 + 0.2, 5e-324);
        let body = summary.to_json(&key).expect("JSON");
        let text = String::from_utf8_lossy(&body);
        let content = concat!(
            r#""content":{"ticks":7,"symbols":1,"bars":2,"#,
            r#""event-times":["1970-01-01T00:00:01.5Z","1970-01-01T00:00:02Z"],"#,
            r#""moves":[{"symbol":"\"é\\","open":0.30000000000000004,"close":5e-324}]}}"#,
        );
        assert!(text.ends_with(content), "{text}");
        assert_eq!(Summary::from_json(&key, &body).expect("a summary"), summary);
        for (from, to, wanted) in [
            (r#""bars""#, r#""bar""#, "unknown field"),
            ("1970-01-01T00:00:02Z", "2 s", "RFC 3339"),
            (r#""version":3"#, r#""version":4"#, "not that of its key"),
        ] {
            let error = Summary::from_json(&key, text.replacen(from, to, 1).as_bytes());
            let error = error.expect_err(to).to_string();
            assert!(error.contains(KEY) && error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn units_add_up_to_the_hour_and_one_without_a_tick_adds_nothing() {
        let (one, other) = (
            summary("A", Some((2_000, 3_000)), 1.0, 1.0),
            summary("B", Some((1_000, 2_500)), 1.0, 2.0),
        );
        let hour = one.clone().and(Summary::default()).and(other);
        assert_eq!((hour.ticks, hour.symbols, hour.bars), (14, 2, 4));
        let (first, last) = hour.event_times.expect("times");
        assert_eq!((first.micros(), last.micros()), (1_000_000, 3_000_000));
        let symbols = hour.moves.as_slice().iter().map(PriceMove::symbol);
        assert_eq!(symbols.map(Symbol::as_str).collect::<Vec<_>>(), ["B", "A"]);
        assert_eq!(Summary::default().and(one.clone()), one);
    }
}
