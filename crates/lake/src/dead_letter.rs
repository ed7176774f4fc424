use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tick::EventTime;

use crate::Record;

/// A record that is not a valid tick, kept with all its parts (G4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Offset in the batch's partition.
    pub offset: i64,
    /// The reason why it is not a valid tick.
    pub reason: String,
    /// Kafka record timestamp in milliseconds.
    pub timestamp_ms: Option<i64>,
    /// Record key.
    pub key: Option<Vec<u8>>,
    /// Record value.
    pub value: Option<Vec<u8>>,
    /// Header names and values, in order.
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl DeadLetter {
    pub(crate) fn new(record: &Record<'_>, reason: String) -> Self {
        Self {
            offset: record.offset,
            reason,
            timestamp_ms: record.timestamp_ms,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record
                .headers
                .iter()
                .map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec)))
                .collect(),
        }
    }

    /// Returns the bytes of memory that the letter takes.
    pub(crate) fn memory(&self) -> u64 {
        let bytes = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let headers: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + bytes(value) + 48)
            .sum();
        (size_of::<Self>() + self.reason.len() + bytes(&self.key) + bytes(&self.value) + headers)
            as u64
    }

    /// Returns the reason without the part that differs between records: `field price`,
    /// `not a JSON object`.
    pub(crate) fn kind_of_reason(&self) -> &str {
        let kind = self.reason.split([':', ',']).next().unwrap_or_default();
        if kind.ends_with(" bytes") {
            "too large"
        } else {
            kind.split(" at byte ").next().unwrap_or_default()
        }
    }

    /// Returns the Kafka record timestamp, or `None` if the record has none that a date
    /// can hold.
    pub(crate) fn kafka_timestamp(&self) -> Option<EventTime> {
        self.timestamp_ms.and_then(EventTime::from_millis)
    }

    /// Returns topic, partition and letter of one line of a dead-letter object, or `None`
    /// if the line is not a letter.
    pub fn from_json(line: &str) -> Option<(String, i32, Self)> {
        let line: Value = serde_json::from_str(line).ok()?;
        let header = |header: &Value| match take(header, "name")? {
            Taken::Bytes(name) => Some((name, take(header, "value")?.into())),
            Taken::Null => None,
        };
        let letter = Self {
            offset: line["kafka_offset"].as_i64()?,
            reason: line["reason"].as_str()?.to_owned(),
            timestamp_ms: line["kafka_timestamp_ms"].as_i64(),
            key: take(&line, "key")?.into(),
            value: take(&line, "value")?.into(),
            headers: line["headers"]
                .as_array()?
                .iter()
                .map(header)
                .collect::<Option<_>>()?,
        };
        Some((
            line["topic"].as_str()?.to_owned(),
            i32::try_from(line["kafka_partition"].as_i64()?).ok()?,
            letter,
        ))
    }

    /// Returns one line of a dead-letter object. Bytes that are not UTF-8 are in base64,
    /// under a name that ends in `_base64`.
    pub(crate) fn to_json(&self, topic: &str, partition: i32) -> Value {
        let mut line = json!({
            "topic": topic,
            "kafka_partition": partition,
            "kafka_offset": self.offset,
            "kafka_timestamp": self.kafka_timestamp().map(EventTime::to_lake_text),
            "kafka_timestamp_ms": self.timestamp_ms,
            "reason": self.reason,
        });
        put(&mut line, "key", self.key.as_deref());
        put(&mut line, "value", self.value.as_deref());
        line["headers"] = self
            .headers
            .iter()
            .map(|(name, value)| {
                let mut header = json!({});
                put(&mut header, "name", Some(name));
                put(&mut header, "value", value.as_deref());
                header
            })
            .collect();
        line
    }
}

fn put(object: &mut Value, name: &str, bytes: Option<&[u8]>) {
    match bytes.map(|bytes| (bytes, str::from_utf8(bytes))) {
        None => object[name] = Value::Null,
        Some((_, Ok(text))) => object[name] = text.into(),
        Some((bytes, Err(_))) => object[format!("{name}_base64")] = STANDARD.encode(bytes).into(),
    }
}

/// A part of a record, from a line.
enum Taken {
    Null,
    Bytes(Vec<u8>),
}

impl From<Taken> for Option<Vec<u8>> {
    fn from(taken: Taken) -> Self {
        match taken {
            Taken::Null => None,
            Taken::Bytes(bytes) => Some(bytes),
        }
    }
}

/// The opposite of [`put`]. Returns `None` if neither form is present.
fn take(object: &Value, name: &str) -> Option<Taken> {
    match (object.get(name), object.get(format!("{name}_base64"))) {
        (Some(Value::Null), _) => Some(Taken::Null),
        (Some(Value::String(text)), _) => Some(Taken::Bytes(text.clone().into_bytes())),
        (_, Some(Value::String(text))) => Some(Taken::Bytes(STANDARD.decode(text).ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_letter_is_kept_byte_for_byte(
            key: Option<Vec<u8>>,
            value: Option<Vec<u8>>,
            text in ".*",
            name: Vec<u8>,
            header: Option<Vec<u8>>,
            timestamp_ms: Option<i64>,
            offset in 0i64..,
        ) {
            for value in [value, Some(text.clone().into_bytes())] {
                let headers = vec![
                    (text.clone().into_bytes(), header.clone()),
                    (name.clone(), None),
                ];
                let letter = DeadLetter {
                    offset,
                    reason: text.clone(),
                    timestamp_ms,
                    key: key.clone(),
                    value,
                    headers,
                };
                let line = letter.to_json("t", 3).to_string();
                prop_assert_eq!(DeadLetter::from_json(&line), Some(("t".to_owned(), 3, letter)));
            }
        }
    }

    #[test]
    fn reasons_are_counted_by_kind() {
        let too_large = "1200 bytes, wanted at most 1000 (setting records.max_bytes)".to_owned();
        let of = |value: &[u8]| {
            tick::Tick::from_json(value)
                .expect_err("no tick")
                .to_string()
        };
        for (reason, kind) in [
            (
                of(br#"{"symbol":"A","event_time":1,"price":"x:,"}"#),
                "field price",
            ),
            (of(b"{\"a\""), "not a JSON object"),
            (of(b"\xff"), "invalid UTF-8"),
            (of(b""), "empty value"),
            (too_large, "too large"),
        ] {
            let letter = DeadLetter {
                offset: 0,
                reason,
                timestamp_ms: None,
                key: None,
                value: None,
                headers: vec![],
            };
            assert_eq!(letter.kind_of_reason(), kind, "{}", letter.reason);
        }
    }
}
