//! The files that are written.

mod bar;
mod bars;
mod parquet;
mod ticks;

pub use self::parquet::EncodeError;
pub(crate) use self::parquet::tick_schema;
pub use bars::BAR_COLUMNS;
pub(crate) use bars::bars;
pub(crate) use ticks::ticks;
