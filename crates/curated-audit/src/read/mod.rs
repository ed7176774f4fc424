//! The rows of an object, in each form that the lake has.

mod bars;
mod delimited;
mod json_lines;
mod lake_text;
mod lines;
mod parquet;
mod read_error;
mod row;

use bytes::Bytes;
use lake_layout::Format;

pub use bars::BAR_COLUMNS;
pub(crate) use bars::{BarRow, Coordinate, for_each_bar};
pub use read_error::ReadError;
pub use row::Row;

/// Calls `take` with each row of an object of ticks, raw or curated.
pub(crate) fn for_each_row(
    format: Format,
    body: Bytes,
    take: &mut dyn FnMut(&Row<'_>),
) -> Result<(), ReadError> {
    match format {
        Format::Parquet => row::for_each_of_parquet(body, take),
        Format::Json => json_lines::for_each(body, take),
        Format::Csv => delimited::for_each(body, take),
    }
}
