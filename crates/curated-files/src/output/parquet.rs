use std::sync::Arc;

use bytes::Bytes;
use lake_layout::{COLUMNS, Column, parquet_schema};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, Type};

/// Rows of a row group. Most engines read whole groups for a query of one symbol, so small
/// ones save it most of its bytes. Of 10 million ticks, groups of 131,072 rows leave a
/// sixtieth for the mean symbol, groups of a million a tenth. The file is as large, and its
/// footer a thousandth of it.
pub(super) const GROUP_ROWS: usize = 1 << 17;

/// Why a file could not be written: a fault in ticklake, not in the data.
#[derive(Debug, thiserror::Error)]
#[error("cannot write parquet: {0}")]
pub struct EncodeError(#[from] ParquetError);

/// Returns the schema of a file of ticks, raw or sorted.
pub(crate) fn tick_schema() -> Result<Type, ParquetError> {
    parse_message_type(&parquet_schema("tick", &COLUMNS))
}

/// A file in the making. Every column is written with a page index.
pub(super) struct File {
    writer: SerializedFileWriter<Vec<u8>>,
}

impl File {
    /// Begins a file that is sorted by its first columns, and has so many symbols.
    pub(super) fn begin(
        name: &str,
        columns: &[Column],
        sorted_by: &[&str],
        deltas: &[&str],
        symbols: usize,
    ) -> Result<Self, EncodeError> {
        let schema = parse_message_type(&parquet_schema(name, columns))?;
        let sorted = sorted_by.iter().filter_map(|name| {
            let place = columns.iter().position(|column| column.name == *name)?;
            Some(SortingColumn {
                column_idx: i32::try_from(place).ok()?,
                descending: false,
                nulls_first: false,
            })
        });
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_sorting_columns(Some(sorted.collect()))
            // This enables the filter, too.
            .set_column_bloom_filter_max_ndv("symbol".into(), symbols.max(1) as u64)
            .set_created_by(concat!("ticklake ", env!("CARGO_PKG_VERSION")).to_owned());
        let properties = deltas.iter().fold(properties, |properties, name| {
            delta(properties, (*name).into())
        });
        let properties = Arc::new(properties.build());
        let writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), properties)?;
        Ok(Self { writer })
    }

    pub(super) fn group(&mut self) -> Result<Group<'_>, EncodeError> {
        Ok(Group {
            writer: self.writer.next_row_group()?,
        })
    }

    pub(super) fn finish(self) -> Result<Bytes, EncodeError> {
        Ok(self.writer.into_inner()?.into())
    }
}

/// Values that grow and seldom repeat.
fn delta(properties: WriterPropertiesBuilder, column: ColumnPath) -> WriterPropertiesBuilder {
    properties
        .set_column_dictionary_enabled(column.clone(), false)
        .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED)
}

/// A row group in the making: its columns are written in their order.
pub(super) struct Group<'a> {
    writer: SerializedRowGroupWriter<'a, Vec<u8>>,
}

impl Group<'_> {
    /// Writes the next column, piece by piece.
    pub(super) fn required<T: DataType, V: Iterator<Item = T::T>>(
        &mut self,
        pieces: impl Iterator<Item = V>,
    ) -> Result<(), EncodeError> {
        // One column too many is refused by `close`, and one too few by the next group.
        let Some(mut column) = self.writer.next_column()? else {
            return Ok(());
        };
        let mut values = Vec::new();
        for piece in pieces {
            values.clear();
            values.extend(piece);
            column.typed::<T>().write_batch(&values, None, None)?;
        }
        Ok(column.close()?)
    }

    /// Writes the next column, nulls included.
    pub(super) fn optional<T: DataType, V: Iterator<Item = Option<T::T>>>(
        &mut self,
        pieces: impl Iterator<Item = V>,
    ) -> Result<(), EncodeError> {
        let Some(mut column) = self.writer.next_column()? else {
            return Ok(());
        };
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        for piece in pieces {
            values.clear();
            levels.clear();
            for value in piece {
                levels.push(i16::from(value.is_some()));
                values.extend(value);
            }
            let column = column.typed::<T>();
            column.write_batch(&values, Some(&levels), None)?;
        }
        Ok(column.close()?)
    }

    pub(super) fn close(self) -> Result<(), EncodeError> {
        self.writer.close()?;
        Ok(())
    }
}
