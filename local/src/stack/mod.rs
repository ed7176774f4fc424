pub mod arrivals;
pub(crate) mod curated_lake;
pub(crate) mod deployment;
pub(crate) mod raw_ticks;
pub(crate) mod running;
pub mod sample;
