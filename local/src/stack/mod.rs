pub mod arrivals;
pub(crate) mod deployment;
pub(crate) mod running;
pub mod sample;
