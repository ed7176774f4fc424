//! Reads the coordinates back out of an object, to prove what is in it. The only reader here: queries are Athena's.

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
const READ: usize = 8_192;

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
    #[error("it has no columns kafka_partition and kafka_offset where ours have them")]
    Columns,
}

#[derive(Deserialize)]
struct Coordinates {
    kafka_partition: i32,
    kafka_offset: i64,
}

/// Calls `each` with partition and offset of every row of an object.
///
/// # Errors
/// The object is not what its key says.
pub fn coordinates(kind: Kind, body: Bytes, each: &mut impl FnMut(i32, i64)) -> Result<(), DecodeError> {
    let lines = |body: Bytes| BufReader::new(GzDecoder::new(std::io::Cursor::new(body))).lines();
    match kind {
        Kind::Data(Format::Parquet) => parquet(body, each),
        Kind::Data(Format::Csv) => {
            let place = |name| COLUMNS.iter().position(|column| column.name == name).ok_or(DecodeError::Columns);
            let (partition, offset) = (place("kafka_partition")?, place("kafka_offset")?);
            for line in lines(body).skip(1) {
                let line = line?;
                let fields: Vec<&str> = line.split('\t').collect();
                let partition = fields.get(partition).and_then(|field| field.parse().ok()).ok_or(DecodeError::Columns)?;
                each(partition, fields.get(offset).and_then(|field| field.parse().ok()).ok_or(DecodeError::Columns)?);
            }
            Ok(())
        }
        Kind::Data(Format::Json) | Kind::DeadLetter => {
            for line in lines(body) {
                let Coordinates { kafka_partition, kafka_offset } = serde_json::from_str(&line?)?;
                each(kafka_partition, kafka_offset);
            }
            Ok(())
        }
    }
}

fn parquet(body: Bytes, each: &mut impl FnMut(i32, i64)) -> Result<(), DecodeError> {
    let file = SerializedFileReader::new(body)?;
    let schema = file.metadata().file_metadata().schema_descr_ptr();
    let place = |name| (0..schema.num_columns()).find(|column| schema.column(*column).name() == name).ok_or(DecodeError::Columns);
    let (partition, offset) = (place("kafka_partition")?, place("kafka_offset")?);
    for group in 0..file.num_row_groups() {
        let group = file.get_row_group(group)?;
        let (ColumnReader::Int32ColumnReader(mut partitions), ColumnReader::Int64ColumnReader(mut offsets)) =
            (group.get_column_reader(partition)?, group.get_column_reader(offset)?)
        else {
            return Err(DecodeError::Columns);
        };
        loop {
            let (mut partition, mut offset) = (Vec::with_capacity(READ), Vec::with_capacity(READ));
            let (rows, ..) = partitions.read_records(READ, None, None, &mut partition)?;
            offsets.read_records(rows, None, None, &mut offset)?;
            if rows == 0 {
                break;
            }
            partition.into_iter().zip(offset).for_each(|(partition, offset)| each(partition, offset));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{Batch, Record, Routing, Rules};

    #[test]
    fn every_object_tells_the_coordinates_of_its_rows() {
        for format in Format::ALL {
            let mut batch = Batch::new("t", 7, 0, Rules { routing: Routing::default(), max_record_bytes: 99, skip_tombstones: false });
            for offset in 0..20_000 {
                let value: &[u8] = if offset % 1000 == 0 { b"poison" } else { br#"{"symbol":"A","event_time":0,"price":1,"x":"\t"}"# };
                batch.push(&Record { offset, timestamp_ms: Some(0), value: Some(value), ..Record::default() }, Instant::now());
            }
            let (manifest, objects) = batch.seal(format, "id", "attempt").expect("objects");
            for (object, wanted) in objects.into_iter().zip(&manifest.objects) {
                let mut found = Vec::new();
                coordinates(object.key.kind(), object.body, &mut |partition, offset| found.push((partition, offset))).expect("rows");
                assert_eq!(found, wanted.offsets.offsets().map(|offset| (7, offset)).collect::<Vec<_>>());
            }
        }
        assert!(coordinates(Kind::DeadLetter, Bytes::from_static(b"<html>"), &mut |_, _| {}).is_err());
    }
}
