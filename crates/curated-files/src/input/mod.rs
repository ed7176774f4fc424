//! The forms that ticks are read from. An object that ticklake did not write gives an
//! error, never wrong rows.

mod delimited;
mod json_lines;
mod lake_text;
mod lines;
mod parquet;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use lake_layout::Format;

use crate::input_error::InputError;
use crate::rows::Rows;

/// Adds the ticks in an object to the rows.
pub(crate) fn read(format: Format, body: Bytes, rows: &mut Rows) -> Result<(), InputError> {
    match format {
        // Without the catch a damaged object would end its unit without a name.
        Format::Parquet => catch_unwind(AssertUnwindSafe(|| parquet::read(body, rows)))
            .unwrap_or_else(|panic| Err(InputError::Panicked(message(&*panic)))),
        Format::Json => json_lines::read(body, rows),
        Format::Csv => delimited::read(body, rows),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}
