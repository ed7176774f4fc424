use fastrand::Rng;

/// The largest number of rows of a unit if the plan has small units: too few for an hour
/// with most of the ticks, enough for a symbol's.
const SMALL_UNITS: u64 = 5;

/// How a run curates, drawn from its seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CuratingPlan {
    pub(crate) seed: u64,
    /// Number of processes that carry out units of work.
    pub(crate) workers: usize,
    /// Maximum number of rows of a unit, if it is not the function's default.
    pub(crate) max_rows: Option<u64>,
    /// Percentage of the requests to S3, Glue and SQS with a fault.
    pub(crate) fault_rate: u8,
    /// Maximum delay of each request, in milliseconds.
    pub(crate) latency: u64,
    /// Percentage of the invocations in whose middle the process is killed.
    pub(crate) kill_rate: u8,
}

impl CuratingPlan {
    /// Draws the plan of a run with so many records a second.
    pub(crate) fn draw(seed: u64, rate: u64) -> Self {
        // Its own numbers, so that the rest of a run is the same with it and without.
        let mut rng = Rng::with_seed(seed ^ 0xba5);
        Self {
            seed,
            workers: rng.usize(1..=3),
            max_rows: rng.bool().then_some(SMALL_UNITS * rate.max(100)),
            fault_rate: [5, 15, 25][rng.usize(0..3)],
            latency: [0, 30, 100][rng.usize(0..3)],
            kill_rate: [10, 20, 30][rng.usize(0..3)],
        }
    }

    pub(crate) fn describe(&self) -> String {
        let Self {
            workers,
            max_rows,
            fault_rate,
            latency,
            kill_rate,
            ..
        } = self;
        let small = match max_rows {
            Some(rows) => format!(" of {rows} rows"),
            None => String::new(),
        };
        format!("curated by {workers}{small}, {kill_rate} % killed, {fault_rate} %, {latency} ms")
    }
}
