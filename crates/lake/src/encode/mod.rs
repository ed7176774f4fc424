//! The encodings. Deterministic: no clock, no random numbers, rows in offset order, fixed levels.

mod delimited;
mod json_lines;
mod lake_text;
mod parquet;

use std::io::Write as _;

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

use crate::rows::Rows;
use crate::{DeadLetter, Format, Kind};

/// Why a batch could not be encoded: a fault in ticklake, not in the data.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The Parquet writer refused.
    #[error("cannot write parquet: {0}")]
    Parquet(#[from] ::parquet::errors::ParquetError),
    /// The gzip writer refused.
    #[error("cannot write gzip: {0}")]
    Gzip(#[from] std::io::Error),
    /// A value has no JSON.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// No object key exists for the batch.
    #[error("no object key for topic {topic:?}, partition {partition}, offsets {first} to {last}")]
    Key {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The first offset.
        first: i64,
        /// The last offset.
        last: i64,
    },
}

/// An object's bytes in the making. Rows and dead letters may come in pieces, so that they need not lie in memory together.
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

    /// Writes lines of JSON, which is what dead letters are.
    pub(crate) fn dead_letters(&mut self, topic: &str, partition: i32, letters: &[DeadLetter]) -> Result<(), EncodeError> {
        let Self::Json(out) = self else { return Ok(()) };
        Ok(letters.iter().try_for_each(|letter| writeln!(out, "{}", letter.to_json(topic, partition)))?)
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

/// Lines are compressed whenever there are so many bytes of them, so that an object never lies in memory as text.
const PIECE: usize = 32 << 10;

/// Level 1: a fourth of level 6's time on ticks, for files a fifth larger. The header carries no time.
fn gzip() -> GzEncoder<Vec<u8>> {
    GzBuilder::new().mtime(0).write(Vec::new(), Compression::fast())
}

/// Writes a number as JSON has it.
fn number(out: &mut Vec<u8>, number: f64) -> Result<(), EncodeError> {
    Ok(serde_json::to_writer(out, &number)?)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use tick::{EventTime, Tick};

    use super::*;

    fn rows(format: Format, partition: i32, rows: &Rows) -> Result<Vec<u8>, EncodeError> {
        let mut encoder = Encoder::new(Kind::Data(format))?;
        encoder.rows(partition, rows)?;
        encoder.finish()
    }

    fn sample() -> Rows {
        let tick = |json: &str| Tick::from_json(json.as_bytes()).expect("a tick");
        let mut rows = Rows::default();
        let first = tick(r#"{"symbol":"A","event_time":"2010-01-08T09:30:00.5Z","price":1.5,"volume":7,"x":"a,\tb","y":[1]}"#);
        rows.push(&first, 41, EventTime::from_millis(0));
        rows.push(&tick(r#"{"symbol":"B \"q\"","event_time":0,"price":-2}"#), 42, None);
        rows
    }

    fn text(format: Format) -> String {
        let bytes = rows(format, 3, &sample()).expect("bytes");
        let mut text = String::new();
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).expect("gzip");
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
                "A\t2010-01-08 09:30:00.500000\t1.5\t7.0\t\t\t\t\t{\"x\":\"a,\\tb\",\"y\":[1]}\t3\t41\t1970-01-01 00:00:00.000000\n",
                "B \"q\"\t1970-01-01 00:00:00.000000\t-2.0\t\t\t\t\t\t\t3\t42\t\n",
            )
        );
    }

    #[test]
    fn the_same_rows_give_the_same_bytes() {
        for format in Format::ALL {
            assert_eq!(rows(format, 3, &sample()).expect("bytes"), rows(format, 3, &sample()).expect("bytes"));
        }
    }
}
