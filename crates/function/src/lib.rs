//! The code that the Lambda functions share: start, settings, logs, metrics, deadline.

mod deadline;
mod metering;
mod panic_on;
mod run;
mod settings;

pub use deadline::Deadline;
pub use panic_on::panic_if_asked;
pub use run::{EventFunction, run};
pub use settings::required;
