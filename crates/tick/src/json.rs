//! Kafka values: turns JSON objects into ticks and back.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::inexact::{Digits, NUMBERS, keep_digits};
use crate::json_text::{json_string, push_member};
use crate::{EventTime, FieldError, Symbol, Tick, TickError};

/// Number of fields that a tick defines.
const KNOWN_FIELDS: usize = 8;
const WANTED_NUMBER: &str = "a finite number";

/// The fields of a JSON object, unparsed: those that a tick defines by their place (see
/// [`place`]), the others as one object.
#[derive(Default)]
struct RawTick<'a> {
    known: [Option<&'a RawValue>; KNOWN_FIELDS],
    extra: Option<String>,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for RawTick<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = RawTick<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawTick<'de>, A::Error> {
                let mut raw = RawTick::default();
                while let Some(Key(key)) = map.next_key()? {
                    let value: &'de RawValue = map.next_value()?;
                    match place(&key) {
                        Some(place) if raw.known[place].is_some() => {
                            return Err(serde::de::Error::custom(format_args!(
                                "field {key} is present twice"
                            )));
                        }
                        Some(place) => raw.known[place] = Some(value),
                        None => push_member(
                            raw.extra.get_or_insert_default(),
                            &key,
                            &on_one_line(value.get()),
                        ),
                    }
                }
                if let Some(extra) = &mut raw.extra {
                    extra.push('}');
                }
                Ok(raw)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// Returns the place of a field that a tick defines.
fn place(key: &str) -> Option<usize> {
    // A match compares lengths first, so it is faster than a search through the names.
    Some(match key {
        "symbol" => 0,
        "event_time" => 1,
        "price" => 2,
        "volume" => 3,
        "open" => 4,
        "high" => 5,
        "low" => 6,
        "close" => 7,
        _ => return None,
    })
}

/// Returns a JSON value without line ends and tabs, which the rows of a text lake cannot
/// hold. Strings escape control characters, so the others are between the tokens of an
/// array or object, and a blank means the same there.
fn on_one_line(json: &str) -> Cow<'_, str> {
    if json.starts_with(['{', '[']) && json.bytes().any(|byte| byte < b' ') {
        return json.replace(|c| c < ' ', " ").into();
    }
    json.into()
}

impl Tick {
    /// Returns the tick in a Kafka value.
    ///
    /// # Errors
    /// The value is not a JSON object, or a field has a wrong value; the error names
    /// both.
    ///
    /// ```
    /// use tick::Tick;
    ///
    /// let value = br#"{"symbol":"HSI","event_time":1262943000000,"price":1.5,"venue":"X"}"#;
    /// let tick = Tick::from_json(value)?;
    /// assert_eq!(tick.price, 1.5);
    /// assert_eq!(tick.extra.as_deref(), Some(r#"{"venue":"X"}"#));
    ///
    /// let refused = Tick::from_json(br#"{"symbol":"HSI","event_time":0,"price":"high"}"#);
    /// assert_eq!(
    ///     refused.unwrap_err().to_string(),
    ///     r#"field price: got "high", wanted a finite number"#
    /// );
    /// # Ok::<(), tick::TickError>(())
    /// ```
    pub fn from_json(value: &[u8]) -> Result<Self, TickError> {
        if value.is_empty() {
            return Err(TickError::Empty);
        }
        let text =
            str::from_utf8(value).map_err(|error| TickError::NotUtf8(error.valid_up_to()))?;
        let raw: RawTick<'_> =
            serde_json::from_str(text).map_err(|error| TickError::NotJson(error.to_string()))?;
        let [symbol, event_time, price, volume, open, high, low, close] = raw.known;
        let mut tick = Self {
            symbol: required("symbol", symbol, Symbol::WANTED, |text| {
                Symbol::parse(&string(text)?)
            })?,
            event_time: required("event_time", event_time, EventTime::WANTED_JSON, |text| {
                match string(text) {
                    Some(text) => EventTime::parse_rfc3339(&text),
                    None => EventTime::parse_millis(text),
                }
            })?,
            price: required("price", price, WANTED_NUMBER, finite)?,
            volume: optional("volume", volume)?,
            open: optional("open", open)?,
            high: optional("high", high)?,
            low: optional("low", low)?,
            close: optional("close", close)?,
            extra: None,
        };
        let texts =
            [price, volume, open, high, low, close].map(|value| value.map_or("", RawValue::get));
        tick.extra = keep_digits(raw.extra, &texts, &tick.numbers());
        Ok(tick)
    }

    /// Returns the numbers in the order of [`NUMBERS`].
    pub(crate) fn numbers(&self) -> [Option<f64>; 6] {
        [
            Some(self.price),
            self.volume,
            self.open,
            self.high,
            self.low,
            self.close,
        ]
    }

    /// Returns the tick as a Kafka value; [`Tick::from_json`] gives the same tick back.
    pub fn to_json(&self) -> String {
        let mut json = String::with_capacity(192);
        push_member(&mut json, "symbol", &json_string(self.symbol.as_str()));
        push_member(&mut json, "event_time", &format!("\"{}\"", self.event_time));
        let mut extra = Digits {
            rest: self.extra.as_deref().unwrap_or_default(),
        };
        let digits: Vec<_> = extra.by_ref().collect();
        for (field, number) in NUMBERS.iter().zip(self.numbers()) {
            let Some(number) = number else { continue };
            match digits.iter().find(|(inexact, _)| *inexact == *field) {
                Some((_, digits)) => push_member(&mut json, field, digits),
                None => push_member(
                    &mut json,
                    field,
                    &serde_json::Value::from(number).to_string(),
                ),
            }
        }
        match extra.rest.strip_prefix(['{', ',']) {
            Some(members) => {
                json.push(',');
                json.push_str(members);
            }
            None => json.push('}'),
        }
        json
    }
}

fn required<T>(
    field: &str,
    value: Option<&RawValue>,
    wanted: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, FieldError> {
    let text = value
        .map(RawValue::get)
        .ok_or_else(|| FieldError::missing(field, wanted))?;
    parse(text).ok_or_else(|| FieldError::of_json(field, text, wanted))
}

fn optional(field: &str, value: Option<&RawValue>) -> Result<Option<f64>, FieldError> {
    match value {
        Some(value) if value.get() != "null" => {
            required(field, Some(value), WANTED_NUMBER, finite).map(Some)
        }
        _ => Ok(None),
    }
}

fn string(json: &str) -> Option<Cow<'_, str>> {
    // Building an error costs more than parsing most ticks. This avoids one for a number.
    if !json.starts_with('"') {
        return None;
    }
    serde_json::from_str::<Key<'_>>(json).ok().map(|key| key.0)
}

/// Returns a JSON number. The first character is checked, as `str::parse` also accepts
/// `inf`.
fn finite(json: &str) -> Option<f64> {
    let number = json
        .starts_with(|c: char| c == '-' || c.is_ascii_digit())
        .then(|| json.parse::<f64>().ok())??;
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(json: &str) -> String {
        Tick::from_json(json.as_bytes())
            .expect_err(json)
            .to_string()
    }

    #[test]
    fn unknown_fields_are_kept_digit_for_digit() {
        let json = concat!(
            r#"{"symbol":"HSI","event_time":"2010-01-08T00:00:00Z","price":1.5,"#,
            r#""big":12345678901234567890.10,"who":{"a":[1]}}"#,
        );
        let tick = Tick::from_json(json.as_bytes()).expect("a tick");
        assert_eq!(
            tick.extra.as_deref(),
            Some(r#"{"big":12345678901234567890.10,"who":{"a":[1]}}"#)
        );
        assert_eq!(tick.to_json(), json);
    }

    #[test]
    fn pretty_printed_fields_are_kept_on_one_line() {
        let json = concat!(
            "{\"symbol\":\"A\",\"event_time\":0,\"price\":1,\r\n",
            "\t\"meta\": {\n\t\"src\":\t\"x\\ty\"\r\n},\"b\":[\n]}",
        );
        let tick = Tick::from_json(json.as_bytes()).expect("a tick");
        assert_eq!(
            tick.extra.as_deref(),
            Some(r#"{"meta":{  "src": "x\ty"  },"b":[ ]}"#)
        );
    }

    #[test]
    fn numbers_that_a_double_does_not_hold_keep_their_digits() {
        let json = |volume: &str, rest: &str| {
            format!(
                concat!(
                    r#"{{"symbol":"A","event_time":"2010-01-08T09:30:00Z","price":0.1,"#,
                    r#""volume":{}{}"#,
                ),
                volume, rest
            )
        };
        for (rest, extra) in [("}", "}"), (r#","n":[1]}"#, r#","n":[1]}"#)] {
            let inexact =
                Tick::from_json(json("9007199254740993", rest).as_bytes()).expect("a tick");
            assert_eq!(inexact.volume, Some(9_007_199_254_740_992.0));
            assert_eq!(
                inexact.extra,
                Some(format!(r#"{{"volume":9007199254740993{extra}"#))
            );
            assert_eq!(inexact.to_json(), json("9007199254740993", rest));
        }
        let exact = Tick::from_json(json("9007199254740992.0", "}").as_bytes()).expect("a tick");
        assert_eq!(exact.extra, None);
    }

    #[test]
    fn event_time_is_also_read_from_epoch_milliseconds() {
        let tick = Tick::from_json(
            br#"{"symbol":"A","event_time":1262941800000,"price":1,"volume":null}"#,
        )
        .expect("a tick");
        assert_eq!(tick.event_time.to_string(), "2010-01-08T09:10:00Z");
        assert_eq!(tick.volume, None);
    }

    #[test]
    fn errors_name_the_field_its_value_and_the_wanted_form() {
        assert_eq!(
            error(r#"{"symbol":"A","event_time":0,"price":"12"}"#),
            r#"field price: got "12", wanted a finite number"#
        );
        assert_eq!(
            error(r#"{"event_time":0,"price":1}"#),
            format!("field symbol: missing, wanted {}", Symbol::WANTED)
        );
        assert_eq!(
            error(r#"{"symbol":"A","event_time":0,"price":1e999}"#),
            "field price: got 1e999, wanted a finite number"
        );
        assert!(
            error(r#"{"symbol":"A","event_time":-1,"price":1}"#)
                .starts_with("field event_time: got -1, wanted RFC 3339")
        );
        assert!(
            error(r#"{"symbol":"A","event_time":"08/01/2010","price":1}"#)
                .contains("wanted RFC 3339")
        );
        assert!(
            error(r#"{"symbol":"A","event_time":1262943000,"price":1}"#)
                .contains("epoch milliseconds, not seconds")
        );
        assert!(
            error(r#"{"symbol":"A","event_time":0,"price":1,"price":2}"#)
                .contains("field price is present twice")
        );
        assert!(error("[1]").contains("not a JSON object"));
        assert!(error(r#"{"symbol":"A"#).contains("not a JSON object"));
        assert_eq!(
            Tick::from_json(b"\"\xff\"").expect_err("bytes").to_string(),
            "invalid UTF-8 at byte 1, wanted a JSON object"
        );
        assert_eq!(Tick::from_json(b"").expect_err("empty"), TickError::Empty);
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_tick_or_an_error(bytes: Vec<u8>) {
            let _ = Tick::from_json(&bytes);
        }

        #[test]
        fn json_and_back_is_the_same_tick(
            symbol in "[A-Z0-9.^=-]{1,12}",
            micros in 0i64..253_402_207_200_000_000,
            price in "-?(0|[1-9][0-9]{0,19})(\\.[0-9]{1,20})?",
            volume in "[1-9][0-9]{0,20}",
            close in -1e300f64..1e300,
            note in proptest::option::of(".*"),
        ) {
            let time = EventTime::from_micros(micros).expect("a time");
            let note = note.map(|note| format!(",\"note\":{}", json_string(&note)));
            let json = format!(
                concat!(
                    r#"{{"symbol":"{}","event_time":"{}","price":{},"#,
                    r#""volume":{},"close":{:?}{}}}"#,
                ),
                symbol, time, price, volume, close, note.unwrap_or_default()
            );
            let tick = Tick::from_json(json.as_bytes())?;
            let rewritten = tick.to_json();
            prop_assert_eq!(Tick::from_json(rewritten.as_bytes()), Ok(tick));
        }
    }
}
