//! Reads an object's coordinates back, to prove its contents. The only reader here:
//! queries are Athena's.

use std::borrow::Cow;
use std::io::{BufRead as _, BufReader};

use ::parquet::column::reader::ColumnReader;
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::FileReader as _;
use ::parquet::file::serialized_reader::SerializedFileReader;
use bytes::Bytes;
use flate2::read::GzDecoder;
use serde::Deserialize;

use crate::{COLUMNS, Format, Kind};

/// Values of a column that are read at once.
const READ_VALUES: usize = 8_192;

/// Why an object cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It is not Parquet.
    #[error("it is not Parquet: {0}")]
    Parquet(#[from] ParquetError),
    /// It is not gzip, or its lines are not UTF-8.
    #[error("it is not gzipped text: {0}")]
    Gzip(#[from] std::io::Error),
    /// A line is not JSON with coordinates.
    #[error("a line is not JSON with kafka_partition and kafka_offset: {0}")]
    Json(#[from] serde_json::Error),
    /// Its columns are not ours.
    #[error("its columns kafka_partition and kafka_offset are not where lake objects have them")]
    Columns,
}

/// The contents of an object.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// Partition and offset of each row.
    pub coordinates: Vec<(i32, i64)>,
    /// Numbers of its ticks that a double does not hold.
    pub inexact_numbers: u64,
}

#[derive(Deserialize)]
struct Line<'a> {
    kafka_partition: i32,
    kafka_offset: i64,
    #[serde(borrow)]
    extra: Option<Cow<'a, str>>,
}

impl Content {
    /// Reads an object.
    ///
    /// # Errors
    /// The object does not have the form that its key names.
    pub fn decode(kind: Kind, body: Bytes) -> Result<Self, DecodeError> {
        let lines =
            |body: Bytes| BufReader::new(GzDecoder::new(std::io::Cursor::new(body))).lines();
        let mut content = Self::default();
        match kind {
            Kind::Data(Format::Parquet) => content.parquet(body)?,
            Kind::Data(Format::Csv) => {
                let place = |name| {
                    COLUMNS
                        .iter()
                        .position(|column| column.name == name)
                        .ok_or(DecodeError::Columns)
                };
                let partition = place("kafka_partition")?;
                let offset = place("kafka_offset")?;
                let extra = place("extra")?;
                for line in lines(body).skip(1) {
                    let line = line?;
                    let fields: Vec<&str> = line.split('\t').collect();
                    let partition = fields
                        .get(partition)
                        .and_then(|field| field.parse().ok())
                        .ok_or(DecodeError::Columns)?;
                    let offset = fields
                        .get(offset)
                        .and_then(|field| field.parse().ok())
                        .ok_or(DecodeError::Columns)?;
                    content.coordinates.push((partition, offset));
                    content.count(fields[extra]);
                }
            }
            Kind::Data(Format::Json) | Kind::DeadLetter => {
                for line in lines(body) {
                    let line = line?;
                    let Line {
                        kafka_partition,
                        kafka_offset,
                        extra,
                    } = serde_json::from_str(&line)?;
                    content.coordinates.push((kafka_partition, kafka_offset));
                    content.count(&extra.unwrap_or_default());
                }
            }
        }
        Ok(content)
    }

    fn count(&mut self, extra: &str) {
        self.inexact_numbers += tick::inexact_numbers(extra) as u64;
    }

    fn parquet(&mut self, body: Bytes) -> Result<(), DecodeError> {
        let file = SerializedFileReader::new(body)?;
        let schema = file.metadata().file_metadata().schema_descr_ptr();
        let place = |name| {
            (0..schema.num_columns())
                .find(|column| schema.column(*column).name() == name)
                .ok_or(DecodeError::Columns)
        };
        let partition = place("kafka_partition")?;
        let offset = place("kafka_offset")?;
        let extra = place("extra")?;
        for group in 0..file.num_row_groups() {
            let group = file.get_row_group(group)?;
            let (
                ColumnReader::Int32ColumnReader(mut partitions),
                ColumnReader::Int64ColumnReader(mut offsets),
                ColumnReader::ByteArrayColumnReader(mut extras),
            ) = (
                group.get_column_reader(partition)?,
                group.get_column_reader(offset)?,
                group.get_column_reader(extra)?,
            )
            else {
                return Err(DecodeError::Columns);
            };
            loop {
                let mut partition = Vec::with_capacity(READ_VALUES);
                let mut offset = Vec::with_capacity(READ_VALUES);
                let mut extra = Vec::new();
                let (rows, ..) =
                    partitions.read_records(READ_VALUES, None, None, &mut partition)?;
                offsets.read_records(rows, None, None, &mut offset)?;
                extras.read_records(rows, Some(&mut Vec::new()), None, &mut extra)?;
                if rows == 0 {
                    break;
                }
                self.coordinates.extend(partition.into_iter().zip(offset));
                extra
                    .iter()
                    .for_each(|extra| self.count(extra.as_utf8().unwrap_or_default()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{Batch, Record, Routing, Rules};

    #[test]
    fn every_object_tells_the_coordinates_of_its_rows_and_its_inexact_numbers() {
        for format in Format::ALL {
            let mut batch = Batch::new(
                "t",
                7,
                0,
                Rules {
                    routing: Routing::default(),
                    max_record_bytes: 99,
                    skip_tombstones: false,
                },
            );
            for offset in 0..20_000 {
                let value: &[u8] = match offset % 1000 {
                    0 => b"poison",
                    1 => br#"{"symbol":"A","event_time":0,"price":1,"volume":9007199254740993}"#,
                    2 => br#"{"symbol":"A","event_time":0,"price":1}"#,
                    _ => br#"{"symbol":"A","event_time":0,"price":1,"x":"\t"}"#,
                };
                batch.push(
                    &Record {
                        offset,
                        timestamp_ms: Some(0),
                        value: Some(value),
                        ..Record::default()
                    },
                    Instant::now(),
                );
            }
            let (manifest, objects) = batch.seal(format, "id", "attempt").expect("objects");
            for (object, wanted) in objects.into_iter().zip(&manifest.objects) {
                let kind = object.key.kind();
                let content = Content::decode(kind, object.body).expect("rows");
                assert_eq!(
                    content.coordinates,
                    wanted
                        .offsets
                        .offsets()
                        .map(|offset| (7, offset))
                        .collect::<Vec<_>>()
                );
                assert_eq!(
                    content.inexact_numbers,
                    if kind == Kind::DeadLetter { 0 } else { 20 }
                );
            }
        }
        assert!(Content::decode(Kind::DeadLetter, Bytes::from_static(b"<html>")).is_err());
    }
}
