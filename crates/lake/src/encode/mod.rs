//! The encodings. Deterministic: no clock, no random numbers, rows in offset order, fixed
//! levels.

mod delimited;
mod error;
mod json_lines;
mod lake_text;
mod lines;
mod parquet;

use std::io::Write as _;

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

use crate::rows::Rows;
use crate::{DeadLetter, Format, Kind};
pub use error::EncodeError;

/// An object's bytes in the making. Rows and dead letters may come in pieces, so that
/// they need not lie in memory together.
pub(crate) enum Encoder {
    Parquet(Box<parquet::File>),
    Json(GzEncoder<Vec<u8>>),
    Csv(GzEncoder<Vec<u8>>),
}

impl Encoder {
    /// Memory that an encoder takes beside its bytes: gzip's window and tables.
    pub(crate) const MEMORY: u64 = 320 << 10;

    pub(crate) fn new(kind: Kind) -> Result<Self, EncodeError> {
        Ok(match kind {
            Kind::Data(Format::Parquet) => Self::Parquet(Box::new(parquet::begin()?)),
            Kind::Data(Format::Json) | Kind::DeadLetter => Self::Json(gzip()),
            Kind::Data(Format::Csv) => {
                let mut out = gzip();
                delimited::header(&mut out)?;
                Self::Csv(out)
            }
        })
    }

    pub(crate) fn rows(&mut self, partition: i32, rows: &Rows) -> Result<(), EncodeError> {
        match self {
            _ if rows.len() == 0 => Ok(()),
            Self::Parquet(file) => parquet::encode(partition, rows, file),
            Self::Json(out) => json_lines::encode(partition, rows, out),
            Self::Csv(out) => delimited::encode(partition, rows, out),
        }
    }

    /// Writes lines of JSON, the form of dead letters.
    pub(crate) fn dead_letters(
        &mut self,
        topic: &str,
        partition: i32,
        letters: &[DeadLetter],
    ) -> Result<(), EncodeError> {
        let Self::Json(out) = self else { return Ok(()) };
        Ok(letters
            .iter()
            .try_for_each(|letter| writeln!(out, "{}", letter.to_json(topic, partition)))?)
    }

    /// Returns how many bytes there are so far.
    pub(crate) fn written(&self) -> u64 {
        match self {
            Self::Parquet(file) => file.bytes_written() as u64,
            Self::Json(out) | Self::Csv(out) => out.get_ref().len() as u64,
        }
    }

    pub(crate) fn finish(self) -> Result<Vec<u8>, EncodeError> {
        Ok(match self {
            Self::Parquet(file) => file.into_inner()?,
            Self::Json(out) | Self::Csv(out) => out.finish()?,
        })
    }
}

/// Level 1: a fourth of level 6's time on ticks, for files a fifth larger. The header
/// carries no time.
fn gzip() -> GzEncoder<Vec<u8>> {
    GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::fast())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use ::parquet::file::reader::FileReader as _;
    use ::parquet::file::serialized_reader::SerializedFileReader;
    use tick::{EventTime, Tick};

    use super::*;
    use crate::COLUMNS;

    fn rows(format: Format, partition: i32, rows: &Rows) -> Result<Vec<u8>, EncodeError> {
        let mut encoder = Encoder::new(Kind::Data(format))?;
        encoder.rows(partition, rows)?;
        encoder.finish()
    }

    fn sample() -> Rows {
        let tick = |json: &str| Tick::from_json(json.as_bytes()).expect("a tick");
        let mut rows = Rows::default();
        let first = tick(
            r#"{"symbol":"A","event_time":"2010-01-08T09:30:00.5Z","price":1.5,"volume":7,"x":"a,\tb","y":[1]}"#,
        );
        rows.push(&first, 41, EventTime::from_millis(0));
        rows.push(
            &tick(r#"{"symbol":"B \"q\"","event_time":0,"price":-2}"#),
            42,
            None,
        );
        rows
    }

    fn text(format: Format) -> String {
        let bytes = rows(format, 3, &sample()).expect("bytes");
        let mut text = String::new();
        flate2::read::GzDecoder::new(bytes.as_slice())
            .read_to_string(&mut text)
            .expect("gzip");
        text
    }

    #[test]
    fn json_lines_have_every_column() {
        assert_eq!(
            text(Format::Json),
            concat!(
                r#"{"symbol":"A","event_time":"2010-01-08 09:30:00.500000","price":1.5,"volume":7.0,"open":null,"high":null,"low":null,"close":null,"extra":"{\"x\":\"a,\\tb\",\"y\":[1]}","kafka_partition":3,"kafka_offset":41,"kafka_timestamp":"1970-01-01 00:00:00.000000"}"#,
                "\n",
                r#"{"symbol":"B \"q\"","event_time":"1970-01-01 00:00:00.000000","price":-2.0,"volume":null,"open":null,"high":null,"low":null,"close":null,"extra":null,"kafka_partition":3,"kafka_offset":42,"kafka_timestamp":null}"#,
                "\n"
            )
        );
    }

    #[test]
    fn delimited_text_has_a_header_and_empty_fields_for_no_value() {
        assert_eq!(
            text(Format::Csv),
            concat!(
                "symbol\tevent_time\tprice\tvolume\topen\thigh\tlow\tclose\textra\tkafka_partition\tkafka_offset\tkafka_timestamp\n",
                "A\t2010-01-08 \
                 09:30:00.500000\t1.5\t7.0\t\t\t\t\t{\"x\":\"a,\\tb\",\"y\":[1]}\t3\t41\t1970-01-01 \
                 00:00:00.000000\n",
                "B \"q\"\t1970-01-01 00:00:00.000000\t-2.0\t\t\t\t\t\t\t3\t42\t\n",
            )
        );
    }

    #[test]
    fn the_same_rows_give_the_same_bytes() {
        for format in Format::ALL {
            let bytes = rows(format, 3, &sample()).expect("bytes");
            assert_eq!(bytes, rows(format, 3, &sample()).expect("bytes"));
            // RFC 1952: the mark of gzip, then the time.
            assert!(
                !bytes.starts_with(&[0x1f, 0x8b]) || bytes[4..8] == [0; 4],
                "the time is in the bytes"
            );
        }
    }

    /// Rows lie in blocks of some thousand, and text is written in pieces.
    #[test]
    fn every_row_of_many_has_its_own_values_in_every_format() {
        let value = |number: i64, column: i64| {
            (number % (column + 2) > 0).then_some((number * 8 + column) as f64 / 8.0)
        };
        let row = |number: i64| {
            let optional = [0, 1, 2, 3, 4].map(|column| value(number, column));
            let extra = (number % 3 > 0).then(|| format!("{{\"n\":{number}}}"));
            (
                format!("S{number}"),
                number * 1_000,
                number as f64 + 0.5,
                optional,
                extra,
                (number % 5 > 0).then_some(number * 2_000),
            )
        };
        let mut many = Rows::default();
        for number in 0..10_000 {
            let (
                symbol,
                event_time,
                price,
                [volume, open, high, low, close],
                extra,
                kafka_timestamp,
            ) = row(number);
            let symbol = tick::Symbol::parse(&symbol).expect("a symbol");
            let event_time = EventTime::from_micros(event_time).expect("a time");
            let tick = Tick {
                symbol,
                event_time,
                price,
                volume,
                open,
                high,
                low,
                close,
                extra,
            };
            many.push(
                &tick,
                number,
                kafka_timestamp.and_then(EventTime::from_micros),
            );
        }
        let time = |micros: i64| {
            EventTime::from_micros(micros)
                .expect("a time")
                .to_lake_text()
        };
        let mut json = String::new();
        let bytes = rows(Format::Json, 3, &many).expect("bytes");
        flate2::read::GzDecoder::new(bytes.as_slice())
            .read_to_string(&mut json)
            .expect("gzip");
        let mut csv = String::new();
        let bytes = rows(Format::Csv, 3, &many).expect("bytes");
        flate2::read::GzDecoder::new(bytes.as_slice())
            .read_to_string(&mut csv)
            .expect("gzip");
        let file = SerializedFileReader::new(bytes::Bytes::from(
            rows(Format::Parquet, 3, &many).expect("bytes"),
        ))
        .expect("a reader");
        let mut json = json.lines();
        let mut csv = csv.lines().skip(1);
        let mut parquet = file.get_row_iter(None).expect("rows");
        for number in 0..10_000 {
            let (symbol, event_time, price, optional, extra, kafka_timestamp) = row(number);
            let wanted = serde_json::json!({
                "symbol": symbol, "event_time": time(event_time), "price": price,
                "volume": optional[0], "open": optional[1], "high": optional[2],
                "low": optional[3], "close": optional[4], "extra": extra,
                "kafka_partition": 3, "kafka_offset": number,
                "kafka_timestamp": kafka_timestamp.map(time),
            });
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(json.next().expect("a line"))
                    .expect("JSON"),
                wanted
            );
            let text = |name: &str| match &wanted[name] {
                serde_json::Value::Null => String::new(),
                serde_json::Value::String(text) => text.clone(),
                value => value.to_string(),
            };
            let fields: Vec<&str> = csv.next().expect("a line").split('\t').collect();
            assert_eq!(fields, COLUMNS.map(|column| text(column.name)));
            let text = |name: &str| match &wanted[name] {
                serde_json::Value::String(text) if name.contains("time") => {
                    format!("{name}: {text} +00:00")
                }
                serde_json::Value::String(text) => format!("{name}: \"{text}\""),
                value => format!("{name}: {value}"),
            };
            let found = parquet.next().expect("a row").expect("a row").to_string();
            assert_eq!(
                found,
                format!("{{{}}}", COLUMNS.map(|column| text(column.name)).join(", "))
            );
        }
        assert!(json.next().is_none() && csv.next().is_none() && parquet.next().is_none());
    }
}
